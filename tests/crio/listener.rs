//! Readiness and metrics of a daemon on CRI-O.

use nix::sys::signal::Signal;

use super::start_berth_with;
use crate::rig::berth::await_synchronized;
use crate::rig::containerd::VM;
use crate::rig::crio::{Infra, WRAPPED};
use crate::rig::holds::await_pin;
use crate::rig::listener::LISTEN;
use crate::rig::{IDLE, Rig};

#[test]
fn containers_created_while_berth_was_away_are_counted_and_readiness_comes_back_with_the_engine() {
    for infra in [Infra::Kept, Infra::Dropped] {
        let mut rig = Rig::crio(infra);
        let berth = start_berth_with(&rig, &[]);
        let pod = rig.pod("web", VM);
        rig.container(&pod, "adjusted", IDLE);
        await_pin(&rig, &pod);
        berth.kill();
        rig.container(&pod, "missed", IDLE);
        let wrapped = rig.pod("wrapped", WRAPPED);
        rig.container(&wrapped, "interposed", IDLE);

        let mut berth = start_berth_with(&rig, &["--listen", LISTEN]);
        let body = rig.await_ready(200);
        assert!(body.contains("PASS nri-session registered with cri-o 1.36."), "{body}");
        berth.await_log("that it has caught up", |log| log.contains("event=CatchUp pinned=").then_some(()));
        let seen = rig.metrics();
        assert_eq!(
            (seen["berth_containers_unadjusted"], seen["berth_swaps_not_applied"]),
            (1.0, 0.0),
            "{}",
            berth.log()
        );
        assert!(berth.log().contains("container=missed verdict=leave reason=created-while-away"), "{}", berth.log());

        rig.restart_engine(Signal::SIGTERM);
        await_synchronized(&mut berth, 2);
        rig.await_ready(200);
        assert_eq!(rig.metrics()["berth_nri_sessions_lost_total"], 1.0);
    }
}
