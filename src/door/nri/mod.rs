//! The NRI door: a plugin of the container runtime.
//!
//! It sees pods start, stop and go, every member being created, and everything there is when it (re)connects. It
//! pins at RunPodSandbox and answers CreateContainer with annotations and the pin's path. The runtime asks its
//! plugins one at a time under one lock, so what is slow here delays every pod of the node: a container of a pod
//! that is pinned costs a handful of system calls and no scan, lock or file.
//!
//! What it refuses and what not: CreateContainer only. A refused RunPodSandbox leaks the sandbox's record in
//! containerd before 2.2.6 and 2.3.3, so a pin that failed is tried again when a container comes, and that one is
//! refused. An error to StopPodSandbox keeps the pod terminating on CRI-O. Both are only occasions to look at the
//! lifecycle rule anyway.

mod answer;
mod gather;
mod pods;
mod session;
#[cfg(test)]
mod tests;

pub use session::Readiness;

use crate::apply::{ApplyError, Keeper, PATIENCE, Pinned, Wanted};
use crate::config::Config;
use crate::decide::decide;
use crate::decide::facts::Door;
use crate::decide::policy::{OnFailure, Profile};
use crate::decide::verdict::{Plan, Reason, Verdict};
use crate::exit::chain;
use crate::identity::{Role, SandboxId};
use crate::logging::Line;
use crate::metrics;
use crate::netns::{Netns, NetnsError};
use crate::nri::{Answer, EventMask, Plugin, Refusal, RefusalCode, Runtime, SessionState, api};
use crate::pin::PinName;
use gather::{Gathered, PodView};
use pods::Pods;
use session::Session;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the daemon wants to hear of: reasons to look at the lifecycle rule, and files to watch.
pub trait Occasions: Send + Sync + 'static {
    /// This pin was made or found: its source is to be watched.
    fn pinned(&self, name: &PinName, source: &Path);
    /// Something happened to this pod.
    fn happened(&self, name: &PinName);
    /// The full list was received: everything is to be looked at.
    fn synchronized(&self);
}

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

/// The door.
pub struct NriDoor {
    keeper: Keeper,
    config: Mutex<Arc<Config>>,
    session: Mutex<Arc<Session>>,
    pods: Mutex<Pods>,
    backlog: Mutex<VecDeque<PodView>>,
    occasions: Arc<dyn Occasions>,
    readiness: Readiness,
}

impl std::fmt::Debug for NriDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NriDoor").field("keeper", &self.keeper).finish_non_exhaustive()
    }
}

/// Nothing is done under these locks that can fail half way, so a poisoned one still holds whole data.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a container could not be given what was decided.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error("pin {}: the engine tells no network namespace for the pod", .0.display())]
    NoSource(PathBuf),
    #[error("pin {0}: the task that was making it ended early")]
    Lost(PinName, #[source] tokio::task::JoinError),
}

impl NriDoor {
    /// A door that works on `keeper`'s pins and tells `occasions`.
    #[must_use]
    pub fn new(keeper: Keeper, config: Config, occasions: Arc<dyn Occasions>) -> Self {
        let session = Session::none(config.host_proc.as_deref());
        Self {
            keeper,
            config: Mutex::new(Arc::new(config)),
            session: Mutex::new(Arc::new(session)),
            pods: Mutex::new(Pods::default()),
            backlog: Mutex::new(VecDeque::new()),
            occasions,
            readiness: Readiness::default(),
        }
    }

    /// Whether events are being answered, now.
    #[must_use]
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Which tasks can be seen, as far as the present or last session showed.
    #[must_use]
    pub fn sight(&self) -> crate::apply::Sight {
        locked(&self.session).sight.clone()
    }

