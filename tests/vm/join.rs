//! A pod in a guest: who boots it, and who joins it.

use serde_json::json;

use crate::node::{BARE, BEHIND_BERTH, Node};
use crate::rig::cri::{Pod, Sandbox};
use crate::rig::wait::eventually;
use crate::rig::{IDLE, Rig};

#[test]
fn a_guest_answers_on_the_pods_address_and_further_containers_join_it() {
    let node = Node::start();
    let pod = node.pod("web", BEHIND_BERTH);
    let path = Rig::pin_path(&pod.id);
    let guest = node.only_guest();
    assert_eq!(node.netns_of_pid(guest), node.pinned(&pod), "the guest's machine is in another namespace");
    assert!(node.has_tap(&path));
    node.assert_logged(&format!("create {0}: Sandbox of {0} by ocid,containerd, in {path}", pod.id));
    let address = node.cri().sandbox_state(&pod.id).address;
    node.ping_from_node(&address).expect("the guest answers to the node's ping");
    assert_eq!(node.page(&address, ""), Ok(Node::front_page(&pod)));

    // Each is a process in the guest: what the first writes, the guest serves, and the second gets over loopback.
    let first = node.container(&pod, "first", "echo one >/www/first; exec sleep 86400");
    eventually("the first container has written its page", || node.page(&address, "first").ok());
    let fetch = "wget -q -O /www/fetched http://127.0.0.1/first && mv /www/fetched /www/second; exec sleep 86400";
    let second = node.container(&pod, "second", fetch);
    let fetched = eventually("the second container has written its page", || node.page(&address, "second").ok());
    assert_eq!(fetched, "one\n");
    for container in [&first, &second] {
        node.page(&address, &format!("containers/{container}")).expect("the container is in the guest");
        node.assert_logged(&format!("create {container}: Member of {} by ocid,containerd, in {path}", pod.id));
    }
    assert_eq!(node.only_guest(), guest, "another guest was booted");

    node.cri().stop_container(&first).expect("stop the first container");
    node.page(&address, &format!("containers/{first}")).expect_err("the first container is still in the guest");
    node.page(&address, &format!("containers/{second}")).expect("the second container is still in the guest");
    node.cri().remove_pod(&pod.id).expect("remove the pod");
    node.await_nothing_left_after_gc();
}

/// The runtime does not let another container in: it finds no guest where it was told to look.
#[track_caller]
fn assert_refused(node: &Node, pod: &Sandbox, netns: &str) {
    // The engine calls the runtime when a container is started.
    let container = node.cri().create_container(pod, "main", IDLE).expect("create the container");
    let refused = node.cri().start_container(&container).expect_err("there is no guest to join");
    let sentence = format!("no guest of sandbox {} is in {netns}", pod.id);
    assert!(refused.message().contains(&sentence), "{refused}");
}

/// The pid that such a runtime reports is its shim's, say; the engine makes a network namespace path of it.
#[test]
fn where_the_engine_would_give_a_member_the_nodes_network_it_joins_the_guest_all_the_same() {
    let node = Node::with(&json!({ "pause": "outside" }));
    let alone = node.pod("alone", BARE);
    let nodes = format!("/proc/{}/ns/net", node.cri().sandbox_state(&alone.id).pid);
    assert_eq!(node.netns_of_file(&nodes), Some(node.netns_of_node()));
    assert_refused(&node, &alone, &nodes);
    node.cri().remove_pod(&alone.id).expect("remove the pod");
    node.await_no_guest();

    let pod = node.pod("web", BEHIND_BERTH);
    let container = node.container(&pod, "main", IDLE);
    let path = Rig::pin_path(&pod.id);
    node.assert_logged(&format!("create {container}: Member of {} by ocid,containerd, in {path}", pod.id));
    node.only_guest();
    node.cri().remove_pod(&pod.id).expect("remove the pod");
    node.await_nothing_left_after_gc();
}

#[test]
fn a_member_of_a_guest_that_is_gone_is_refused_in_the_runtimes_own_words() {
    let node = Node::start();
    let pod = node.pod("web", BEHIND_BERTH);
    node.kill_9(node.only_guest());
    assert_refused(&node, &pod, &Rig::pin_path(&pod.id));
    node.cri().remove_pod(&pod.id).expect("remove the pod");
    node.await_nothing_left_after_gc();
}

#[test]
fn a_guest_that_does_not_boot_fails_its_pod_and_leaves_nothing() {
    let node = Node::with(&json!({ "kernel": "/run/vmlike/absent" }));
    let failed = node.run_pod(&Pod::new("web", BEHIND_BERTH)).expect_err("the pod's guest cannot boot");
    assert!(failed.message().contains("the guest did not boot"), "{failed}");
    for pod in node.cri().list_pods() {
        node.cri().remove_pod(&pod).expect("remove the pod");
    }
    node.await_nothing_left_after_gc();
}
