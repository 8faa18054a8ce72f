//! CRI-O does not run for ever; its pods go on without it.

use nix::sys::signal::Signal;

use super::{assert_identity, assert_nothing_left_after_gc, pod_of_two, start_berth};
use crate::rig::berth::await_synchronized;
use crate::rig::containerd::VM;
use crate::rig::crio::{Infra, SHIMMED, WRAPPED};
use crate::rig::holds::{assert_joined_pin, assert_nothing_left, assert_nothing_left_of, await_pin};
use crate::rig::{IDLE, Rig};

#[test]
fn pods_that_ran_while_the_engine_was_restarted_leave_nothing_when_they_are_stopped() {
    let mut rig = Rig::crio(Infra::Dropped);
    let mut berth = start_berth(&rig);
    let [first, second] = ["first", "second"].map(|name| rig.pod(name, VM));
    for pod in [&first, &second] {
        rig.container(pod, "main", IDLE);
        await_pin(&rig, pod);
    }

    rig.restart_engine(Signal::SIGTERM);
    await_synchronized(&mut berth, 2);
    rig.cri().stop_pod(&first.id).expect("stop the pod");
    assert_nothing_left_of(&rig, &first);
    let late = rig.container(&second, "late", IDLE);
    assert_joined_pin(&rig, &second, &late);

    rig.restart_engine(Signal::SIGKILL);
    await_synchronized(&mut berth, 3);
    rig.cri().remove_pod(&second.id).expect("remove the pod");
    assert_nothing_left(&rig);
}

#[test]
fn behind_an_interposer_a_pod_goes_on_after_the_engine_was_restarted() {
    for (infra, handler) in [(Infra::Kept, WRAPPED), (Infra::Dropped, WRAPPED), (Infra::Dropped, SHIMMED)] {
        let mut rig = Rig::crio(infra);
        let (pod, _) = pod_of_two(&rig, handler);
        let pin = await_pin(&rig, &pod);
        rig.restart_engine(Signal::SIGKILL);

        let late = rig.container(&pod, "late", IDLE);
        assert_identity(&rig, "container", &pod, &late);
        assert_joined_pin(&rig, &pod, &late);
        assert_eq!(rig.pin(&pod.id), Some(pin));
        rig.assert_served(&late, &rig.cri().sandbox_state(&pod.id).address);
        rig.cri().remove_pod(&pod.id).expect("remove the pod");
        assert_nothing_left_after_gc(&rig);
    }
}

#[test]
fn a_pod_that_was_stopped_while_berth_was_away_leaves_nothing_when_it_is_back() {
    let rig = Rig::crio(Infra::Dropped);
    let berth = start_berth(&rig);
    let pod = rig.pod("web", VM);
    let pin = await_pin(&rig, &pod);
    berth.kill();

    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_eq!(rig.pin(&pod.id), Some(pin), "nobody was there to release it");
    let _berth = start_berth(&rig);
    assert_nothing_left(&rig);
}
