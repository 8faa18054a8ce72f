//! The whole node from one version to another, and back.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::{Map, Value};

use super::node::{HANDLERS, Node, PATH, Version};
use super::{assert_joined, run_pod};
use crate::rig::{IDLE, SERVE};

/// What both versions write of a record. The later one also notes further doors, and the handler that those were told.
fn earlier_part(record: &str) -> Map<String, Value> {
    let mut record: Map<String, Value> = serde_json::from_str(record).expect("a record is JSON");
    assert!(record.remove("handler").is_some(), "{record:?}");
    record.remove("doors");
    record
}

/// A pod of each handler runs while berth is exchanged: it goes on, its later containers join the same pin, and its end
/// is noticed; and so it is with pods that are made after that.
fn exchange(from: Version, to: Version) {
    let node = Node::start(from);
    let mut daemon = node.daemon(PATH, from);
    let old: Vec<_> = HANDLERS.iter().map(|handler| run_pod(&node, &format!("old-{handler}"), handler)).collect();
    let server = node.rig.container(&old[0].0, "server", SERVE);
    let address = node.rig.cri().sandbox_state(&old[0].0.id).address;
    let records: Vec<_> = old.iter().map(|(pod, _)| node.record(&pod.id)).collect();

    node.exchange(to);
    // Interposers are of the new version now, while the daemon is not.
    let between = node.rig.container(&old[0].0, "between", IDLE);
    assert_joined(&node.rig, &old[0].0, &between, old[0].1);
    daemon.signal(Signal::SIGTERM);
    assert!(daemon.wait(Duration::from_secs(2)).success());
    let _daemon = node.daemon(PATH, to);

    node.rig.assert_served(&server, &address);
    for ((pod, pin), record) in old.iter().zip(&records) {
        let late = node.rig.container(pod, "late", IDLE);
        assert_joined(&node.rig, pod, &late, *pin);
        assert_eq!(earlier_part(&node.record(&pod.id)), earlier_part(record), "the record is another one");
        let listed = node.rig.run(PATH, &["list"]).expect("the pins are listed");
        assert!(listed.lines().any(|line| line.contains(&pod.id[..12]) && line.contains("pinned")), "{listed}");
    }
    let new: Vec<_> = HANDLERS.iter().map(|handler| run_pod(&node, &format!("new-{handler}"), handler)).collect();
    for (pod, _) in old.iter().chain(&new) {
        node.rig.cri().stop_pod(&pod.id).expect("stop the pod");
        node.assert_nothing_left_of(&pod.id);
        node.rig.cri().remove_pod(&pod.id).expect("remove the pod");
    }
    assert_eq!(node.rig.left_of_pods(), Vec::<String>::new());
}

#[test]
fn pods_outlive_the_exchange_for_a_later_version() {
    exchange(Version::Before, Version::Now);
}

#[test]
fn pods_outlive_the_exchange_for_an_earlier_version() {
    exchange(Version::Now, Version::Before);
}

#[test]
fn without_a_daemon_the_interposers_of_a_later_version_end_what_those_of_an_earlier_one_began() {
    let node = Node::start(Version::Before);
    let (pod, _) = run_pod(&node, "old", HANDLERS[0]);
    node.exchange(Version::Now);
    node.rig.cri().remove_pod(&pod.id).expect("remove the pod");
    let (next, _) = run_pod(&node, "new", HANDLERS[0]);
    assert_eq!(node.rig.pin(&pod.id), None, "a creation is the occasion on which it goes");
    node.assert_nothing_left_of(&pod.id);
    node.rig.cri().remove_pod(&next.id).expect("remove the pod");
    node.rig.run(PATH, &["gc"]).expect("gc");
    assert_eq!(node.rig.left_of_pods(), Vec::<String>::new());
}
