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
mod configured;
mod gather;
mod listed;
mod pinning;
mod pods;
mod readiness;
mod session;
#[cfg(test)]
mod tests;

pub use pinning::CaughtUp;
pub use readiness::{REACH, Readiness, reaches};

use crate::apply::{ApplyError, Keeper, PROC, PinsBy, Sight};
use crate::config::Config;
use crate::decide::decide;
use crate::decide::policy::OnFailure;
use crate::decide::verdict::{Netns, Reason, Verdict};
use crate::door::count;
use crate::exit::chain;
use crate::identity::{Role, SandboxId, Scope};
use crate::logging::Line;
use crate::metrics::table::{CONNECTION_FAILURES, SESSIONS, SESSIONS_LOST};
use crate::metrics::{self, Outcome};
use crate::nri::{
    Answer, Event, EventMask, NriError, Plugin, Refusal, RefusalCode, Runtime, SessionState, Unread, api,
};
use crate::pin::PinName;
use configured::Configured;
use gather::PodView;
use listed::Listed;
use pods::Pods;
use session::Session;
use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What the daemon wants to hear of: reasons to look at the lifecycle rule, and files to watch.
pub trait Occasions: Send + Sync + 'static {
    /// This pin was made or found: its source is to be watched.
    fn pinned(&self, name: &PinName, source: &Path);
    /// The engine has stopped this pod, or removed it.
    fn ended(&self, name: &PinName, removed: bool);
    /// This is the configuration that holds from now on: after a reload, or after a handshake that brought another.
    fn configured(&self, config: &Config);
    /// The full list was received, and these are all the pods there are: everything is to be looked at.
    fn synchronized(&self, pods: HashSet<PinName>);
}

/// Where the door's process is, and what is left to it there.
#[derive(Debug, Clone)]
pub struct Place {
    /// The host's procfs.
    pub proc: PathBuf,
    /// Who makes pins.
    pub pins_by: PinsBy,
}

impl Default for Place {
    fn default() -> Self {
        Self { proc: PROC.into(), pins_by: PinsBy::Daemon }
    }
}

/// The door.
pub struct NriDoor {
    keeper: Keeper,
    place: Place,
    configured: Mutex<Configured>,
    session: Mutex<Arc<Session>>,
    pods: Mutex<Pods>,
    backlog: Mutex<VecDeque<(PodView, Vec<api::Container>)>>,
    listed: Mutex<Listed>,
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
    /// `decide` asks for no pin then; if it ever does, the path of nothing must not be handed out.
    #[error("pin {}: the engine tells no network namespace for the pod", .0.display())]
    NoSource(PathBuf),
    #[error("pin {0}: the task that was making it ended early")]
    Lost(PinName, #[source] tokio::task::JoinError),
}

impl NriDoor {
    /// A door that works on `keeper`'s pins and tells `occasions`.
    #[must_use]
    pub fn new(keeper: Keeper, place: Place, config: Config, occasions: Arc<dyn Occasions>) -> Self {
        let session = Session::none(&place);
        Self {
            keeper,
            place,
            configured: Mutex::new(Configured::new(config)),
            session: Mutex::new(Arc::new(session)),
            pods: Mutex::new(Pods::default()),
            backlog: Mutex::new(VecDeque::new()),
            listed: Mutex::new(Listed::default()),
            occasions,
            readiness: Readiness::default(),
        }
    }

    /// Whether events are being answered, now.
    #[must_use]
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Who makes pins.
    #[must_use]
    pub fn pins_by(&self) -> PinsBy {
        self.place.pins_by
    }

    /// Which tasks can be seen, as far as the present or last session showed.
    #[must_use]
    pub fn sight(&self) -> Sight {
        locked(&self.session).sight.clone()
    }

    /// In which the ids of the present or last runtime are unique.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.current().scope.clone()
    }

