//! The process whose pid a pod has can die alone. The guest goes on, and must still be brought down.

use crate::node::{BARE, BEHIND_BERTH, Node, SHIMMED};
use crate::rig::cri::Sandbox;
use crate::rig::{IDLE, Rig};

/// A pod whose pause process was killed and whose guest goes on, with a container in it; the two and the engine's own
/// file of the network namespace.
#[track_caller]
fn orphaned(node: &Node, handler: &str) -> (Sandbox, String, String) {
    let pod = node.pod("web", handler);
    let container = node.container(&pod, "main", IDLE);
    let (guest, state) = (node.only_guest(), node.cri().sandbox_state(&pod.id));
    node.kill_pause(&pod);
    assert_eq!(node.only_guest(), guest, "the guest ended with the pause process");
    node.page(&state.address, &format!("containers/{container}")).expect("the container goes on in the guest");
    (pod, container, state.netns.expect("the pod has a network of its own"))
}

/// The pod cannot be stopped, because its runtime cannot enter at a path that begins so; the guest goes on.
#[track_caller]
fn assert_stuck(node: &Node, pod: &Sandbox, path: &str) {
    let failed = node.cri().stop_pod(&pod.id).expect_err("the runtime cannot enter");
    assert!(failed.message().contains(&format!("enter the network namespace {path}")), "{failed}");
    assert!(failed.message().contains("No such file"), "{failed}");
    node.only_guest();
}

#[test]
fn after_the_pause_process_is_dead_the_guest_is_brought_down_by_the_path_that_stays() {
    let node = Node::start();
    let (pod, container, netns) = orphaned(&node, BEHIND_BERTH);
    let path = Rig::pin_path(&pod.id);
    assert_eq!(node.netns_path(&container).as_ref(), Some(&path));
    assert!(node.has_tap(&netns));

    node.cri().stop_pod(&pod.id).expect("stop the pod");
    node.assert_logged(&format!("leave {container}: the TAP was removed and the guest stopped, in {path}"));
    node.cri().remove_pod(&pod.id).expect("remove the pod");
    node.await_nothing_left_after_gc();
}

#[test]
fn without_berth_the_path_dies_with_the_pause_process_and_the_guest_cannot_be_brought_down() {
    let node = Node::start();
    let (pod, container, netns) = orphaned(&node, BARE);
    let path = node.netns_path(&container).expect("the container has a network namespace");
    assert!(path.starts_with("/proc/"), "the engine gives another path than this test knows: {path}");
    assert_stuck(&node, &pod, &path);
    assert!(node.has_tap(&netns));
}

/// With the daemon: the guest is brought down, or cannot be where the members' path is the engine's.
#[track_caller]
fn assert_brought_down(node: &Node, handler: &str, path_stays: bool) {
    let _berth = node.berth().start();
    let (pod, ..) = orphaned(node, handler);
    if path_stays {
        node.cri().remove_pod(&pod.id).expect("stop and remove the pod");
        node.assert_nothing_left();
    } else {
        assert_stuck(node, &pod, "/proc/");
    }
}

#[test]
fn by_nri_alone_the_guest_is_brought_down_where_the_engine_can_change_a_members_path() {
    let node = Node::start();
    assert_brought_down(&node, BARE, node.can_swap());
}

#[test]
fn behind_a_wrapped_shim_the_guest_is_brought_down_where_a_member_has_a_start_or_the_engine_can_change_its_path() {
    let node = Node::start();
    assert_brought_down(&node, SHIMMED, node.can_swap() || !node.asks_running_shims());
}

#[test]
fn a_pause_process_that_dies_alone_takes_the_guest_along() {
    let node = Node::start();
    let pod = node.pod("web", BEHIND_BERTH);
    let path = Rig::pin_path(&pod.id);
    node.kill_pause(&pod);
    node.assert_logged(&format!("leave {}: the TAP was removed and the guest stopped, in {path}", pod.id));
    node.cri().remove_pod(&pod.id).expect("remove the pod");
    node.await_nothing_left_after_gc();
}
