//! The tests by subject, and what several of them assert.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test expects and does not get fails it"
)]

mod failure;
mod forged;
mod node;
mod pods;
mod standalone;

use self::node::Node;

/// The container says that it is of this type and sandbox, in both default dialects, and podman's own keys agree.
#[track_caller]
fn assert_identity(node: &Node, container: &str, kind: &str, sandbox: &str) {
    let annotations = node.annotations(container);
    for (key, value) in [
        ("ocid/container_type", kind),
        ("ocid/sandbox_id", sandbox),
        ("io.kubernetes.cri.container-type", kind),
        ("io.kubernetes.cri.sandbox-id", sandbox),
    ] {
        assert_eq!(annotations.get(key).map(String::as_str), Some(value), "{key} of {container}");
    }
    for (key, value) in [("io.kubernetes.cri-o.ContainerType", kind), ("io.kubernetes.cri-o.SandboxID", sandbox)] {
        assert!(annotations.get(key).is_none_or(|found| found == value), "{key} of {container}: {annotations:?}");
    }
}

/// Nothing says that the container is of a sandbox, in any dialect.
#[track_caller]
fn assert_not_stamped(node: &Node, container: &str) {
    let annotations = node.annotations(container);
    let identity: Vec<_> = annotations.keys().filter(|key| berth::dialect::identity_key(key).is_some()).collect();
    assert!(identity.is_empty(), "{container} is stamped: {identity:?}");
}

/// The container was given the path of the sandbox's pin, the pin keeps a namespace, and the container is in it.
#[track_caller]
fn assert_joined_pin(node: &Node, container: &str, sandbox: &str) {
    assert_eq!(node.netns_path(container), Some(node.pin_path(sandbox)));
    let pin = node.pin(sandbox).expect("the pod has a pin, and it is a mount");
    assert_eq!(node.netns_of(container), pin, "the container is in another namespace");
    assert_ne!(pin, node.rig.netns_of_node(), "the node's own network is pinned");
}