    /// Forgets pods whose pins have been released: the runtime need not have told that they are gone.
    pub fn forget<'a>(&self, names: impl IntoIterator<Item = &'a PinName>) {
        let (mut pods, mut listed) = (locked(&self.pods), locked(&self.listed));
        for name in names {
            pods.forget(name);
            listed.forget(name);
        }
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
        let facts = gathered.facts(&session, pod, Role::Sandbox, gather::NO_ANNOTATIONS);
        let verdict = decide(&facts, Some(profile));
        if matches!(&verdict, Verdict::Adjust(plan) if plan.netns == Netns::Swap) {
            self.ensure_pin(&session, &config, profile, pod, gathered).await?;
        }
        Ok(verdict)
    }

    /// CreateContainer: the whole way from facts to what is to be answered.
    async fn member(&self, pod: &PodView, container: &api::Container) -> Member {
        let (config, session) = (self.config(), self.current());
        let Some(profile) = config.policy.select(&pod.handler, &pod.pod.namespace) else {
            return Member { verdict: Verdict::Leave(Reason::NotSelected), pin_path: String::new(), failed: None };
        };
        let gathered = self.gather(&session, pod, Some(container));
        let facts = gathered.facts(&session, pod, Role::Member, &container.annotations);
        let (verdict, pin_path) = (decide(&facts, Some(profile)), gathered.pin_path.clone());
        let failed = match &verdict {
            Verdict::Adjust(plan) if plan.netns == Netns::Swap => {
                let pinned = self.ensure_pin(&session, &config, profile, pod, gathered).await;
                pinned.err().map(|failure| (failure, profile.on_failure))
            }
            _ => None,
        };
        Member { verdict, pin_path, failed }
    }

    /// Stop and Remove: occasions. Nothing here can fail the event.
    fn ended(&self, event: Event, pod: &api::PodSandbox) {
        let started = Instant::now();
        let outcome = self.note_end(event, pod, started);
        metrics::request(event.name(), outcome, started.elapsed());
    }

    fn note_end(&self, event: Event, pod: &api::PodSandbox, started: Instant) -> Outcome {
        let line = Line::event(event.name());
        let sandbox = match SandboxId::try_from(pod.id.as_str()) {
            Ok(sandbox) => sandbox,
            Err(error) => {
                log::warn!("{}", line.with("verdict", "leave").with("reason", "no-sandbox-id").with("error", error));
                return Outcome::Failed;
            }
        };
        let name = PinName::of(&self.current().scope, &sandbox);
        let known = locked(&self.pods).netns(&sandbox).is_some();
        let removed = event == Event::RemovePodSandbox;
        self.occasions.ended(&name, removed);
        if removed {
            locked(&self.backlog).retain(|(pod, _)| pod.sandbox != sandbox);
            locked(&self.listed).forget(&name);
        }
        let line = line.with("pod", format_args!("{}/{}", pod.namespace, pod.name)).with("sandbox", sandbox);
        let reason = if known { "pin-settled-by-rule" } else { "no-pin" };
        log::info!(
            "{}",
            line.with("verdict", "leave").with("reason", reason).with("us", started.elapsed().as_micros())
        );
        Outcome::Ok
    }
}

/// What CreateContainer comes to.
struct Member {
    verdict: Verdict,
    pin_path: String,
    /// Why it could not be carried out, and what the profile says to that.
    failed: Option<(Failure, OnFailure)>,
}

impl Member {
    fn outcome(&self) -> Outcome {
        match (&self.failed, &self.verdict) {
            (Some(_), _) => Outcome::Failed,
            (None, Verdict::Refuse(_)) => Outcome::Refused,
            (None, _) => Outcome::Ok,
        }
    }
}

#[async_trait::async_trait]
impl Plugin for NriDoor {
    async fn configure(&self, runtime: &Runtime, config: &str) -> Answer<EventMask> {
        let session = self.begin(runtime, config)?;
        let session = Arc::new(session);
        self.readiness.configured(Arc::clone(&session));
        *locked(&self.session) = session;
        Ok(session::EVENTS)
    }

    fn unread(&self) -> Unread {
        gather::UNREAD
    }

