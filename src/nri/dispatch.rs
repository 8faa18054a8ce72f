//! The plugin service of one session: from RPCs to the methods of [`Plugin`].
//!
//! Promises: every RPC of the generated trait is answered here, since the generated defaults say
//! NOT_FOUND, which no runtime expects; both forms of an event reach the same method; a message
//! that lacks its pod or container never reaches the plugin; no answer takes longer than
//! [`BUDGET_PERCENT`] of what the runtime allows.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use protobuf::MessageField;
use tokio::sync::watch;
use tokio::time::timeout;
use ttrpc::r#async::TtrpcContext;

use super::api;
use super::events::Event;
use super::level::Capabilities;
use super::plugin::{Answer, Plugin, Refusal, RefusalCode, Runtime, Unread};
use super::work::{Started, Work};
use super::{handle::RuntimeHandle, stub::SyncLimit};

mod collect;
mod refuse;
mod service;
mod trim;

use collect::Collector;
use refuse::{need_both, need_pod, overdue};
pub(crate) use trim::trimmed;

/// The share of the runtime's request timeout after which the stub answers for a handler that is
/// not done. At the full time both sides give up at once, and chance decides whether the runtime
/// drops the plugin and goes on without it, or sees an error and fails the pod.
pub const BUDGET_PERCENT: u32 = 80;

/// What runtimes wait by default (containerd/nri `pkg/api/timeouts.go`); used if a request has no
/// limit of its own and `Configure` told none.
pub const DEFAULT_REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// How far the runtime has taken this session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Phase {
    Connected,
    Configured,
    Synchronized,
    /// The plugin's answer to this step was an error; the runtime will not use it.
    Unusable {
        step: &'static str,
        reason: String,
    },
    ShutDown,
}

/// What a session tells its dispatcher.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) pid: Option<u32>,
    pub(crate) handle: RuntimeHandle,
}

pub(crate) struct Dispatcher {
    plugin: Arc<dyn Plugin>,
    work: Arc<Work>,
    peer: Peer,
    phase: watch::Sender<Phase>,
    request_timeout: OnceLock<Duration>,
    collector: Mutex<Collector>,
    unknown_seen: AtomicBool,
}

impl Dispatcher {
    pub(crate) fn new(
        plugin: Arc<dyn Plugin>,
        work: Arc<Work>,
        peer: Peer,
        phase: watch::Sender<Phase>,
        limit: SyncLimit,
    ) -> Self {
        Self {
            plugin,
            work,
            peer,
            phase,
            request_timeout: OnceLock::new(),
            collector: Mutex::new(Collector::new(limit)),
            unknown_seen: AtomicBool::new(false),
        }
    }

    /// What the plugin does not read.
    pub(crate) fn unread(&self) -> Unread {
        self.plugin.unread()
    }

