//! A cluster that berth can be put into, and what tests ask of it.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::json;

use super::image;
use super::local::{Local, Settings};
use super::provider::{self, Provider};
use crate::rig::place::Place;
use crate::rig::provision::provision;

/// A cluster whose node is ready and has the images of berth and of the test's pods. Each of the engine's handlers has
/// a RuntimeClass of its name.
#[derive(Debug)]
pub(crate) struct Cluster {
    provider: Box<dyn Provider>,
    /// The overlay that is applied, if one is.
    pub(super) overlay: Mutex<Option<String>>,
}

/// The right to be the only test that uses the cluster of this run.
pub(crate) type Turn = MutexGuard<'static, ()>;

impl Cluster {
    /// The cluster of this run, which all tests share one after the other, and its turn. The first one starts it.
    pub(crate) fn shared() -> (&'static Self, Turn) {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        (CLUSTER.get_or_init(|| Self::furnish(provider::start())), turn)
    }

    /// A cluster of the test's own, for one that needs another engine or kubelet; always from plain programs.
    pub(crate) fn own(settings: &Settings) -> Self {
        Self::furnish(Box::new(Local::start(settings)))
    }

    fn furnish(provider: Box<dyn Provider>) -> Self {
        provider.load_images(&provision().images);
        provider.load_images(image::archive());
        let cluster = Self { provider, overlay: Mutex::new(None) };
        for handler in cluster.provider.handlers() {
            let class = json!({"name": handler});
            let class =
                json!({"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": class, "handler": handler});
            cluster.apply(&class.to_string());
        }
        cluster
    }

    pub(super) fn provider(&self) -> &dyn Provider {
        self.provider.as_ref()
    }

    /// See [`Provider::kubectl`].
    pub(crate) fn kubectl_command(&self) -> std::process::Command {
        self.provider.kubectl()
    }

    /// The node, to look at and to work on.
    pub(crate) fn node(&self) -> Place {
        self.provider.node()
    }

    /// See [`Provider::restart_engine`].
    pub(crate) fn restart_engine(&self) {
        self.provider.restart_engine();
    }

    /// See [`Provider::load_images`].
    pub(crate) fn load_images(&self, archive: &std::path::Path) {
        self.provider.load_images(archive);
    }
}