    fn session(&self, state: SessionState) {
        let ready = self.readiness.follow(state);
        log::info!("{}", Line::message("session").with("state", format_args!("{state:?}")).with("ready", ready));
        match state {
            SessionState::Registered => {}
            SessionState::Synchronized => drop(SESSIONS.count(&[])),
            SessionState::Closed => drop(SESSIONS_LOST.count(&[])),
        }
    }

    fn failed(&self, error: &NriError) {
        CONNECTION_FAILURES.count(&[]);
        self.readiness.failed(error);
    }

    /// A pod is never refused and never kept terminating by berth: what was not done for it is done at the next container,
    /// which can be refused, or by the lifecycle rule.
    fn lets_pass(&self, _event: Event) -> bool {
        true
    }

    async fn synchronize(
        &self,
        pods: Vec<api::PodSandbox>,
        containers: Vec<api::Container>,
    ) -> Answer<Vec<api::ContainerUpdate>> {
        let started = Instant::now();
        let listed = containers.len();
        let views = self.take_over(&pods, containers);
        let scope = self.current().scope.clone();
        let ids = pods.iter().filter_map(|pod| SandboxId::try_from(pod.id.as_str()).ok());
        let names = ids.map(|id| PinName::of(&scope, &id)).collect();
        let line = Line::event("Synchronize")
            .with("pods", pods.len())
            .with("containers", listed)
            .with("selected", views)
            .with("us", started.elapsed().as_micros());
        log::info!("{line}");
        self.occasions.synchronized(names);
        metrics::request("Synchronize", Outcome::Ok, started.elapsed());
        Ok(Vec::new())
    }

    async fn run_pod_sandbox(&self, pod: api::PodSandbox) -> Answer<()> {
        const EVENT: &str = "RunPodSandbox";
        let started = Instant::now();
        let view = match PodView::new(&pod) {
            Ok(view) => view,
            Err(error) => {
                log::warn!("{}", Line::event(EVENT).with("error", chain(&error)));
                metrics::request(EVENT, Outcome::Failed, started.elapsed());
                return Ok(());
            }
        };
        let line =
            Line::event(EVENT).with("pod", &view.pod).with("sandbox", &view.sandbox).with("handler", &view.handler);
        let result = self.sandbox(&view).await;
        let outcome = if result.is_ok() { Outcome::Ok } else { Outcome::Failed };
        metrics::request(EVENT, outcome, started.elapsed());
        match result {
            Ok(verdict) => log::info!("{}", answer::sandbox(line, &verdict, started)),
            Err(error) => {
                let line = line.with("verdict", "retry").with("reason", "pin-failed").with("error", chain(&error));
                log::error!("{}", line.with("us", started.elapsed().as_micros()));
            }
        }
        Ok(())
    }

    async fn stop_pod_sandbox(&self, pod: api::PodSandbox) -> Answer<()> {
        self.ended(Event::StopPodSandbox, &pod);
        Ok(())
    }

    async fn remove_pod_sandbox(&self, pod: api::PodSandbox) -> Answer<()> {
        self.ended(Event::RemovePodSandbox, &pod);
        Ok(())
    }

    async fn create_container(
        &self,
        pod: api::PodSandbox,
        container: api::Container,
    ) -> Answer<api::CreateContainerResponse> {
        const EVENT: &str = "CreateContainer";
        let started = Instant::now();
        let view = PodView::new(&pod).map_err(|error| {
            metrics::request(EVENT, Outcome::Failed, started.elapsed());
            count::failure(OnFailure::Fail);
            let text = format!("berth: CreateContainer: {error}");
            log::error!("{}", Line::event("CreateContainer").with("verdict", "refuse").with("error", &text));
            Refusal::new(RefusalCode::InvalidArgument, text)
        })?;
        let member = self.member(&view, &container).await;
        metrics::request(EVENT, member.outcome(), started.elapsed());
        answer::container(&view, &container, member, started)
    }
}
