//! What tests of every engine assert.

use super::Rig;
use super::cri::Sandbox;
use super::read::NetnsId;
use super::wait::{DEADLINE, eventually, within};

/// The container was given the pin's path, the pin keeps the pod's namespace, and the container is in it.
#[track_caller]
pub(crate) fn assert_joined_pin(rig: &Rig, pod: &Sandbox, container: &str) {
    assert_eq!(rig.netns_path(container), Some(Rig::pin_path(&pod.id)));
    let pin = rig.pin(&pod.id).expect("the pod has a pin, and it is a mount");
    assert_eq!(rig.netns_of_pid(rig.cri().container_pid(container)), pin, "the container is in another namespace");
    assert_ne!(pin, rig.netns_of_node(), "the node's own network is pinned");
}

/// No pin, no mount, and no file of the state directory is left of any pod.
#[track_caller]
pub(crate) fn assert_nothing_left(rig: &Rig) {
    assert_goes(|| rig.left_of_pods());
}

#[track_caller]
pub(crate) fn assert_nothing_left_of(rig: &Rig, pod: &Sandbox) {
    assert_goes(|| rig.left_of_pods().into_iter().filter(|path| path.contains(&pod.id)).collect());
}

#[track_caller]
fn assert_goes(left: impl Fn() -> Vec<String>) {
    let gone = within(DEADLINE, || left().is_empty().then_some(()));
    assert!(gone.is_some(), "still there after {DEADLINE:?}: {:?}", left());
}

/// berth has handled the pod's start: its pin is there. For tests that are about pins alone.
#[track_caller]
pub(crate) fn await_pin(rig: &Rig, pod: &Sandbox) -> NetnsId {
    eventually("the pod is pinned", || rig.pin(&pod.id))
}
