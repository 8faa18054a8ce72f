//! Churn on a real containerd: its pods have processes, shims, bundles and a network; berth is behind all of its doors.

use std::time::Duration;

use crate::plan::{Lane, TENTHS};
use crate::real_node::RealNode;
use crate::rig::wait::within;
use crate::run::{Run, assert_calm, assert_flat, pods};

const LANE: Lane =
    Lane { pods: 0, at_once: 8, daemon_dies: false, troubles: 4, unheard: 0, short: 1_000, long: 400_000 };
/// Without `BERTH_CHURN_REAL`.
const FEW: usize = 20;
/// More than there ever are at a time, those included that were not removed because a call failed.
const CROWD: usize = 30;
/// How many things happen to pods at the same time.
const WIDTH: usize = 3;

fn churn(name: &'static str, daemon_dies: bool) {
    let run = Run::new(name, &Lane { pods: pods("BERTH_CHURN_REAL", FEW), daemon_dies, ..LANE });
    let mut node = RealNode::start();
    let fresh = node.vitals();
    if !daemon_dies {
        node.crowd(CROWD);
    }
    for burst in run.bursts(WIDTH) {
        node.act(&run.plan[burst]);
    }
    let rests = std::mem::take(&mut node.rests);
    assert_eq!(rests.len(), TENTHS);
    run.say(&format!("{}; {}", node.figures(), crate::vitals::said(&rests, fresh)));
    if !daemon_dies {
        assert_flat(&rests);
    }
    let rested = || (node.vitals().threads <= fresh.threads).then_some(());
    assert!(within(Duration::from_secs(30), rested).is_some(), "threads stay: {:?}, {fresh:?}", node.vitals());
    assert_calm(&node.daemons_said());
}

#[test]
fn under_one_daemon_pods_leave_nothing_and_cost_no_memory() {
    churn("real-one-daemon", false);
}

#[test]
fn under_daemons_that_are_killed_pods_leave_nothing_and_keep_their_pins() {
    churn("real-killed-daemons", true);
}
