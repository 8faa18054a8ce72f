//! Pods: who their containers are, which network they share, and what becomes of it.

use serde_json::Value;

use super::node::{DefaultCgroup, IDLE, Node, SERVE};
use super::{assert_identity, assert_joined_pin, assert_not_stamped};
use crate::rig::wait::eventually;

#[test]
fn two_containers_of_a_pod_carry_its_identity_and_share_its_pinned_network() {
    let node = Node::start();
    let pod = node.pod("web", &[]);
    assert_identity(&node, &pod.infra, "sandbox", &pod.infra);
    assert_joined_pin(&node, &pod.infra, &pod.infra);
    let server = node.member(&pod, &[], SERVE);
    let client = node.member(&pod, &[], IDLE);
    for member in [&server, &client] {
        assert_identity(&node, member, "container", &pod.infra);
        assert_joined_pin(&node, member, &pod.infra);
    }

    let fetch = ["exec", &client, "wget", "-q", "-O", "-", "http://127.0.0.1/"];
    let page = eventually("the pod's server answers", || node.try_podman(&fetch).ok());
    assert_eq!(page, "berth");
    let address = node.inspect(&pod.infra, "{{.NetworkSettings.IPAddress}}");
    node.rig.ping_from_node(&address).expect("the pod answers to the node's ping");

    assert_inspected(&node, &pod.infra, [&server, &client], &address);

    node.podman(&["pod", "rm", "--force", "--time", "0", &pod.name]);
    // podman tells nobody.
    assert!(node.pin(&pod.infra).is_some(), "there was no occasion, and still the pin is gone");
    node.assert_gc_leaves_nothing();
}

/// podman's pods have no name that berth would know; they are found by the id of the infra container.
#[track_caller]
fn assert_inspected(node: &Node, infra: &str, members: [&String; 2], address: &str) {
    let output = node.rig.berth_command(&["inspect", &infra[..12], "-o", "json"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let containers = report["containers"].as_array().expect("a list");
    let ids: Vec<_> = containers.iter().filter_map(|found| found["id"].as_str()).collect();
    assert_eq!((ids.len(), ids[0]), (3, infra));
    assert!(members.iter().all(|member| ids.contains(&member.as_str())), "{ids:?}");
    assert!(containers.iter().all(|found| found["written"] == serde_json::json!({})), "{containers:#?}");
    assert!(report["network"].to_string().contains(&format!("\"{address}/")), "{report:#}");
}

#[test]
fn the_pin_of_a_pod_that_was_removed_goes_with_the_next_creation_of_any_container() {
    let node = Node::start();
    let pod = node.pod("web", &[]);
    node.member(&pod, &[], IDLE);
    assert!(node.pin(&pod.infra).is_some());
    node.podman(&["pod", "rm", "--force", "--time", "0", &pod.name]);

    node.container(&[]);
    assert_eq!(node.rig.left_of_pods(), Vec::<String>::new());
}

#[test]
fn a_pod_that_is_started_again_has_a_pin_of_its_new_network() {
    let node = Node::start();
    let pod = node.pod("web", &[]);
    let member = node.member(&pod, &[], IDLE);
    let held = node.rig.task_in(&node.pin_path(&pod.infra));
    node.podman(&["pod", "stop", "--time", "0", &pod.name]);
    // What is left in the old network keeps it, and nothing else may take its name.
    let refused = node.try_podman(&["pod", "start", &pod.name]).expect_err("the old pin is in use");
    assert!(refused.contains("is taken by network namespace"), "{refused}");
    held.kill();
    node.podman(&["pod", "stop", "--time", "0", &pod.name]);

    node.podman(&["pod", "start", &pod.name]);
    for container in [&pod.infra, &member] {
        assert_joined_pin(&node, container, &pod.infra);
    }
    node.podman(&["pod", "rm", "--force", "--time", "0", &pod.name]);
    node.assert_gc_leaves_nothing();
}

#[test]
fn a_pod_on_the_hosts_network_gets_its_identity_and_no_pin() {
    let node = Node::start();
    let pod = node.pod("agent", &["--network", "host"]);
    let member = node.member(&pod, &[], IDLE);
    assert_identity(&node, &pod.infra, "sandbox", &pod.infra);
    assert_identity(&node, &member, "container", &pod.infra);
    assert_eq!(node.netns_of(&member), node.rig.netns_of_node());
    assert_eq!(node.rig.left_of_pods(), Vec::<String>::new());
}

#[test]
fn a_container_of_a_pod_is_known_in_whatever_cgroup_it_is() {
    let _cgroup = DefaultCgroup::take();
    let node = Node::start();
    let pod = node.pod("web", &[]);
    let elsewhere = format!("{}/elsewhere", node.rig.cgroup_parent());
    let apart = node.member(&pod, &["--cgroup-parent", &elsewhere], IDLE);
    let of_member = node.member(&pod, &["--network", &format!("container:{apart}")], IDLE);
    for member in [&apart, &of_member] {
        assert_identity(&node, member, "container", &pod.infra);
        assert_joined_pin(&node, member, &pod.infra);
    }

    // Here the infra container looks like any other one; its members are what they were without berth.
    let loose = node.pod("loose", &["--share-parent=false"]);
    let member = node.member(&loose, &[], IDLE);
    assert_not_stamped(&node, &loose.infra);
    assert_identity(&node, &member, "container", &loose.infra);
    assert_eq!(node.netns_path(&member), Some(format!("/proc/{}/ns/net", node.pid(&loose.infra))));
    assert_eq!(node.pin(&loose.infra), None);
}

#[test]
fn a_container_of_a_pod_that_has_a_network_of_its_own_keeps_it() {
    let node = Node::start();
    let pod = node.pod("web", &[]);
    let alone = node.member(&pod, &["--network", "none"], IDLE);
    let host = node.member(&pod, &["--network", "host"], IDLE);
    let bridged = node.pod("ipc", &["--share", "ipc"]);
    let own = node.member(&bridged, &[], IDLE);
    for (member, pod) in [(&alone, &pod), (&host, &pod), (&own, &bridged)] {
        assert_identity(&node, member, "container", &pod.infra);
        assert_ne!(node.netns_path(member), Some(node.pin_path(&pod.infra)));
        assert_ne!(node.netns_of(member), node.pin(&pod.infra).expect("the pod has a pin"));
    }
    assert_eq!(node.netns_of(&host), node.rig.netns_of_node());
    assert_eq!(node.netns_path(&alone).as_deref(), Some(""), "a new one, made by the runtime");
    assert!(node.netns_path(&own).is_some_and(|path| path.starts_with("/run/netns/netns-")));
}
