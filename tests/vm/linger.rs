//! A guest takes its time to die, while the engine has long given its network up.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::node::{BEHIND_BERTH, Node};
use crate::rig::containerd::WRAPPED;
use crate::rig::cri::Sandbox;
use crate::rig::wait::eventually;
use crate::rig::{IDLE, Rig};

const SECONDS: u32 = 10;

/// A pod that was stopped and removed, whose guest has begun to die.
fn dying(node: &Node) -> Sandbox {
    let pod = node.pod("web", BEHIND_BERTH);
    node.container(&pod, "main", IDLE);
    let netns = node.cri().sandbox_state(&pod.id).netns.expect("the pod has a network of its own");
    node.cri().stop_pod(&pod.id).expect("stop the pod");
    node.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_eq!(node.netns_of_file(&netns), None, "the engine has not given up the network");
    pod
}

/// Returns when the guest is dead, until when its machine was in the namespace that the pin kept.
#[track_caller]
fn await_death(node: &Node, pod: &Sandbox) {
    let (begin, guest, pin) = (Instant::now(), node.only_guest(), node.pinned(pod));
    assert_eq!(node.netns_of_pid(guest), pin);
    eventually("the guest is dead", || {
        let held = node.pin(&pod.id);
        if node.guests().is_empty() {
            return Some(());
        }
        assert_eq!(held, Some(pin), "the guest still runs {:?} after the pod", begin.elapsed());
        None
    });
    let half = Duration::from_secs(SECONDS.into()) / 2;
    assert!(begin.elapsed() > half, "the guest died after {:?}: that tells nothing", begin.elapsed());
}

#[test]
fn a_namespace_stays_while_its_guest_takes_ten_seconds_to_die_and_the_daemon_lets_it_go() {
    let node = Node::with(&json!({ "linger": SECONDS }));
    let mut berth = node.berth().start();
    let pod = dying(&node);
    await_death(&node, &pod);
    node.assert_nothing_left();
    berth.await_line("that the guest was waited for", |line| {
        line.contains("event=Drain") && line.contains("why=tasks-left")
    });
}

#[test]
fn a_namespace_stays_while_its_guest_takes_ten_seconds_to_die_on_a_node_without_a_daemon() {
    let node = Node::with(&json!({ "linger": SECONDS }));
    let pod = dying(&node);
    let pin = node.pinned(&pod);
    let occasion = |name| {
        let other = node.pod(name, WRAPPED);
        node.cri().remove_pod(&other.id).expect("remove the pod");
    };
    let gc = node.gc();
    assert!(gc.contains(&pod.id) && gc.contains("tasks-left"), "{gc}");
    occasion("early");
    assert_eq!(node.pin(&pod.id), Some(pin), "an occasion let it go");
    await_death(&node, &pod);
    assert_eq!(node.pin(&pod.id), Some(pin), "nobody was there to let it go");
    occasion("late");
    assert_eq!(node.netns_of_file(&Rig::pin_path(&pod.id)), None, "the next occasion has not let it go");
    node.gc();
    node.assert_nothing_left();
}
