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
mod plain;
mod reach;
mod recorded;
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

/// The container is where it belongs: given the pin's path where the engine can do that, else left with its own.
#[track_caller]
fn assert_networked(rig: &Rig, pod: &Sandbox, container: &str) {
    if rig.can_swap() {
        assert_joined_pin(rig, pod, container);
    } else {
        assert_path_untouched(rig, pod, container);
        assert_eq!(rig.left_of_pods(), Vec::<String>::new(), "something was made on an engine that could not use it");
    }
}

/// The container has the path that the engine gives without berth, and is in the pod's namespace by it.
#[track_caller]
fn assert_path_untouched(rig: &Rig, pod: &Sandbox, container: &str) {
    let sandbox_pid = rig.cri().sandbox_state(&pod.id).pid;
    assert_eq!(rig.netns_path(container), Some(format!("/proc/{sandbox_pid}/ns/net")), "the path was changed");
    assert_eq!(rig.netns_of_pid(rig.cri().container_pid(container)), rig.netns_of_pid(sandbox_pid));
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

/// berth has handled the pod's start: its pin is there, or it has none because the engine could not use it.
#[track_caller]
fn await_settled(rig: &Rig, pod: &Sandbox) -> Option<NetnsId> {
    if rig.can_swap() {
        return Some(await_pin(rig, pod));
    }
    assert_eq!(rig.left_of_pods(), Vec::<String>::new(), "something was made on an engine that could not use it");
    None
}

/// berth has handled the pod's start: its pin is there. For tests that are about pins alone.
#[track_caller]
fn await_pin(rig: &Rig, pod: &Sandbox) -> NetnsId {
    eventually("the pod is pinned", || rig.pin(&pod.id))
}
