//! The generated service trait, method by method. What decides is one level up.

use std::sync::Arc;

use async_trait::async_trait;
use ttrpc::Result;
use ttrpc::r#async::TtrpcContext as Ctx;

use super::refuse::{need_both, need_pod};
use super::{Dispatcher, Phase};
use crate::nri::api::{self, service};
use crate::nri::events::Event;

#[async_trait]
impl service::Plugin for Dispatcher {
    async fn configure(&self, ctx: &Ctx, request: api::ConfigureRequest) -> Result<api::ConfigureResponse> {
        let result = self.on_configure(ctx, request).await;
        match &result {
            Ok(_) => self.configured(),
            Err(refusal) => self.fail("Configure", refusal),
        }
        Ok(result?)
    }

    async fn synchronize(&self, ctx: &Ctx, request: api::SynchronizeRequest) -> Result<api::SynchronizeResponse> {
        let result = self.on_synchronize(ctx, request).await;
        if let Err(refusal) = &result {
            self.fail("Synchronize", refusal);
        }
        Ok(result?)
    }

    async fn shutdown(&self, ctx: &Ctx, _: api::Empty) -> Result<api::Empty> {
        let plugin = Arc::clone(&self.plugin);
        let handler = async move {
            plugin.shutdown().await;
            Ok(())
        };
        let result = self.call(ctx, "Shutdown", handler).await;
        self.phase.send_replace(Phase::ShutDown);
        result?;
        Ok(api::Empty::default())
    }

    async fn update_pod_sandbox(
        &self,
        ctx: &Ctx,
        request: api::UpdatePodSandboxRequest,
    ) -> Result<api::UpdatePodSandboxResponse> {
        let pod = need_pod(Event::UpdatePodSandbox, request.pod)?;
        let plugin = Arc::clone(&self.plugin);
        let overhead = request.overhead_linux_resources.into_option();
        let resources = request.linux_resources.into_option();
        let handler = async move { plugin.update_pod_sandbox(pod, overhead, resources).await };
        self.call(ctx, Event::UpdatePodSandbox.name(), handler).await?;
        Ok(api::UpdatePodSandboxResponse::default())
    }

    async fn create_container(
        &self,
        ctx: &Ctx,
        request: api::CreateContainerRequest,
    ) -> Result<api::CreateContainerResponse> {
        let (pod, container) = need_both(Event::CreateContainer, request.pod, request.container)?;
        let plugin = Arc::clone(&self.plugin);
        let handler = async move { plugin.create_container(pod, container).await };
        Ok(self.call(ctx, Event::CreateContainer.name(), handler).await?)
    }

    async fn update_container(
        &self,
        ctx: &Ctx,
        request: api::UpdateContainerRequest,
    ) -> Result<api::UpdateContainerResponse> {
        let (pod, container) = need_both(Event::UpdateContainer, request.pod, request.container)?;
        let resources = request.linux_resources.into_option();
        let plugin = Arc::clone(&self.plugin);
        let handler = async move { plugin.update_container(pod, container, resources).await };
        Ok(self.call(ctx, Event::UpdateContainer.name(), handler).await?)
    }

    async fn stop_container(
        &self,
        ctx: &Ctx,
        request: api::StopContainerRequest,
    ) -> Result<api::StopContainerResponse> {
        let (pod, container) = need_both(Event::StopContainer, request.pod, request.container)?;
        let plugin = Arc::clone(&self.plugin);
        let handler = async move { plugin.stop_container(pod, container).await };
        let update = self.call(ctx, Event::StopContainer.name(), handler).await?;
        Ok(api::StopContainerResponse { update, ..Default::default() })
    }

    async fn validate_container_adjustment(
        &self,
        ctx: &Ctx,
        mut request: api::ValidateContainerAdjustmentRequest,
    ) -> Result<api::ValidateContainerAdjustmentResponse> {
        let event = Event::ValidateContainerAdjustment;
        let (pod, container) = need_both(event, request.pod.take().into(), request.container.take().into())?;
        request.pod = Some(pod).into();
        request.container = Some(container).into();
        let plugin = Arc::clone(&self.plugin);
        let handler = async move { plugin.validate_container_adjustment(request).await };
        Ok(self.call(ctx, event.name(), handler).await?)
    }

