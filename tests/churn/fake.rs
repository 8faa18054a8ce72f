//! Churn on a fake engine: real network namespaces, pins, records, processes and sockets; the engine's side of NRI and its
//! command line are the test's.

use std::fs;

use crate::node::{Node, log};
use crate::plan::{Lane, TENTHS};
use crate::run::{Run, pods};
use crate::space;
use crate::vitals::Vitals;

const LANE: Lane =
    Lane { pods: 0, at_once: 16, daemon_dies: false, troubles: 2, unheard: 8, moments: 6_000, engineless: true };
/// Without `BERTH_CHURN`.
const FEW: usize = 300;
/// How many things happen to pods at the same time.
const WIDTH: usize = 4;
/// How much more or less memory the daemon may hold in the last tenth than in the second, in hundredths.
const FLAT: u64 = 5;

fn churn(name: &'static str, daemon_dies: bool) {
    let run = Run::new(name, &Lane { pods: pods("BERTH_CHURN", FEW), daemon_dies, ..LANE });
    let _keep = Keep(&run);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let node = Node::start().await;
        let fresh = node.vitals();
        for burst in run.bursts(WIDTH) {
            node.act(&run.plan[burst]).await;
        }
        let rests = node.rests.take();
        assert_eq!(rests.len(), TENTHS);
        if daemon_dies {
            run.say(&format!("{} looks at living pins; at the end {:?}", node.vows.looks(), rests[TENTHS - 1]));
        } else {
            let memory: Vec<_> = rests.iter().map(|rest| rest.resident).collect();
            run.say(&format!("{} looks at living pins; resident kB {memory:?}; fresh {fresh:?}", node.vows.looks()));
            assert_flat(&rests);
        }
        node.await_threads(fresh.threads).await;
        assert_calm();
    });
}

/// Of one daemon: memory within the limit, and not a descriptor or watch more than in the first tenth.
fn assert_flat(rests: &[Vitals]) {
    let (second, last) = (rests[1].resident, rests[TENTHS - 1].resident);
    assert!(last.abs_diff(second) * 100 <= second * FLAT, "from {second} to {last} kB: {rests:#?}");
    for rest in rests {
        let first = rests[0];
        assert_eq!((rest.descriptors, rest.watches), (first.descriptors, first.watches), "{rests:#?}");
    }
}

/// No daemon has met anything that it could not handle.
fn assert_calm() {
    let text = fs::read_to_string(log()).unwrap();
    let bad: Vec<_> = text.lines().filter(|line| line.contains("ERROR") || line.contains("panicked")).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

/// Keeps the daemons' log of a run that fails.
struct Keep<'a>(&'a Run);

impl Drop for Keep<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path = self.0.keep("log");
            drop(fs::copy(log(), &path));
            eprintln!("the daemons' log: {}", path.display());
        }
    }
}

#[test]
fn under_one_daemon_pods_leave_nothing_and_cost_no_memory() {
    let name = concat!(module_path!(), "::under_one_daemon_pods_leave_nothing_and_cost_no_memory");
    space::run(name, || churn("one-daemon", false));
}

#[test]
fn under_daemons_that_are_killed_pods_leave_nothing_and_keep_their_pins() {
    let name = concat!(module_path!(), "::under_daemons_that_are_killed_pods_leave_nothing_and_keep_their_pins");
    space::run(name, || churn("killed-daemons", true));
}
