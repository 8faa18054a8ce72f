//! Handlers with berth in front of their OCI runtime or their shim: the sandbox's own specification is edited too, and
//! berth is gone from the process tree when the real program runs.

use super::{assert_identity, assert_joined_pin, assert_nothing_left, assert_path_untouched};
use crate::rig::containerd::{SHIMMED, WRAPPED};
use crate::rig::cri::Pod;
use crate::rig::holds::{Pair, assert_collected, assert_sandbox};
use crate::rig::{IDLE, Rig};

#[test]
fn behind_a_wrapped_oci_runtime_sandbox_and_containers_get_identity_and_pin_without_a_daemon() {
    let rig = Rig::start();
    let web = Pair::run(&rig, &Pod::new("web", WRAPPED));
    web.assert_in_berth(&rig);

    rig.cri().remove_pod(&web.pod.id).expect("remove the pod");
    // The next creation is the occasion on which the pin goes.
    let next = rig.pod("next", WRAPPED);
    assert_eq!(rig.pin(&web.pod.id), None, "the pin of the pod that is gone");
    rig.cri().remove_pod(&next.id).expect("remove the pod");
    assert_collected(&rig);
}

#[test]
fn behind_a_wrapped_shim_the_sandbox_gets_identity_and_pin_and_the_daemon_does_the_rest() {
    let rig = Rig::start();
    let berth = rig.has_nri().then(|| rig.berth().start());
    let pod = rig.pod("web", SHIMMED);
    assert_sandbox(&rig, &pod, "web");
    let container = rig.container(&pod, "main", IDLE);
    assert_identity(&rig, &pod, "web", &container);
    // From 2.0 on, containerd asks the shim of a sandbox that speaks version 3 itself, and 2.0 and 2.1 let no plugin change
    // a path: there a member keeps its own. Before, each container has a start of its own.
    if rig.can_swap() || !rig.asks_running_shims() {
        assert_joined_pin(&rig, &pod, &container);
    } else {
        assert_path_untouched(&rig, &pod, &container);
    }

    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    if berth.is_none() {
        let gc = rig.berth_command(&["gc"]);
        assert!(gc.status.success(), "{gc:?}");
    }
    assert_nothing_left(&rig);
}
