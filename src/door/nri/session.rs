//! What is so for one session with the runtime: who it is, what it can do, what can be seen of it.

use super::readiness::{reaches, receives};
use super::{NriDoor, Place, PodView, locked};
use crate::apply::{PinsBy, Sight};
use crate::decide::facts::Swap;
use crate::door::STAY_COVERED;
use crate::exit::chain;
use crate::finding::{Finding, Grade};
use crate::identity::{Engine, Scope};
use crate::logging::Line;
use crate::netns::{Peek, Reach, Sharing, Way, host_ids};
use crate::nri::{Answer, Event, EventMask, Refusal, RefusalCode, Runtime, api};
use crate::pin::PinName;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The events berth answers. They exist in every release of NRI.
pub(super) const EVENTS: EventMask =
    EventMask::of(&[Event::RunPodSandbox, Event::StopPodSandbox, Event::RemovePodSandbox, Event::CreateContainer]);

/// How long a runtime waits that does not say (containerd/nri `pkg/api/timeouts.go`).
const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    /// Name and version, as told.
    pub(super) runtime: String,
    pub(super) scope: Scope,
    pub(super) swap: Swap,
    /// The procfs of `sight` numbers processes as the engine does.
    pub(super) sees_engine: bool,
    /// The pid namespace that shows the engine's tasks, by inode.
    pub(super) pid_ns: Option<u64>,
    pub(super) request_timeout: Duration,
    pub(super) sight: Sight,
    /// Whether pins reach the engine, in words.
    pub(super) reach: String,
    /// Who makes them.
    pub(super) pins_by: PinsBy,
}

impl Session {
    /// Before the first handshake: nothing is known of the runtime, and nothing can be asked by it.
    pub(super) fn none(place: &Place) -> Self {
        Self {
            runtime: String::new(),
            scope: Scope::cri(Engine::Other),
            swap: Swap::PinsDoNotReach,
            sees_engine: false,
            pid_ns: None,
            request_timeout: DEFAULT_REQUEST_TIMEOUT,
            sight: Sight::here(&place.proc),
            reach: String::new(),
            pins_by: place.pins_by,
        }
    }

    /// Whether pins can be made, or seen: they reach the engine, and the host's namespace is known not to be among them.
    pub(super) fn can_pin(&self) -> bool {
        !matches!(self.swap, Swap::PinsDoNotReach | Swap::HostNotVisible)
    }

    /// What is said of the way between pins and the engine.
    pub(super) fn reaches(&self) -> Finding {
        match self.pins_by {
            PinsBy::Daemon => reaches(self.swap, &self.reach),
            PinsBy::Interposers => receives(self.swap, &self.reach),
        }
    }

    /// Where a path of the engine's view of `/proc` is to be looked at; `None` if the engine's processes cannot be seen.
    pub(super) fn path_here(&self, path: &str) -> Option<PathBuf> {
        match path.strip_prefix("/proc/") {
            Some(below) => self.sees_engine.then(|| self.sight.proc.join(below)),
            None => Some(PathBuf::from(path)),
        }
    }
}

impl NriDoor {
    /// The session this handshake begins; says on one line who the runtime is and what it can do.
    pub(super) fn begin(&self, runtime: &Runtime, config: &str) -> Answer<Session> {
        self.take_config(config)?;
        let engine = Engine::from_name(&runtime.name);
        if engine == Engine::Other {
            let text = format!("berth: runtime {:?} is not one it knows; containerd and cri-o are", runtime.name);
            return Err(Refusal::new(RefusalCode::FailedPrecondition, text));
        }
        let session = self.session_with(runtime, engine);
        let config = self.config();
        let line = Line::message("connected")
            .with("version", crate::VERSION)
            .with("commit", crate::COMMIT)
            .with("runtime", &runtime.name)
            .with("runtime_version", &runtime.version)
            .with("nri", format_args!("{:?}", runtime.nri.level))
            .with("can_swap_netns", runtime.nri.namespaces)
            .with("reach", &session.reach)
            .with("sees_tasks", session.sight.all)
            .with("config", &config.origin)
            .with("profiles", &*config);
        let reach = session.reaches();
        let level = match reach.grade {
            Grade::Fail => log::Level::Error,
            Grade::Warn => log::Level::Warn,
            Grade::Pass | Grade::Skip => log::Level::Info,
        };
        let effect = reach.hint.map(|hint| format!("{}: {hint}", reach.message));
        log::log!(level, "{}", effect.iter().fold(line, |line, effect| line.with("effect", effect)));
        Ok(session)
    }

