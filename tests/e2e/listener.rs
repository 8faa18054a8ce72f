//! Readiness and metrics on a real engine.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::await_settled;
use crate::rig::berth::{Mounts, await_synchronized};
use crate::rig::containerd::{VM, WRAPPED};
use crate::rig::listener::LISTEN;
use crate::rig::{IDLE, Rig};

/// What /readyz answers until it is told to stop, and then once more: each change.
fn changes(ask: impl Fn() -> Option<u16>, stop: &AtomicBool) -> Vec<u16> {
    let mut seen = Vec::new();
    loop {
        let last = stop.load(Ordering::Relaxed);
        match ask() {
            Some(status) if seen.last() != Some(&status) => seen.push(status),
            _ => {}
        }
        if last {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn readiness_follows_the_engine_both_ways() {
    let mut rig = Rig::start();
    let mut berth = rig.berth().args(&["--listen", LISTEN]).start();
    let body = rig.await_ready(200);
    assert!(body.contains("PASS nri-session registered with containerd v"), "{body}");
    for (times, signal) in [(2, Signal::SIGTERM), (3, Signal::SIGKILL)] {
        let address = ::berth::address::Address::Unix(rig.path("/run/berth-http.sock"));
        let (address, stop) = (&address, &AtomicBool::new(false));
        let seen = std::thread::scope(|scope| {
            let ask = move || ::berth::http::ask(address, "/readyz", Duration::from_secs(10)).ok();
            let watching = scope.spawn(move || changes(|| ask().map(|reply| reply.status), stop));
            rig.restart_engine(signal);
            await_synchronized(&mut berth, times);
            rig.await_ready(200);
            stop.store(true, Ordering::Relaxed);
            watching.join().expect("the watch does not panic")
        });
        assert_eq!(seen, [200, 503, 200], "{signal}");
    }
    let seen = rig.metrics();
    assert_eq!((seen["berth_nri_sessions_total"], seen["berth_nri_sessions_lost_total"]), (3.0, 2.0));
}

#[test]
fn containers_created_while_berth_was_away_are_counted_and_no_others() {
    let rig = Rig::start();
    let berth = rig.berth().start();
    let pod = rig.pod("web", VM);
    rig.container(&pod, "adjusted", IDLE);
    await_settled(&rig, &pod);
    berth.kill();
    rig.container(&pod, "missed", IDLE);
    let wrapped = rig.pod("wrapped", WRAPPED);
    rig.container(&wrapped, "interposed", IDLE);
    let plain = rig.pod("plain", "");
    rig.container(&plain, "unselected", IDLE);

    let mut berth = rig.berth().args(&["--listen", LISTEN]).start();
    berth.await_log("that it has caught up", |log| log.contains("event=CatchUp pinned=").then_some(()));
    let seen = rig.metrics();
    assert_eq!((seen["berth_containers_unadjusted"], seen["berth_swaps_not_applied"]), (1.0, 0.0), "{}", berth.log());
    assert!(berth.log().contains("container=missed verdict=leave reason=created-while-away"), "{}", berth.log());

    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    rig.await_metric("berth_containers_unadjusted", 0.0);
}

#[test]
fn it_says_that_pins_do_not_reach_the_engine() {
    let rig = Rig::start();
    let _berth = rig.berth().mounts(Mounts::Private).args(&["--listen", LISTEN]).start();
    let body = rig.await_ready(503);
    assert!(body.contains("FAIL pins-reach-engine pins do not reach the engine"), "{body}");
    assert!(body.contains("PASS nri-synchronized "), "{body}");
}
