//! The tests by subject, and what several of them assert.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test expects and does not get fails it"
)]

mod default_handler;
mod engine;
mod failure;
mod identity;
mod interposed;
mod launched;
mod lifecycle;
mod other_plugin;
mod reach;
mod restart;

use crate::rig::Rig;
use crate::rig::cri::Sandbox;
use crate::rig::read::NetnsId;
use crate::rig::wait::{DEADLINE, eventually, within};

/// The container says whose it is, in both default dialects.
#[track_caller]
fn assert_identity(rig: &Rig, pod: &Sandbox, name: &str, container: &str) {
    let annotations = rig.annotations(container);
    for (key, value) in [
        ("ocid/container_type", "container"),
        ("ocid/sandbox_name", name),
        ("ocid/sandbox_id", &pod.id),
        ("io.kubernetes.cri.container-type", "container"),
        ("io.kubernetes.cri.sandbox-name", name),
        ("io.kubernetes.cri.sandbox-id", &pod.id),
    ] {
        assert_eq!(annotations.get(key).map(String::as_str), Some(value), "{key} of {container}");
    }
}

/// The container was given the pin's path, the pin keeps the pod's namespace, and the container is in it.
#[track_caller]
fn assert_joined_pin(rig: &Rig, pod: &Sandbox, container: &str) {
    assert_eq!(rig.netns_path(container), Some(Rig::pin_path(&pod.id)));
    let pin = rig.pin(&pod.id).expect("the pod has a pin, and it is a mount");
    assert_eq!(rig.netns_of_pid(rig.cri().container_pid(container)), pin, "the container is in another namespace");
    assert_ne!(pin, rig.netns_of_node(), "the node's own network is pinned");
}

/// No pin, no mount, and no file of the state directory is left of any pod.
#[track_caller]
fn assert_nothing_left(rig: &Rig) {
    assert_goes(|| rig.left_of_pods());
}

#[track_caller]
fn assert_nothing_left_of(rig: &Rig, pod: &Sandbox) {
    assert_goes(|| rig.left_of_pods().into_iter().filter(|path| path.contains(&pod.id)).collect());
}

#[track_caller]
fn assert_goes(left: impl Fn() -> Vec<String>) {
    let gone = within(DEADLINE, || left().is_empty().then_some(()));
    assert!(gone.is_some(), "still there after {DEADLINE:?}: {:?}", left());
}

/// berth has handled the pod's start: its pin is there.
#[track_caller]
fn await_pin(rig: &Rig, pod: &Sandbox) -> NetnsId {
    eventually("the pod is pinned", || rig.pin(&pod.id))
}
