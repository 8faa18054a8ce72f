//! What a plugin is to this stub: one method per event, all with a default that does nothing.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use super::api;
use super::error::NriError;
use super::events::{Event, EventMask};
use super::handle::RuntimeHandle;
use super::level::Capabilities;

/// The runtime as it introduced itself, valid for one session.
#[derive(Debug, Clone)]
pub struct Runtime {
    /// `containerd`, `cri-o`, or something else.
    pub name: String,
    /// As told, without any interpretation.
    pub version: String,
    /// What its NRI can do.
    pub nri: Capabilities,
    /// How long it waits for a registration; `None` before NRI 0.8.
    pub registration_timeout: Option<Duration>,
    /// How long it waits for the answer to an event; `None` before NRI 0.8.
    pub request_timeout: Option<Duration>,
    /// The process at the other end of the socket, in our pid namespace; `None` if it is in none
    /// of ours. Of an inherited socket it is the process that made the pair.
    pub peer_pid: Option<u32>,
    /// For updates on the plugin's own initiative.
    pub handle: RuntimeHandle,
}

/// How far the session with the runtime is. Readiness follows it, in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// The runtime knows the plugin, events do not come yet.
    Registered,
    /// The plugin has the full list; from now on it gets the events.
    Synchronized,
    /// The session is over. Follows every `Registered` exactly once.
    Closed,
}

/// The code of a refusal. There is none for UNIMPLEMENTED, which the runtime takes as a request for
/// the older form of the event, nor for NOT_FOUND.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalCode {
    /// What the Go stub sends for a plain error.
    Unknown,
    /// The request itself is wrong.
    InvalidArgument,
    /// It took, or would take, too long.
    DeadlineExceeded,
    /// A limit is reached.
    ResourceExhausted,
    /// Something else has to happen first.
    FailedPrecondition,
    /// Somebody else was faster; to be tried again.
    Aborted,
    /// A bug of the plugin.
    Internal,
    /// Cannot be done now; to be tried again.
    Unavailable,
}

impl RefusalCode {
    fn to_ttrpc(self) -> ttrpc::Code {
        match self {
            Self::Unknown => ttrpc::Code::UNKNOWN,
            Self::InvalidArgument => ttrpc::Code::INVALID_ARGUMENT,
            Self::DeadlineExceeded => ttrpc::Code::DEADLINE_EXCEEDED,
            Self::ResourceExhausted => ttrpc::Code::RESOURCE_EXHAUSTED,
            Self::FailedPrecondition => ttrpc::Code::FAILED_PRECONDITION,
            Self::Aborted => ttrpc::Code::ABORTED,
            Self::Internal => ttrpc::Code::INTERNAL,
            Self::Unavailable => ttrpc::Code::UNAVAILABLE,
        }
    }
}

/// An answer that makes the runtime fail the operation, where it lets a plugin do that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    code: RefusalCode,
    message: String,
}

