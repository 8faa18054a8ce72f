//! Neither berth nor the engine runs for ever.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::{assert_identity, assert_networked, assert_nothing_left, await_settled};
use crate::rig::berth::await_synchronized;
use crate::rig::containerd::VM;
use crate::rig::{IDLE, Rig, SERVE};

#[test]
fn a_container_created_after_berth_was_killed_and_started_again_joins_the_same_pin() {
    let rig = Rig::start();
    let berth = rig.berth().start();
    let pod = rig.pod("web", VM);
    rig.container(&pod, "server", SERVE);
    let pin = await_settled(&rig, &pod);
    berth.kill();
    assert_eq!(rig.pin(&pod.id), pin, "the pin went with the process");

    let _berth = rig.berth().start();
    let late = rig.container(&pod, "late", IDLE);
    assert_identity(&rig, &pod, "web", &late);
    assert_networked(&rig, &pod, &late);
    assert_eq!(rig.pin(&pod.id), pin);
    rig.assert_served(&late, &rig.cri().sandbox_state(&pod.id).address);
}

#[test]
fn berth_that_is_told_to_end_ends_within_two_seconds_and_leaves_the_pins() {
    let rig = Rig::start();
    let mut berth = rig.berth().start();
    let pod = rig.pod("web", VM);
    let pin = await_settled(&rig, &pod);

    berth.signal(Signal::SIGTERM);
    assert_eq!(berth.wait(Duration::from_secs(2)).code(), Some(0));
    assert_eq!(rig.pin(&pod.id), pin);
}

#[test]
fn pods_that_ran_while_containerd_was_restarted_leave_nothing_when_they_are_stopped() {
    let mut rig = Rig::start();
    let mut berth = rig.berth().start();
    let [first, second] = ["first", "second"].map(|name| rig.pod(name, VM));
    for pod in [&first, &second] {
        rig.container(pod, "main", IDLE);
        await_settled(&rig, pod);
    }

    rig.restart_engine(Signal::SIGTERM);
    await_synchronized(&mut berth, 2);
    // containerd relays this to no plugin.
    rig.cri().stop_pod(&first.id).expect("stop the pod");
    super::assert_nothing_left_of(&rig, &first);
    await_settled(&rig, &second);

    rig.restart_engine(Signal::SIGKILL);
    await_synchronized(&mut berth, 3);
    rig.cri().remove_pod(&second.id).expect("remove the pod");
    assert_nothing_left(&rig);
}

#[test]
fn a_pod_that_was_stopped_while_berth_was_away_leaves_nothing_when_it_is_back() {
    let rig = Rig::start();
    let berth = rig.berth().start();
    let pod = rig.pod("web", VM);
    let pin = await_settled(&rig, &pod);
    berth.kill();

    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_eq!(rig.pin(&pod.id), pin, "nobody was there to release it");
    let _berth = rig.berth().start();
    assert_nothing_left(&rig);
}

#[test]
fn a_second_berth_stays_passive_and_takes_over_when_the_first_is_killed() {
    let rig = Rig::start();
    let first = rig.berth().start();
    let mut second = rig.berth().launch_as("berth-2");
    second.await_line("that it waits", |line| line.contains("passive"));
    let pod = rig.pod("web", VM);
    // Two plugins that set the same annotation would be a conflict, and the container refused.
    let early = rig.container(&pod, "early", IDLE);
    assert_networked(&rig, &pod, &early);
    assert!(!second.log().contains("event="), "the passive one was asked");

    first.kill();
    await_synchronized(&mut second, 1);
    let late = rig.container(&pod, "late", IDLE);
    assert_identity(&rig, &pod, "web", &late);
    assert_networked(&rig, &pod, &late);
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_nothing_left(&rig);
}
