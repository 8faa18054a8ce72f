//! A plugin that writes down what reaches it and misbehaves on request.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test double")]

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use berth::nri::api::{self, Container, ContainerUpdate, LinuxResources, PodSandbox};
use berth::nri::{Answer, Event, EventMask, Plugin, Refusal, RefusalCode, Runtime, SessionState};
use tokio::sync::{Semaphore, mpsc};

/// Pods and containers of these ids make the recorder misbehave.
pub(crate) const PANIC: &str = "panic";
pub(crate) const REFUSE: &str = "refuse";
/// Waits for a permit of [`Recorder::release`].
pub(crate) const SLOW: &str = "slow";

pub(crate) struct Recorder {
    sender: mpsc::UnboundedSender<String>,
    pub(crate) events: EventMask,
    pub(crate) release: Semaphore,
    pub(crate) runtime: Mutex<Option<Runtime>>,
    pub(crate) configs: Mutex<Vec<String>>,
    pub(crate) refuse_sync: Mutex<bool>,
}

/// What was written down, in order: `Method pod container`, `state Registered`.
pub(crate) type Records = mpsc::UnboundedReceiver<String>;

pub(crate) fn recorder(events: EventMask) -> (Arc<Recorder>, Records) {
    let (sender, records) = mpsc::unbounded_channel();
    let recorder = Recorder {
        sender,
        events,
        release: Semaphore::new(0),
        runtime: Mutex::new(None),
        configs: Mutex::new(Vec::new()),
        refuse_sync: Mutex::new(false),
    };
    (Arc::new(recorder), records)
}

/// Subscribed to everything there is.
pub(crate) fn all_events() -> EventMask {
    EventMask::of(&Event::ALL)
}

impl Recorder {
    fn note(&self, text: String) {
        // A test may stop reading before the plugin stops writing.
        drop(self.sender.send(text));
    }

    async fn on(&self, what: &str, pod: &PodSandbox, container: Option<&Container>) -> Answer<()> {
        let container = container.map(|container| container.id.as_str());
        let id = container.unwrap_or(&pod.id);
        let line = match container {
            Some(id) => format!("{what} {} {id}", pod.id),
            None => format!("{what} {}", pod.id),
        };
        self.note(line);
        match id {
            PANIC => panic!("as asked"),
            REFUSE => Err(Refusal::new(RefusalCode::FailedPrecondition, "as asked")),
            SLOW => {
                drop(self.release.acquire().await.unwrap());
                self.note(format!("{what} done"));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
#[rustfmt::skip]
impl Plugin for Recorder {
    async fn configure(&self, runtime: &Runtime, config: &str) -> Answer<EventMask> {
        *self.runtime.lock().unwrap() = Some(runtime.clone());
        self.configs.lock().unwrap().push(config.to_owned());
        self.note("Configure".to_owned());
        Ok(self.events)
    }

    async fn synchronize(&self, pods: Vec<PodSandbox>, containers: Vec<Container>) -> Answer<Vec<ContainerUpdate>> {
        self.note(format!("Synchronize {} {}", pods.len(), containers.len()));
        if *self.refuse_sync.lock().unwrap() {
            return Err(Refusal::new(RefusalCode::Unavailable, "as asked"));
        }
        let update = |container: &Container| ContainerUpdate { container_id: container.id.clone(), ..Default::default() };
        Ok(containers.first().map(update).into_iter().collect())
    }

    fn lets_pass(&self, event: Event) -> bool { event == Event::PostUpdatePodSandbox }
    fn session(&self, state: SessionState) { self.note(format!("state {state:?}")); }
    async fn shutdown(&self) { self.note("Shutdown".to_owned()); }

    async fn run_pod_sandbox(&self, pod: PodSandbox) -> Answer<()> { self.on("RunPodSandbox", &pod, None).await }
    async fn update_pod_sandbox(&self, pod: PodSandbox, _: Option<LinuxResources>, _: Option<LinuxResources>) -> Answer<()> { self.on("UpdatePodSandbox", &pod, None).await }
    async fn post_update_pod_sandbox(&self, pod: PodSandbox) -> Answer<()> { self.on("PostUpdatePodSandbox", &pod, None).await }
    async fn stop_pod_sandbox(&self, pod: PodSandbox) -> Answer<()> { self.on("StopPodSandbox", &pod, None).await }
    async fn remove_pod_sandbox(&self, pod: PodSandbox) -> Answer<()> { self.on("RemovePodSandbox", &pod, None).await }
    async fn post_create_container(&self, pod: PodSandbox, c: Container) -> Answer<()> { self.on("PostCreateContainer", &pod, Some(&c)).await }
    async fn start_container(&self, pod: PodSandbox, c: Container) -> Answer<()> { self.on("StartContainer", &pod, Some(&c)).await }
    async fn post_start_container(&self, pod: PodSandbox, c: Container) -> Answer<()> { self.on("PostStartContainer", &pod, Some(&c)).await }
    async fn post_update_container(&self, pod: PodSandbox, c: Container) -> Answer<()> { self.on("PostUpdateContainer", &pod, Some(&c)).await }
    async fn remove_container(&self, pod: PodSandbox, c: Container) -> Answer<()> { self.on("RemoveContainer", &pod, Some(&c)).await }

    async fn create_container(&self, pod: PodSandbox, c: Container) -> Answer<api::CreateContainerResponse> {
        self.on("CreateContainer", &pod, Some(&c)).await?;
        let mut response = api::CreateContainerResponse::default();
        // As big as the test wants the answer to be.
        let size = c.annotations.get("answer").map_or(0, |size| size.parse().unwrap());
        response.adjust.mut_or_insert_default().annotations.insert("answer".to_owned(), "x".repeat(size));
        Ok(response)
    }
    async fn update_container(&self, pod: PodSandbox, c: Container, _: Option<LinuxResources>) -> Answer<api::UpdateContainerResponse> {
        self.on("UpdateContainer", &pod, Some(&c)).await?;
        Ok(api::UpdateContainerResponse::default())
    }
    async fn stop_container(&self, pod: PodSandbox, c: Container) -> Answer<Vec<ContainerUpdate>> {
        self.on("StopContainer", &pod, Some(&c)).await?;
        Ok(Vec::new())
    }
    async fn validate_container_adjustment(&self, request: api::ValidateContainerAdjustmentRequest) -> Answer<api::ValidateContainerAdjustmentResponse> {
        self.on("ValidateContainerAdjustment", &request.pod, Some(&request.container)).await?;
        Ok(api::ValidateContainerAdjustmentResponse { reject: true, reason: "as asked".to_owned(), ..Default::default() })
    }
}
