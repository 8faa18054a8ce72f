//! berth in a mount namespace of its own, as in a pod: only where its mounts reach the engine can it pin.

use super::{assert_identity, assert_networked, assert_nothing_left, assert_path_untouched};
use crate::rig::berth::Mounts;
use crate::rig::containerd::VM;
use crate::rig::{IDLE, Rig};

#[test]
fn where_mounts_reach_the_engine_the_pins_are_the_nodes() {
    let rig = Rig::start();
    let _berth = rig.berth().mounts(Mounts::Shared).start();
    let pod = rig.pod("web", VM);
    let container = rig.container(&pod, "main", IDLE);

    assert_identity(&rig, &pod, "web", &container);
    assert_networked(&rig, &pod, &container);
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_nothing_left(&rig);
}

#[test]
fn where_mounts_do_not_reach_the_engine_nothing_is_swapped_and_berth_says_so() {
    let rig = Rig::start();
    let mut berth = rig.berth().mounts(Mounts::Private).start();
    let pod = rig.pod("web", VM);
    let container = rig.container(&pod, "main", IDLE);

    assert_path_untouched(&rig, &pod, &container);
    assert_identity(&rig, &pod, "web", &container);
    assert_eq!(rig.pins(), Vec::<String>::new(), "a pin that the engine cannot use");
    // On an engine that cannot swap either, this is what the operator is told first.
    berth.await_line("why it swaps nothing", |line| {
        line.contains("event=CreateContainer") && line.contains("reason=pins-do-not-reach")
    });
}
