//! An earlier berth is a binary that was built from the history of this repository, not this one by another name.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test expects and does not get fails it"
)]

mod exchanged;
mod mixed;
mod node;

use self::node::Node;
use crate::rig::cri::Sandbox;
use crate::rig::read::NetnsId;
use crate::rig::{IDLE, Rig};

/// The container says whose it is, was given the pin's path, and is in the namespace that the pin keeps.
#[track_caller]
fn assert_joined(rig: &Rig, pod: &Sandbox, container: &str, pin: NetnsId) {
    assert_eq!(rig.annotations(container).get("ocid/sandbox_id"), Some(&pod.id), "{container}");
    assert_eq!(rig.netns_path(container), Some(Rig::pin_path(&pod.id)));
    assert_eq!(rig.pin(&pod.id), Some(pin), "the pin keeps another namespace");
    assert_eq!(rig.netns_of_pid(rig.cri().container_pid(container)), pin);
}

/// A pod whose sandbox is pinned, with a container that has joined it.
#[track_caller]
fn run_pod(node: &Node, name: &str, handler: &str) -> (Sandbox, NetnsId) {
    let pod = node.rig.pod(name, handler);
    assert_eq!(node.rig.netns_path(&pod.id), Some(Rig::pin_path(&pod.id)), "of the sandbox");
    let pin = node.rig.pin(&pod.id).expect("the sandbox is pinned");
    let container = node.rig.container(&pod, "main", IDLE);
    assert_joined(&node.rig, &pod, &container, pin);
    (pod, pin)
}
