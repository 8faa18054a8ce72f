//! Making pins: the one of a pod whose event is being answered, and those of all the pods a Synchronize brought.

use super::gather::{Gathered, PodView, Source};
use super::session::Session;
use super::{Failure, NriDoor, locked};
use crate::apply::{ApplyError, Keeper, PATIENCE, Pinned, Wanted};
use crate::config::Config;
use crate::decide::facts::Door;
use crate::decide::policy::Profile;
use crate::decide::verdict::{Netns as NetnsPlan, Reason, Verdict};
use crate::door::count;
use crate::exit::chain;
use crate::ledger::record::Origin;
use crate::logging::Line;
use crate::netns::{Netns, NetnsError};
use crate::pin::PinName;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What became of the pods that a Synchronize brought.
#[derive(Debug, Default, Clone, Copy)]
pub struct CaughtUp {
    /// Their pins stand.
    pub pinned: u32,
    /// Their namespaces were gone.
    pub stopped: u32,
    /// Their pins could not be made; each has been logged.
    pub failed: u32,
}

impl NriDoor {
    /// Pins the pods that the last Synchronize brought, one by one, letting events in between. A pod whose namespace is
    /// gone already was stopped and not removed yet: nothing to pin. Each may have to wait for its lock, so `progress` is told of
    /// each.
    pub async fn catch_up(&self, progress: impl Fn()) -> CaughtUp {
        let mut caught_up = CaughtUp::default();
        loop {
            let Some((pod, containers)) = locked(&self.backlog).pop_front() else { return caught_up };
            match self.sandbox(&pod).await {
                Ok(Verdict::Adjust(plan)) if plan.netns == NetnsPlan::Swap => caught_up.pinned += 1,
                Ok(_) => {}
                Err(Failure::Apply(ApplyError::Netns(NetnsError::Missing { .. }))) => caught_up.stopped += 1,
                Err(error) => {
                    caught_up.failed += 1;
                    let line = Line::event("CatchUp").with("pod", &pod.pod).with("sandbox", &pod.sandbox);
                    log::warn!("{}", line.with("error", chain(&error)));
                }
            }
            self.judge(&pod, &containers);
            progress();
            tokio::task::yield_now().await;
        }
    }

    /// Makes sure the pod's namespace is pinned. A pin that stands costs nothing more than was gathered already; one that
    /// an interposer has made is also noted, which cannot fail it.
    pub(super) async fn ensure_pin(
        &self,
        session: &Arc<Session>,
        config: &Arc<Config>,
        profile: &Profile,
        pod: &PodView,
        gathered: Gathered,
    ) -> Result<(), Failure> {
        let (source, netns) = match gathered.source {
            Source::Pinned => return Ok(()),
            Source::Open(source, netns) => (source, netns),
            Source::Broken(error) => return Err(no_source(ApplyError::from(error).into())),
            Source::Untold => return Err(no_source(Failure::NoSource(gathered.pin_path.into()))),
        };
        let id = netns.id();
        let job = Job {
            keeper: self.keeper.clone(),
            session: Arc::clone(session),
            config: config.hash,
            profile: profile.name.clone(),
            pod: pod.clone(),
            name: gathered.name.clone(),
            source: source.clone(),
            netns,
        };
        let pinned = match gathered.stands {
            true => Ok(job.note()),
            false => job.run().await,
        };
        match pinned {
            Ok(pinned) => {
                if pinned == Pinned::Now {
                    count::pinned(Origin::Adopted);
                }
                locked(&self.pods).pinned(&pod.sandbox, &gathered.name, id);
                self.occasions.pinned(&gathered.name, &source);
                Ok(())
            }
            Err(error) => {
                if let Failure::Apply(error) = &error {
                    count::pin_failed(error);
                }
                Err(error)
            }
        }
    }
}

fn no_source(failure: Failure) -> Failure {
    count::no_source();
    failure
}

/// One pin to make, owning all it needs: it may have to wait for a lock, and no wait may stop the event loop.
struct Job {
    keeper: Keeper,
    session: Arc<Session>,
    config: u64,
    profile: String,
    pod: PodView,
    name: PinName,
    source: PathBuf,
    netns: Netns,
}

impl Job {
    /// Here and now if nobody else is at the sandbox, else on a thread that may wait.
    async fn run(self) -> Result<Pinned, Failure> {
        match self.attempt(Duration::ZERO) {
            Err(error) if error.is_busy() => {}
            done => return Ok(done?),
        }
        let name = self.name.clone();
        let patience = PATIENCE.min(self.session.request_timeout / 2);
        let waited = tokio::task::spawn_blocking(move || self.attempt(patience)).await;
        Ok(waited.map_err(|error| Failure::Lost(name, error))??)
    }

    /// Another made the pin: its path is all that is needed, whatever becomes of the record.
    fn note(&self) -> Pinned {
        if let Err(error) = self.keeper.note(&self.wanted()) {
            let left_to_another = error.is_busy() || error.is_newer_record();
            let level = if left_to_another { log::Level::Debug } else { log::Level::Warn };
            let line = Line::message("a door was not noted").with("pin", &self.name);
            log::log!(level, "{}", line.with("error", chain(&error)));
        }
        Pinned::Already
    }

    fn attempt(&self, patience: Duration) -> Result<Pinned, ApplyError> {
        self.keeper.pin(&self.wanted(), patience)
    }

    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            name: &self.name,
            netns: &self.netns,
            origin: Origin::Adopted,
            source: &self.source,
            forbidden: &self.session.sight.host,
            scope: &self.session.scope,
            sandbox: self.pod.sandbox.as_str(),
            pod: &self.pod.pod,
            handler: &self.pod.handler,
            door: Door::Nri.as_str(),
            profile: &self.profile,
            // A pin is made for nothing else.
            verdict: Reason::IdentityAndNetns,
            config: self.config,
            pid_ns: self.session.pid_ns,
        }
    }
}