    /// Runs a handler, in its own task if it has to wait, and waits for it within the budget.
    async fn call<T: Send + 'static>(
        &self,
        ctx: &TtrpcContext,
        what: &'static str,
        handler: impl Future<Output = Answer<T>> + Send + 'static,
    ) -> Answer<T> {
        let allowed = self.allowed(ctx);
        let budget = allowed * BUDGET_PERCENT / 100;
        let answer = match self.work.start(what, handler).await {
            Err(refusal) => Err(refusal),
            Ok(Started::Ended(answer)) => Ok(answer),
            Ok(Started::Waits(answer)) => match timeout(budget, answer).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(_dropped)) => {
                    let message = format!("{what}: the plugin is shutting down");
                    Err(Refusal::new(RefusalCode::Unavailable, message))
                }
                Err(_elapsed) => Err(overdue(what, budget, allowed)),
            },
        };
        let result = match answer {
            // Its own refusals are the plugin's to log; a panic is none.
            Ok(Err(refusal)) if refusal.code() == RefusalCode::Internal => Err(refusal),
            Ok(answer) => return answer,
            Err(refusal) => Err(refusal),
        };
        if let Err(refusal) = &result {
            log::warn!("nri event={what} answer={:?} reason={:?}", refusal.code(), refusal.message());
        }
        result
    }

    /// The answer to an event that carries none.
    fn without_answer(&self, event: Event, answer: Answer<()>) -> ttrpc::Result<()> {
        match answer {
            Err(_refusal) if self.plugin.lets_pass(event) => Ok(()),
            answer => Ok(answer?),
        }
    }

    fn allowed(&self, ctx: &TtrpcContext) -> Duration {
        match u64::try_from(ctx.timeout_nano) {
            Ok(nanos) if nanos > 0 => Duration::from_nanos(nanos),
            _ => *self.request_timeout.get().unwrap_or(&DEFAULT_REQUEST_TIMEOUT),
        }
    }

    /// A second `Configure` of a session must not take back that it is synchronized.
    fn configured(&self) {
        self.phase.send_if_modified(|phase| {
            let first = *phase == Phase::Connected;
            if first {
                *phase = Phase::Configured;
            }
            first
        });
    }

    fn fail(&self, step: &'static str, refusal: &Refusal) {
        let reason = refusal.message().to_owned();
        self.phase.send_replace(Phase::Unusable { step, reason });
    }

    async fn on_configure(&self, ctx: &TtrpcContext, request: api::ConfigureRequest) -> Answer<api::ConfigureResponse> {
        let runtime = self.runtime(&request);
        if let Some(limit) = runtime.request_timeout {
            // A second Configure in one session does not happen; the first one counts.
            self.request_timeout.get_or_init(|| limit);
        }
        let Capabilities { level, valid_events: valid, .. } = runtime.nri;
        let introduced = format!("{} {}", runtime.name, runtime.version);
        let plugin = Arc::clone(&self.plugin);
        let wanted =
            self.call(ctx, "Configure", async move { plugin.configure(&runtime, &request.config).await }).await?;
        let events = wanted & valid;
        if events.is_empty() {
            // As an answer, 0 would subscribe the plugin to everything.
            let message = format!("{introduced} has none of the events to subscribe to ({wanted})");
            return Err(Refusal::new(RefusalCode::FailedPrecondition, message));
        }
        let missing = wanted.without(valid);
        if !missing.is_empty() {
            log::info!("nri: {introduced} does not have the events {missing}");
        }
        log::info!("nri: {introduced}, {level:?}: subscribed to {events}");
        Ok(api::ConfigureResponse { events: events.bits(), ..Default::default() })
    }

    fn runtime(&self, request: &api::ConfigureRequest) -> Runtime {
        let millis = |value: i64| u64::try_from(value).ok().filter(|millis| *millis > 0);
        Runtime {
            name: request.runtime_name.clone(),
            version: request.runtime_version.clone(),
            nri: Capabilities::of(request),
            registration_timeout: millis(request.registration_timeout).map(Duration::from_millis),
            request_timeout: millis(request.request_timeout).map(Duration::from_millis),
            peer_pid: self.peer.pid,
            handle: self.peer.handle.clone(),
        }
    }

    async fn on_synchronize(
        &self,
        ctx: &TtrpcContext,
        request: api::SynchronizeRequest,
    ) -> Answer<api::SynchronizeResponse> {
        if *self.phase.borrow() == Phase::Connected {
            let message = "Synchronize: the plugin is not configured yet";
            return Err(Refusal::new(RefusalCode::FailedPrecondition, message));
        }
        let complete = {
            let mut collector = self.collector.lock().unwrap_or_else(PoisonError::into_inner);
            collector.add(request)?
        };
        let mut response = api::SynchronizeResponse::default();
        match complete {
            // An update in an answer to a piece makes the runtime close the connection.
            None => response.more = true,
            Some((pods, containers)) => {
                let plugin = Arc::clone(&self.plugin);
                let handler = async move { plugin.synchronize(pods, containers).await };
                response.update = self.call(ctx, "Synchronize", handler).await?;
                self.phase.send_replace(Phase::Synchronized);
            }
        }
        Ok(response)
    }

    async fn on_pod_event(
        &self,
        ctx: &TtrpcContext,
        event: Event,
        pod: MessageField<api::PodSandbox>,
    ) -> ttrpc::Result<()> {
        let pod = need_pod(event, pod)?;
        let plugin = Arc::clone(&self.plugin);
        let handler = async move {
            match event {
                Event::RunPodSandbox => plugin.run_pod_sandbox(pod).await,
                Event::PostUpdatePodSandbox => plugin.post_update_pod_sandbox(pod).await,
                Event::StopPodSandbox => plugin.stop_pod_sandbox(pod).await,
                Event::RemovePodSandbox => plugin.remove_pod_sandbox(pod).await,
                _ => Ok(()),
            }
        };
        self.without_answer(event, self.call(ctx, event.name(), handler).await)
    }

    async fn on_container_event(
        &self,
        ctx: &TtrpcContext,
        event: Event,
        pod: MessageField<api::PodSandbox>,
        container: MessageField<api::Container>,
    ) -> ttrpc::Result<()> {
        let (pod, container) = need_both(event, pod, container)?;
        let plugin = Arc::clone(&self.plugin);
        let handler = async move {
            match event {
                Event::PostCreateContainer => plugin.post_create_container(pod, container).await,
                Event::StartContainer => plugin.start_container(pod, container).await,
                Event::PostStartContainer => plugin.post_start_container(pod, container).await,
                Event::PostUpdateContainer => plugin.post_update_container(pod, container).await,
                Event::RemoveContainer => plugin.remove_container(pod, container).await,
                _ => Ok(()),
            }
        };
        self.without_answer(event, self.call(ctx, event.name(), handler).await)
    }

    /// A number this stub does not know, or an event that never comes as a state change: the
    /// answer carries nothing, so saying yes is the only answer that does no harm.
    fn on_unknown(&self, number: i32) {
        if !self.unknown_seen.swap(true, Ordering::Relaxed) {
            log::warn!("nri: StateChange with event {number}, which has no meaning here: ignored");
        }
    }
}
