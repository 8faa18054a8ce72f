//! Events, in the form of the runtime's generation, and what they are about.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test double")]

use std::sync::atomic::Ordering;

use berth::nri::api::{self, Container, PodSandbox};
use berth::nri::{Event, EventMask};
use protobuf::MessageField;
use ttrpc::Code;

use super::{Generation, Session};

impl Session {
    /// Sends an event that has no answer, in the form of this generation.
    pub(crate) async fn event(
        &self,
        event: Event,
        pod: Option<PodSandbox>,
        container: Option<Container>,
    ) -> ttrpc::Result<()> {
        let fallen_back = self.fallen_back.load(Ordering::Relaxed);
        if self.profile.generation == Generation::Dedicated && !fallen_back {
            let (pod, container) = (pod.clone(), container.clone());
            match self.dedicated(event, pod.into(), container.into()).await {
                Err(ttrpc::Error::RpcStatus(status)) if status.code() == Code::UNIMPLEMENTED => {
                    self.fallen_back.store(true, Ordering::Relaxed);
                }
                answer => return answer,
            }
        }
        self.state_change(event.number(), pod, container).await
    }

    pub(crate) async fn state_change(
        &self,
        event: i32,
        pod: Option<PodSandbox>,
        container: Option<Container>,
    ) -> ttrpc::Result<()> {
        let request = api::StateChangeEvent {
            event: protobuf::EnumOrUnknown::from_i32(event),
            pod: pod.into(),
            container: container.into(),
            ..Default::default()
        };
        let answer = self.plugin.state_change(self.ctx(), &request).await;
        answer.map(|_empty| ())
    }

    #[rustfmt::skip]
    async fn dedicated(
        &self,
        event: Event,
        pod: MessageField<PodSandbox>,
        container: MessageField<Container>,
    ) -> ttrpc::Result<()> {
        macro_rules! send {
            ($method:ident, $request:ident { $($field:ident),* }) => {{
                let request = api::$request { $($field,)* ..Default::default() };
                self.plugin.$method(self.ctx(), &request).await.map(|_empty| ())
            }};
        }
        match event {
            Event::RunPodSandbox => send!(run_pod_sandbox, RunPodSandboxRequest { pod }),
            Event::StopPodSandbox => send!(stop_pod_sandbox, StopPodSandboxRequest { pod }),
            Event::RemovePodSandbox => send!(remove_pod_sandbox, RemovePodSandboxRequest { pod }),
            Event::PostUpdatePodSandbox => send!(post_update_pod_sandbox, PostUpdatePodSandboxRequest { pod }),
            Event::PostCreateContainer => send!(post_create_container, PostCreateContainerRequest { pod, container }),
            Event::StartContainer => send!(start_container, StartContainerRequest { pod, container }),
            Event::PostStartContainer => send!(post_start_container, PostStartContainerRequest { pod, container }),
            Event::PostUpdateContainer => send!(post_update_container, PostUpdateContainerRequest { pod, container }),
            Event::RemoveContainer => send!(remove_container, RemoveContainerRequest { pod, container }),
            other => panic!("{other} has an answer: call the plugin client"),
        }
    }

    /// Asks for the adjustment of a container.
    pub(crate) async fn create_container(
        &self,
        pod: PodSandbox,
        container: Container,
    ) -> ttrpc::Result<api::CreateContainerResponse> {
        let request = api::CreateContainerRequest {
            pod: Some(pod).into(),
            container: Some(container).into(),
            ..Default::default()
        };
        self.plugin.create_container(self.ctx(), &request).await
    }
}

pub(crate) fn pod(id: &str) -> PodSandbox {
    PodSandbox { id: id.to_owned(), name: format!("name-{id}"), namespace: "default".to_owned(), ..Default::default() }
}

pub(crate) fn container(id: &str, pod: &str) -> Container {
    Container { id: id.to_owned(), pod_sandbox_id: pod.to_owned(), ..Default::default() }
}

/// What a mask on the wire subscribes to.
pub(crate) fn subscribed(bits: i32) -> Vec<Event> {
    let all = Event::ALL.into_iter();
    all.filter(|event| bits & EventMask::of(&[*event]).bits() != 0).collect()
}
