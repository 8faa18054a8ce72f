//! Handlers with berth in front of their OCI runtime or their shim, with and without the daemon beside it: sandboxes,
//! where there are any, and members.

use super::{assert_identity, assert_nothing_left_after_gc, interposed, pod_of_two, start_berth};
use crate::rig::berth::CONFIG;
use crate::rig::cri::Sandbox;
use crate::rig::crio::{Infra, SHIMMED, WRAPPED, berths_config};
use crate::rig::engine::Engine;
use crate::rig::holds::{assert_joined_pin, assert_nothing_left};
use crate::rig::{IDLE, Rig};

/// The sandbox is told that it is one, and is in the namespace that its pin keeps, at the pin's path.
#[track_caller]
fn assert_sandbox(rig: &Rig, pod: &Sandbox) {
    assert_identity(rig, "sandbox", pod, &pod.id);
    assert_eq!(rig.netns_path(&pod.id), Some(Rig::pin_path(&pod.id)));
    let pin = rig.pin(&pod.id).expect("the pod has a pin, and it is a mount");
    assert_eq!(rig.netns_of_pid(rig.cri().sandbox_state(&pod.id).pid), pin, "the sandbox is in another namespace");
}

#[track_caller]
fn assert_members(rig: &Rig, pod: &Sandbox, members: &[String; 2]) {
    for member in members {
        assert_identity(rig, "container", pod, member);
        assert_joined_pin(rig, pod, member);
        let log = interposed(rig, member);
        assert!(
            matches!(&log[..], [line] if line.contains("verdict=adjust") && !line.contains("contradictions")),
            "{log:?}"
        );
    }
    rig.assert_served(&members[1], &rig.cri().sandbox_state(&pod.id).address);
}

#[test]
fn where_the_sandboxs_container_is_kept_it_and_its_members_are_told_and_pinned() {
    let rig = Rig::crio(Infra::Kept);
    let (pod, members) = pod_of_two(&rig, WRAPPED);
    assert_sandbox(&rig, &pod);
    assert_members(&rig, &pod, &members);

    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_nothing_left_after_gc(&rig);
}

#[test]
fn where_the_sandboxs_container_is_dropped_the_first_member_makes_the_pin() {
    let rig = Rig::crio(Infra::Dropped);
    let pod = rig.pod("web", WRAPPED);
    assert_eq!(interposed(&rig, &pod.id), Vec::<String>::new(), "the runtime was run for the sandbox");
    assert_eq!(rig.left_of_pods(), Vec::<String>::new());
    rig.cri().remove_pod(&pod.id).expect("remove the pod");

    let (pod, members) = pod_of_two(&rig, WRAPPED);
    assert_members(&rig, &pod, &members);
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    // The next creation is the occasion on which the pin goes.
    let (next, _) = pod_of_two(&rig, WRAPPED);
    assert_eq!(rig.pin(&pod.id), None, "the pin of the pod that is gone");
    rig.cri().remove_pod(&next.id).expect("remove the pod");
    assert_nothing_left_after_gc(&rig);
}

#[test]
fn both_doors_at_once_agree_and_the_daemon_takes_the_pin_away() {
    for infra in [Infra::Kept, Infra::Dropped] {
        let rig = Rig::crio(infra);
        let mut berth = start_berth(&rig);
        let (pod, members) = pod_of_two(&rig, WRAPPED);
        if infra == Infra::Kept {
            assert_sandbox(&rig, &pod);
        }
        assert_members(&rig, &pod, &members);
        berth.await_line("that it was asked too", |line| {
            line.contains("event=CreateContainer") && line.contains("verdict=adjust reason=identity-and-netns")
        });
        rig.cri().stop_pod(&pod.id).expect("stop the pod");
        assert_nothing_left(&rig);
        rig.cri().remove_pod(&pod.id).expect("remove the pod");
        assert_nothing_left(&rig);
    }
}

/// CRI-O keeps the sandbox's container of such a handler whatever is configured, and starts a shim for each container.
#[test]
fn behind_the_shim_of_a_vm_handler_sandbox_and_members_are_told_and_pinned() {
    let rig = Rig::crio(Infra::Dropped);
    let (pod, members) = pod_of_two(&rig, SHIMMED);
    assert_sandbox(&rig, &pod);
    assert_members(&rig, &pod, &members);

    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_nothing_left_after_gc(&rig);
}

#[test]
fn a_pod_on_the_hosts_network_gets_its_identity_and_no_pin() {
    for infra in [Infra::Kept, Infra::Dropped] {
        let rig = Rig::crio(infra);
        let pod = rig.host_network_pod("web", WRAPPED);
        let container = rig.container(&pod, "main", IDLE);
        if infra == Infra::Kept {
            assert_identity(&rig, "sandbox", &pod, &pod.id);
        }
        assert_identity(&rig, "container", &pod, &container);
        assert_eq!(rig.netns_of_pid(rig.cri().container_pid(&container)), rig.netns_of_node());
        assert_eq!(
            rig.left_of_pods(),
            Vec::<String>::new(),
            "something was made for a pod without a network of its own"
        );
    }
}

/// The kubelet gives its containers a name by label; by that CRI-O's sandboxes are told from members.
#[test]
fn a_container_of_another_client_than_the_kubelet_is_a_member_too() {
    let rig = Rig::crio(Infra::Dropped);
    let pod = rig.pod("web", WRAPPED);
    let container = rig.cri().create_container_without_labels(&pod, "main", IDLE).expect("create the container");
    rig.cri().start_container(&container).expect("start the container");

    let annotations = rig.annotations(&container);
    for key in ["ocid/container_type", "io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"] {
        assert_eq!(annotations.get(key).map(String::as_str), Some("container"), "{key}");
    }
    for key in ["ocid/sandbox_id", "io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"] {
        assert_eq!(annotations.get(key), Some(&pod.id), "{key}");
    }
    assert_joined_pin(&rig, &pod, &container);
}

#[test]
fn without_an_entry_of_their_own_interposers_know_the_engine_by_what_it_tells_its_programs() {
    for infra in [Infra::Kept, Infra::Dropped] {
        let rig = Rig::crio(infra);
        let config = berths_config();
        let (profiles, _) = config.split_once("interposers:").expect("the profiles come first");
        rig.write(CONFIG, profiles);
        for handler in [WRAPPED, SHIMMED] {
            let (pod, members) = pod_of_two(&rig, handler);
            if infra == Infra::Kept || handler == SHIMMED {
                assert_sandbox(&rig, &pod);
            }
            assert_members(&rig, &pod, &members);
            let bundle = Engine::CriO.bundle(&members[0]);
            let explained = rig.berth_command(&["explain", &bundle, "--as", "berth-runc", "--config", CONFIG]);
            let text = String::from_utf8_lossy(&explained.stdout);
            assert!(text.contains("cri-o") && text.contains(&pod.id), "{explained:?}");
            rig.cri().remove_pod(&pod.id).expect("remove the pod");
        }
        assert_nothing_left_after_gc(&rig);
    }
}
