//! Churn on a fake engine: real network namespaces, pins, records, processes and sockets; the engine's side of NRI and its
//! command line are the test's.

use std::fs;

use crate::node::{Node, log};
use crate::plan::{Lane, TENTHS};
use crate::run::{Run, assert_calm, assert_flat, pods};
use crate::space;
use crate::vitals::said;

const LANE: Lane =
    Lane { pods: 0, at_once: 16, daemon_dies: false, troubles: 2, unheard: 8, short: 6_000, long: 20_000 };
/// Without `BERTH_CHURN`.
const FEW: usize = 300;
/// How many things happen to pods at the same time.
const WIDTH: usize = 4;

fn churn(name: &'static str, daemon_dies: bool) {
    let run = Run::new(name, &Lane { pods: pods("BERTH_CHURN", FEW), daemon_dies, ..LANE });
    let _keep = Keep(&run);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut node = Node::start().await;
        let fresh = node.vitals();
        for burst in run.bursts(WIDTH) {
            node.act(&run.plan[burst]).await;
        }
        let rests = std::mem::take(&mut node.rests);
        assert_eq!(rests.len(), TENTHS);
        run.say(&format!("{}; {}", node.figures(), said(&rests, fresh)));
        if !daemon_dies {
            assert_flat(&rests);
        }
        node.await_threads(fresh.threads).await;
        assert_calm(&fs::read_to_string(log()).unwrap());
    });
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
