//! Where a cluster comes from. Everything else of the suite is the same on all of them.

use std::fmt::Debug;
use std::path::Path;
use std::process::Command;

use super::kind::Kind;
use super::local::{Local, Settings};
use crate::rig::place::Place;

/// A cluster of one node, whose engine is containerd; it goes with this value.
pub(crate) trait Provider: Debug + Send + Sync {
    /// `kubectl` as the cluster's administrator. Paths of its arguments are those of this process.
    fn kubectl(&self) -> Command;

    /// The node's namespaces.
    fn node(&self) -> Place;

    /// Ends the node's containerd, starts it again, and returns when its CRI answers. Pods go on running meanwhile.
    fn restart_engine(&self);

    /// Brings the images of an archive, as `docker save` writes it, to where the kubelet finds them.
    fn load_images(&self, archive: &Path);

    /// The engine's runtime handlers beside the default one. All run runc: [`VM`](crate::rig::containerd::VM), which
    /// berth selects, is among them; where there are interposers, those behind which they stand.
    fn handlers(&self) -> &[&str];

    /// What the parts of the cluster have logged, by their names.
    fn logs(&self) -> Vec<(String, String)>;
}

/// The cluster of this run, started, to be kept until this process ends; or the one that `BERTH_CLUSTER` names, as
/// `kind:NAME`, which others keep.
pub(crate) fn start() -> Box<dyn Provider> {
    let Ok(named) = std::env::var("BERTH_CLUSTER") else {
        return Box::new(Local::start(&Settings::default()).sweep_at_exit());
    };
    let name = named.strip_prefix("kind:").unwrap_or_else(|| panic!("BERTH_CLUSTER={named} is not kind:NAME"));
    Box::new(Kind::of(name))
}