    /// Forgets pods whose pins have been released.
    pub fn forget<'a>(&self, names: impl IntoIterator<Item = &'a PinName>) {
        let mut pods = locked(&self.pods);
        names.into_iter().for_each(|name| pods.forget(name));
    }

    /// Pins the pods that the last Synchronize brought, one by one, letting events in between. A pod whose namespace is
    /// gone already was stopped and not removed yet: nothing to pin.
    pub async fn catch_up(&self) -> CaughtUp {
        let mut caught_up = CaughtUp::default();
        loop {
            let Some(pod) = locked(&self.backlog).pop_front() else { return caught_up };
            match self.sandbox(&pod).await {
                Ok(Verdict::Adjust(plan)) if plan.netns.swaps() => caught_up.pinned += 1,
                Ok(_) => {}
                Err(Failure::Apply(ApplyError::Netns(NetnsError::Missing { .. }))) => caught_up.stopped += 1,
                Err(error) => {
                    caught_up.failed += 1;
                    let line = Line::event("CatchUp").with("pod", &pod.pod).with("sandbox", &pod.sandbox);
                    log::warn!("{}", line.with("error", chain(&error)));
                }
            }
            tokio::task::yield_now().await;
        }
    }

    fn config(&self) -> Arc<Config> {
        Arc::clone(&locked(&self.config))
    }

    fn current(&self) -> Arc<Session> {
        Arc::clone(&locked(&self.session))
    }

    /// RunPodSandbox and, for each pod, Synchronize: pins where that is decided.
    async fn sandbox(&self, pod: &PodView) -> Result<Verdict, Failure> {
        let (config, session) = (self.config(), self.current());
        let Some(profile) = config.policy.select(&pod.handler, &pod.pod.namespace) else {
            return Ok(Verdict::Leave(Reason::NotSelected));
        };
        let gathered = self.gather(&session, pod, None);
        let verdict = decide(&gathered.facts(&session, pod, Role::Sandbox, gather::NO_ANNOTATIONS), &config.policy);
        if let Verdict::Adjust(Plan { netns, .. }) = &verdict
            && netns.swaps()
        {
            self.ensure_pin(&session, &config, profile, pod, gathered).await?;
        }
        Ok(verdict)
    }

    /// CreateContainer: the whole way from facts to answer.
    async fn member(&self, pod: &PodView, container: &api::Container) -> (Verdict, Result<(), (Failure, OnFailure)>) {
        let (config, session) = (self.config(), self.current());
        let Some(profile) = config.policy.select(&pod.handler, &pod.pod.namespace) else {
            return (Verdict::Leave(Reason::NotSelected), Ok(()));
        };
        let gathered = self.gather(&session, pod, Some(container));
        let facts = gathered.facts(&session, pod, Role::Member, &container.annotations);
        let verdict = decide(&facts, &config.policy);
        let applied = match &verdict {
            Verdict::Adjust(plan) if plan.netns.swaps() => self
                .ensure_pin(&session, &config, profile, pod, gathered)
                .await
                .map_err(|error| (error, profile.on_failure)),
            _ => Ok(()),
        };
        (verdict, applied)
    }

    /// Makes sure the pod's namespace is pinned. A pin that stands costs nothing more than was gathered already.
    async fn ensure_pin(
        &self,
        session: &Arc<Session>,
        config: &Arc<Config>,
        profile: &Profile,
        pod: &PodView,
        gathered: Gathered,
    ) -> Result<(), Failure> {
        let (source, netns) = match gathered.source {
            gather::Source::Pinned => return Ok(()),
            gather::Source::Open(source, netns) => (source, netns),
            gather::Source::Broken(error) => return Err(ApplyError::from(error).into()),
            gather::Source::Untold => return Err(Failure::NoSource(gathered.pin_path.into())),
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
        match job.run().await {
            Ok(pinned) => {
                if pinned == Pinned::Now {
                    metrics::PINNED.count();
                }
                locked(&self.pods).pinned(&pod.sandbox, &gathered.name, id);
                self.occasions.pinned(&gathered.name, &source);
                Ok(())
            }
            Err(error) => {
                metrics::PIN_FAILED.count();
                Err(error)
            }
        }
    }

    /// Stop and Remove: a mark and an occasion. Nothing here can fail the event.
    fn ended(&self, event: &str, pod: &api::PodSandbox, removed: bool) {
        let started = Instant::now();
        let Ok(sandbox) = SandboxId::try_from(pod.id.as_str()) else {
            log::warn!(
                "{}",
                Line::event(event).with("sandbox", &pod.id).with("error", "not a sandbox id; nothing of berth's")
            );
            return;
        };
        let name = PinName::of(&self.current().scope, &sandbox);
        if removed && let Err(error) = self.keeper.mark_removed(&name, Duration::ZERO) {
            log::warn!("{}", Line::event(event).with("sandbox", &sandbox).with("error", chain(&error)));
        }
        self.occasions.happened(&name);
        let line = Line::event(event)
            .with("pod", format_args!("{}/{}", pod.namespace, pod.name))
            .with("sandbox", sandbox)
            .with("us", started.elapsed().as_micros());
        log::info!("{line}");
    }
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

    fn attempt(&self, patience: Duration) -> Result<Pinned, ApplyError> {
        let wanted = Wanted {
            name: &self.name,
            netns: &self.netns,
            source: &self.source,
            forbidden: &self.session.host,
            scope: &self.session.scope,
            sandbox: self.pod.sandbox.as_str(),
            pod: &self.pod.pod,
            handler: &self.pod.handler,
            door: Door::Nri.as_str(),
            profile: &self.profile,
            config: self.config,
            pid_ns: self.session.pid_ns,
        };
        self.keeper.pin(&wanted, patience)
    }
}

