//! The process whose pid a pod has can die alone. The guest goes on, and must still be brought down.

use crate::node::{BARE, BEHIND_BERTH, Node};
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

    let failed = node.cri().stop_pod(&pod.id).expect_err("the runtime cannot enter");
    let sentence = format!("enter the network namespace {path}: No such file");
    assert!(failed.message().contains(&sentence), "{failed}");
    node.only_guest();
    assert!(node.has_tap(&netns));
}

/// What no interposer stands in front of, the daemon can still give the path that stays; to members, and that is enough.
#[test]
fn by_nri_alone_the_guest_is_brought_down_where_the_engine_can_change_a_members_path() {
    let node = Node::start();
    let _berth = node.berth().start();
    let (pod, _, _) = orphaned(&node, BARE);
    let stopped = node.cri().stop_pod(&pod.id);
    assert_eq!(stopped.is_ok(), node.can_swap(), "{stopped:?}");
    if node.can_swap() {
        node.cri().remove_pod(&pod.id).expect("remove the pod");
        node.assert_nothing_left();
    }
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
