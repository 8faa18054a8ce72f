//! berth as a plugin that containerd itself launches.

use super::{assert_identity, assert_joined_pin, assert_nothing_left};
use crate::rig::berth::binary;
use crate::rig::containerd::VM;
use crate::rig::{IDLE, Rig};

const PLUGIN: &str = "/run/rig/nri/plugins/10-berth";

#[test]
fn berth_launched_by_containerd_from_its_plugin_directory_does_the_same() {
    let mut rig = Rig::furnished();
    std::fs::copy(binary(), rig.path(PLUGIN)).expect("install the plugin");
    // Its CRI service is not ready before the plugins are. What they log goes nowhere: containerd gives them no
    // standard error.
    rig.start_containerd();

    let pod = rig.pod("web", VM);
    let container = rig.container(&pod, "main", IDLE);
    assert_identity(&rig, &pod, "web", &container);
    assert_joined_pin(&rig, &pod, &container);

    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_nothing_left(&rig);
}