#[async_trait::async_trait]
impl Plugin for NriDoor {
    async fn configure(&self, runtime: &Runtime, config: &str) -> Answer<EventMask> {
        let session = self.begin(runtime, config)?;
        *locked(&self.session) = Arc::new(session);
        Ok(session::EVENTS)
    }

    fn session(&self, state: SessionState) {
        self.readiness.follow(state, locked(&self.session).reaches());
        if state == SessionState::Closed {
            metrics::SESSIONS_LOST.count();
        }
    }

    async fn synchronize(
        &self,
        pods: Vec<api::PodSandbox>,
        containers: Vec<api::Container>,
    ) -> Answer<Vec<api::ContainerUpdate>> {
        let started = Instant::now();
        let views = self.take_over(&pods);
        let line = Line::event("Synchronize")
            .with("pods", pods.len())
            .with("containers", containers.len())
            .with("selected", views)
            .with("us", started.elapsed().as_micros());
        log::info!("{line}");
        self.occasions.synchronized();
        Ok(Vec::new())
    }

    async fn run_pod_sandbox(&self, pod: api::PodSandbox) -> Answer<()> {
        const EVENT: &str = "RunPodSandbox";
        let started = Instant::now();
        let view = match PodView::new(&pod) {
            Ok(view) => view,
            Err(error) => {
                log::warn!("{}", Line::event(EVENT).with("error", chain(&error)));
                return Ok(());
            }
        };
        let line =
            Line::event(EVENT).with("pod", &view.pod).with("sandbox", &view.sandbox).with("handler", &view.handler);
        match self.sandbox(&view).await {
            Ok(verdict) => log::info!("{}", answer::said(line, &verdict, started)),
            Err(error) => {
                let line = line.with("verdict", "retry").with("reason", "pin-failed").with("error", chain(&error));
                log::error!("{}", line.with("us", started.elapsed().as_micros()));
            }
        }
        Ok(())
    }

    async fn stop_pod_sandbox(&self, pod: api::PodSandbox) -> Answer<()> {
        self.ended("StopPodSandbox", &pod, false);
        Ok(())
    }

    async fn remove_pod_sandbox(&self, pod: api::PodSandbox) -> Answer<()> {
        self.ended("RemovePodSandbox", &pod, true);
        Ok(())
    }

    async fn create_container(
        &self,
        pod: api::PodSandbox,
        container: api::Container,
    ) -> Answer<api::CreateContainerResponse> {
        let started = Instant::now();
        let view = PodView::new(&pod).map_err(|error| {
            let text = format!("berth: CreateContainer: {error}");
            log::error!("{}", Line::event("CreateContainer").with("verdict", "refuse").with("error", &text));
            Refusal::new(RefusalCode::InvalidArgument, text)
        })?;
        let (verdict, applied) = self.member(&view, &container).await;
        let pin = self.keeper.store.path(&PinName::of(&self.current().scope, &view.sandbox));
        answer::container(&view, &container, &pin, verdict, applied, started)
    }
}
