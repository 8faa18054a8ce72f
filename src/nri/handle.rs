//! The plugin's way to the runtime outside of any event.

use std::fmt;
use std::time::Duration;

use tokio::time::timeout;
use ttrpc::context;

use super::api::service::RuntimeClient;
use super::api::{ContainerEviction, ContainerUpdate, RegisterPluginRequest, UpdateContainersRequest};
use super::error::NriError;
use super::identity::Identity;

/// The NRI version this stub is written against, told at registration.
pub const NRI_VERSION: &str = "v0.12.0";

/// Calls the runtime. Valid for one session; afterwards every call fails.
#[derive(Clone)]
pub struct RuntimeHandle {
    client: RuntimeClient,
}

impl fmt::Debug for RuntimeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RuntimeHandle").finish_non_exhaustive()
    }
}

impl RuntimeHandle {
    pub(crate) fn new(client: ttrpc::r#async::Client) -> Self {
        Self { client: RuntimeClient::new(client) }
    }

    /// Updates and evicts containers, and returns the updates the runtime could not do.
    ///
    /// Not to be awaited inside an event handler: before NRI 0.12.1 the runtime holds its lock
    /// while it waits for the handler, and needs that lock for this call (containerd#13733).
    ///
    /// # Errors
    ///
    /// [`NriError::Update`] if the runtime refuses or the session is over,
    /// [`NriError::UpdateTimeout`] if it does not answer in time.
    pub async fn update_containers(
        &self,
        update: Vec<ContainerUpdate>,
        evict: Vec<ContainerEviction>,
        limit: Duration,
    ) -> Result<Vec<ContainerUpdate>, NriError> {
        let containers = update.len() + evict.len();
        let request = UpdateContainersRequest { update, evict, ..Default::default() };
        // No limit for ttrpc: it would end the same moment and hide which limit it was.
        let call = self.client.update_containers(context::Context::default(), &request);
        match timeout(limit, call).await {
            Ok(Ok(response)) => Ok(response.failed),
            Ok(Err(source)) => Err(NriError::Update { containers, source }),
            Err(_elapsed) => Err(NriError::UpdateTimeout { containers, limit }),
        }
    }

    pub(crate) async fn register(&self, identity: &Identity, limit: Duration) -> Result<(), NriError> {
        let request = RegisterPluginRequest {
            plugin_name: identity.name().to_owned(),
            plugin_idx: identity.index().to_owned(),
            NRI_version: NRI_VERSION.to_owned(),
            ..Default::default()
        };
        let plugin = identity.to_string();
        let call = self.client.register_plugin(context::Context::default(), &request);
        match timeout(limit, call).await {
            Ok(Ok(_empty)) => Ok(()),
            Ok(Err(source)) => Err(NriError::Register { plugin, source }),
            Err(_elapsed) => Err(NriError::RegisterTimeout { plugin, limit }),
        }
    }
}