    async fn state_change(&self, ctx: &Ctx, request: api::StateChangeEvent) -> Result<api::Empty> {
        let number = request.event.value();
        match Event::from_number(number) {
            Some(
                event @ (Event::RunPodSandbox
                | Event::PostUpdatePodSandbox
                | Event::StopPodSandbox
                | Event::RemovePodSandbox),
            ) => self.on_pod_event(ctx, event, request.pod).await?,
            Some(
                event @ (Event::PostCreateContainer
                | Event::StartContainer
                | Event::PostStartContainer
                | Event::PostUpdateContainer
                | Event::RemoveContainer),
            ) => {
                self.on_container_event(ctx, event, request.pod, request.container).await?;
            }
            _ => self.on_unknown(number),
        }
        Ok(api::Empty::default())
    }

    async fn run_pod_sandbox(
        &self,
        ctx: &Ctx,
        request: api::RunPodSandboxRequest,
    ) -> Result<api::RunPodSandboxResponse> {
        self.on_pod_event(ctx, Event::RunPodSandbox, request.pod).await?;
        Ok(api::RunPodSandboxResponse::default())
    }

    async fn post_update_pod_sandbox(
        &self,
        ctx: &Ctx,
        request: api::PostUpdatePodSandboxRequest,
    ) -> Result<api::PostUpdatePodSandboxResponse> {
        self.on_pod_event(ctx, Event::PostUpdatePodSandbox, request.pod).await?;
        Ok(api::PostUpdatePodSandboxResponse::default())
    }

    async fn stop_pod_sandbox(
        &self,
        ctx: &Ctx,
        request: api::StopPodSandboxRequest,
    ) -> Result<api::StopPodSandboxResponse> {
        self.on_pod_event(ctx, Event::StopPodSandbox, request.pod).await?;
        Ok(api::StopPodSandboxResponse::default())
    }

    async fn remove_pod_sandbox(
        &self,
        ctx: &Ctx,
        request: api::RemovePodSandboxRequest,
    ) -> Result<api::RemovePodSandboxResponse> {
        self.on_pod_event(ctx, Event::RemovePodSandbox, request.pod).await?;
        Ok(api::RemovePodSandboxResponse::default())
    }

    async fn post_create_container(
        &self,
        ctx: &Ctx,
        request: api::PostCreateContainerRequest,
    ) -> Result<api::PostCreateContainerResponse> {
        let event = Event::PostCreateContainer;
        self.on_container_event(ctx, event, request.pod, request.container).await?;
        Ok(api::PostCreateContainerResponse::default())
    }

    async fn start_container(
        &self,
        ctx: &Ctx,
        request: api::StartContainerRequest,
    ) -> Result<api::StartContainerResponse> {
        let event = Event::StartContainer;
        self.on_container_event(ctx, event, request.pod, request.container).await?;
        Ok(api::StartContainerResponse::default())
    }

    async fn post_start_container(
        &self,
        ctx: &Ctx,
        request: api::PostStartContainerRequest,
    ) -> Result<api::PostStartContainerResponse> {
        let event = Event::PostStartContainer;
        self.on_container_event(ctx, event, request.pod, request.container).await?;
        Ok(api::PostStartContainerResponse::default())
    }

    async fn post_update_container(
        &self,
        ctx: &Ctx,
        request: api::PostUpdateContainerRequest,
    ) -> Result<api::PostUpdateContainerResponse> {
        let event = Event::PostUpdateContainer;
        self.on_container_event(ctx, event, request.pod, request.container).await?;
        Ok(api::PostUpdateContainerResponse::default())
    }

    async fn remove_container(
        &self,
        ctx: &Ctx,
        request: api::RemoveContainerRequest,
    ) -> Result<api::RemoveContainerResponse> {
        let event = Event::RemoveContainer;
        self.on_container_event(ctx, event, request.pod, request.container).await?;
        Ok(api::RemoveContainerResponse::default())
    }
}