impl Refusal {
    /// A refusal whose message ends up in the engine's log and the pod's events.
    pub fn new(code: RefusalCode, message: impl fmt::Display) -> Self {
        Self { code, message: message.to_string() }
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> RefusalCode {
        self.code
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl From<Refusal> for ttrpc::Error {
    fn from(refusal: Refusal) -> Self {
        Self::RpcStatus(ttrpc::get_status(refusal.code.to_ttrpc(), refusal.message))
    }
}

/// What the answer to an event is.
pub type Answer<T> = Result<T, Refusal>;

/// Fields that a plugin does not read, by their numbers in NRI's messages: it finds them empty. None by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unread {
    /// Of `PodSandbox`.
    pub pod: &'static [u64],
    /// Of `Container`.
    pub container: &'static [u64],
}

/// A plugin.
///
/// The runtime sends one event at a time for the whole node and waits for the answer, so events of
/// a pod come in the order they happen. Each method runs in a task of its own and is never dropped
/// half way, neither when the session ends nor when it takes longer than the runtime waits: it then
/// goes on in the background, its answer is logged and lost, and the next event of the same pod may
/// come while it runs. Keeping those two apart is up to the plugin.
///
/// An event that is subscribed and not implemented is answered with success.
#[async_trait]
#[allow(unused_variables, reason = "the names of the parameters are documentation here")]
pub trait Plugin: Send + Sync + 'static {
    /// Names the events to get. `config` is empty unless the runtime started the plugin. Events
    /// the runtime does not have are taken out; if none is left the session ends.
    async fn configure(&self, runtime: &Runtime, config: &str) -> Answer<EventMask>;

    /// Everything that exists. Pods without an id, or twice, are passed on as they came.
    async fn synchronize(
        &self,
        pods: Vec<api::PodSandbox>,
        containers: Vec<api::Container>,
    ) -> Answer<Vec<api::ContainerUpdate>> {
        Ok(Vec::new())
    }

    /// What need not be decoded of the pods and containers of `CreateContainer`, `RunPodSandbox` and `Synchronize`. Asked
    /// once for each session.
    fn unread(&self) -> Unread {
        Unread::default()
    }

    /// The session went on or ended. Must neither block nor panic.
    fn session(&self, state: SessionState) {}

    /// The runtime could not be met, or a session ended with this error; another attempt follows. Must neither block nor
    /// panic.
    fn failed(&self, error: &NriError) {}

    /// Whether the runtime is told success for `event` though its handler was late, refused or panicked; what came of it
    /// is logged all the same. For events without an answer of their own: an error to RunPodSandbox fails the pod, one to
    /// StopPodSandbox keeps it terminating on CRI-O.
    fn lets_pass(&self, event: Event) -> bool {
        false
    }

    /// The runtime is going down. (No known release says so.)
    async fn shutdown(&self) {}

    /// See [`Event::RunPodSandbox`](super::Event::RunPodSandbox).
    async fn run_pod_sandbox(&self, pod: api::PodSandbox) -> Answer<()> {
        Ok(())
    }

    /// See [`Event::UpdatePodSandbox`](super::Event::UpdatePodSandbox).
    async fn update_pod_sandbox(
        &self,
        pod: api::PodSandbox,
        overhead: Option<api::LinuxResources>,
        resources: Option<api::LinuxResources>,
    ) -> Answer<()> {
        Ok(())
    }

    /// See [`Event::PostUpdatePodSandbox`](super::Event::PostUpdatePodSandbox).
    async fn post_update_pod_sandbox(&self, pod: api::PodSandbox) -> Answer<()> {
        Ok(())
    }

    /// See [`Event::StopPodSandbox`](super::Event::StopPodSandbox).
    async fn stop_pod_sandbox(&self, pod: api::PodSandbox) -> Answer<()> {
        Ok(())
    }

    /// See [`Event::RemovePodSandbox`](super::Event::RemovePodSandbox).
    async fn remove_pod_sandbox(&self, pod: api::PodSandbox) -> Answer<()> {
        Ok(())
    }

    /// See [`Event::CreateContainer`](super::Event::CreateContainer).
    async fn create_container(
        &self,
        pod: api::PodSandbox,
        container: api::Container,
    ) -> Answer<api::CreateContainerResponse> {
        Ok(api::CreateContainerResponse::default())
    }

    /// See [`Event::PostCreateContainer`](super::Event::PostCreateContainer).
    async fn post_create_container(&self, pod: api::PodSandbox, container: api::Container) -> Answer<()> {
        Ok(())
    }

    /// See [`Event::StartContainer`](super::Event::StartContainer).
    async fn start_container(&self, pod: api::PodSandbox, container: api::Container) -> Answer<()> {
        Ok(())
    }

    /// See [`Event::PostStartContainer`](super::Event::PostStartContainer).
    async fn post_start_container(&self, pod: api::PodSandbox, container: api::Container) -> Answer<()> {
        Ok(())
    }

    /// See [`Event::UpdateContainer`](super::Event::UpdateContainer).
    async fn update_container(
        &self,
        pod: api::PodSandbox,
        container: api::Container,
        resources: Option<api::LinuxResources>,
    ) -> Answer<api::UpdateContainerResponse> {
        Ok(api::UpdateContainerResponse::default())
    }

    /// See [`Event::PostUpdateContainer`](super::Event::PostUpdateContainer).
    async fn post_update_container(&self, pod: api::PodSandbox, container: api::Container) -> Answer<()> {
        Ok(())
    }

    /// See [`Event::StopContainer`](super::Event::StopContainer).
    async fn stop_container(
        &self,
        pod: api::PodSandbox,
        container: api::Container,
    ) -> Answer<Vec<api::ContainerUpdate>> {
        Ok(Vec::new())
    }

    /// See [`Event::RemoveContainer`](super::Event::RemoveContainer).
    async fn remove_container(&self, pod: api::PodSandbox, container: api::Container) -> Answer<()> {
        Ok(())
    }

    /// See [`Event::ValidateContainerAdjustment`](super::Event::ValidateContainerAdjustment). Pod
    /// and container of the request are set.
    async fn validate_container_adjustment(
        &self,
        request: api::ValidateContainerAdjustmentRequest,
    ) -> Answer<api::ValidateContainerAdjustmentResponse> {
        Ok(api::ValidateContainerAdjustmentResponse::default())
    }
}