    fn session_with(&self, runtime: &Runtime, engine: Engine) -> Session {
        let sight = Sight::here(&self.place.proc);
        let reach = self.reach(runtime.peer_pid, &sight.proc);
        let sees_engine = runtime.peer_pid.is_some() || sight.all;
        let witness = runtime.peer_pid.map_or_else(|| "1".to_owned(), |pid| pid.to_string());
        let seen = || Peek::at(&sight.proc.join(witness).join("ns/net")).is_ok();
        // Who makes no pins makes none of the host's.
        let host_known = self.place.pins_by == PinsBy::Interposers || (sees_engine && seen());
        let swap = match &reach {
            Reach::No(_) => Swap::PinsDoNotReach,
            _ if !host_known => Swap::HostNotVisible,
            _ if !runtime.nri.namespaces => Swap::RuntimeCannot,
            _ => Swap::Possible,
        };
        Session {
            runtime: format!("{} {}", runtime.name, runtime.version),
            scope: Scope::cri(engine),
            swap,
            sees_engine,
            pid_ns: sight.pid_ns.filter(|_| runtime.peer_pid.is_some()),
            request_timeout: runtime.request_timeout.unwrap_or(DEFAULT_REQUEST_TIMEOUT),
            sight: Sight {
                all: sees_engine,
                mounts: !matches!(reach, Reach::No(_)),
                // The engine makes the bundles.
                files: sight.files || reach == Reach::Same,
                host: host_ids(&sight.proc, runtime.peer_pid),
                ..sight
            },
            reach: reach.to_string(),
            pins_by: self.place.pins_by,
        }
    }

    /// Whether pins reach the engine, or those of its side are seen here; where the engine's mount namespace is this one, the directory is first made a
    /// shared mount of its own, so that a later `ip netns add` cannot bury the pins.
    /// That is left to whoever makes them.
    fn reach(&self, engine: Option<u32>, proc: &Path) -> Reach {
        if self.place.pins_by == PinsBy::Interposers {
            return self.keeper.store.reach(Way::Here, engine, proc);
        }
        let reach = self.keeper.store.reach(Way::There, engine, proc);
        if reach != Reach::Same {
            return reach;
        }
        match self.keeper.store.ensure_shared(&self.keeper.ledger.netns_lock()) {
            Ok(Sharing::Already | Sharing::Made) => reach,
            Ok(Sharing::Covered(error)) => {
                log::warn!("{}", Line::message(STAY_COVERED).with("error", chain(&error)));
                reach
            }
            Err(error) => Reach::No(format!("the netns directory cannot be made a shared mount: {}", chain(&error))),
        }
    }

    /// Takes the full list over: the table is rebuilt by pinning what is selected, in the background and pod by pod,
    /// because the runtime counts one timeout for the whole list. Returns how many are selected.
    pub(super) fn take_over(&self, pods: &[api::PodSandbox], containers: Vec<api::Container>) -> usize {
        let config = self.config();
        let selected: Vec<_> = pods
            .iter()
            .filter_map(|pod| match PodView::new(pod) {
                Ok(view) => Some(view),
                Err(error) => {
                    log::warn!("{}", Line::event("Synchronize").with("error", chain(&error)));
                    None
                }
            })
            .filter(|pod| config.policy.select(&pod.handler, &pod.pod.namespace).is_some())
            .collect();
        let count = selected.len();
        // A list that was not caught up with is older than this one.
        let mut by_pod: HashMap<String, Vec<api::Container>> = HashMap::new();
        for container in containers {
            by_pod.entry(container.pod_sandbox_id.clone()).or_default().push(container);
        }
        let mut of = |pod: &PodView| by_pod.remove(pod.sandbox.as_str()).unwrap_or_default();
        let scope = self.current().scope.clone();
        locked(&self.listed).expect(selected.iter().map(|pod| PinName::of(&scope, &pod.sandbox)));
        *locked(&self.backlog) =
            selected.into_iter().map(|pod| (of(&pod), pod)).map(|(list, pod)| (pod, list)).collect();
        count
    }
}
