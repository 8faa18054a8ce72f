//! berth as a plugin alone: handlers without an interposer.

use std::time::Duration;

use super::{identity, pod_of_two, start_berth};
use crate::rig::containerd::VM;
use crate::rig::cri::Sandbox;
use crate::rig::crio::Infra;
use crate::rig::holds::{assert_joined_pin, assert_nothing_left, await_pin};
use crate::rig::wait::always_for;
use crate::rig::{IDLE, Rig};

/// The member says whose it is, in every dialect but containerd's: CRI-O would take its type out of a plugin's answer.
#[track_caller]
fn assert_member(rig: &Rig, pod: &Sandbox, member: &str) {
    let annotations = rig.annotations(member);
    for (key, value) in identity("container", &pod.id) {
        let expected = (!key.starts_with("io.kubernetes.cri.")).then_some(value);
        assert_eq!(annotations.get(key).map(String::as_str), expected, "{key} of {member}");
    }
}

#[test]
fn members_are_told_and_pinned_and_a_stopped_pod_leaves_nothing() {
    for infra in [Infra::Kept, Infra::Dropped] {
        let rig = Rig::crio(infra);
        let mut berth = start_berth(&rig);
        berth.await_line("who is connected and what it can do", |line| {
            line.contains("runtime=cri-o runtime_version=1.36.") && line.contains("nri=Namespaces can_swap_netns=true ")
        });
        let (pod, members) = pod_of_two(&rig, VM);
        let state = rig.cri().sandbox_state(&pod.id);
        for member in &members {
            assert_member(&rig, &pod, member);
            assert_joined_pin(&rig, &pod, member);
        }
        let file = state.netns.expect("the pod has a network of its own");
        assert_eq!(rig.pin(&pod.id), rig.netns_of_file(&file), "the pin keeps another namespace than the pod's");
        rig.assert_served(&members[1], &state.address);

        // CRI-O relays it when its own file is gone already.
        rig.cri().stop_pod(&pod.id).expect("stop the pod");
        assert_nothing_left(&rig);
        assert_eq!(rig.netns_of_file(&file), None);
        rig.cri().remove_pod(&pod.id).expect("remove the pod");
        for event in ["RunPodSandbox", "StopPodSandbox", "RemovePodSandbox"] {
            berth.await_line(event, |line| line.contains(&format!("event={event} ")));
        }
    }
}

#[test]
fn removing_a_pod_that_was_not_stopped_leaves_nothing() {
    let rig = Rig::crio(Infra::Dropped);
    let _berth = start_berth(&rig);
    let (pod, _) = pod_of_two(&rig, VM);
    await_pin(&rig, &pod);
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_nothing_left(&rig);
}

#[test]
fn a_task_that_outlives_its_pod_keeps_the_namespace_as_long_as_it_lives() {
    let rig = Rig::crio(Infra::Dropped);
    let _berth = start_berth(&rig);
    let (pod, _) = pod_of_two(&rig, VM);
    let pin = await_pin(&rig, &pod);
    let task = rig.task_in(&Rig::pin_path(&pod.id));

    rig.cri().stop_pod(&pod.id).expect("stop the pod");
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    always_for(Duration::from_secs(3), "the pin keeps the task's namespace", || rig.pin(&pod.id) == Some(pin));
    task.kill();
    assert_nothing_left(&rig);
}

/// CRI-O has a file for the namespace of such a pod too: the host's.
#[test]
fn a_pod_on_the_hosts_network_gets_its_identity_and_no_pin() {
    let rig = Rig::crio(Infra::Dropped);
    let mut berth = start_berth(&rig);
    let pod = rig.host_network_pod("web", VM);
    let state = rig.cri().sandbox_state(&pod.id);
    let container = rig.container(&pod, "main", IDLE);

    assert_member(&rig, &pod, &container);
    assert_eq!(rig.netns_of_file(&state.netns.expect("the engine names a file")), Some(rig.netns_of_node()));
    assert_eq!(rig.netns_of_pid(rig.cri().container_pid(&container)), rig.netns_of_node());
    assert_eq!(rig.left_of_pods(), Vec::<String>::new(), "something was made for a pod without a network of its own");
    berth.await_line("why", |line| line.contains("event=CreateContainer") && line.contains("reason=host-network"));
}
