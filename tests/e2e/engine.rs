//! What the engine does on its own, and what berth takes it for.

use super::{assert_identity, assert_networked};
use crate::rig::containerd::VM;
use crate::rig::{IDLE, Rig, SERVE};

/// Where this fails, the rig is at fault and not berth.
#[test]
fn without_berth_containers_share_a_network_by_the_path_of_a_process() {
    let rig = Rig::start();
    let pod = rig.pod("web", VM);
    rig.container(&pod, "server", SERVE);
    let client = rig.container(&pod, "client", IDLE);
    let state = rig.cri().sandbox_state(&pod.id);

    assert_eq!(rig.netns_path(&client), Some(format!("/proc/{}/ns/net", state.pid)));
    let netns = rig.netns_of_file(&state.netns.expect("the pod has a network of its own"));
    assert_eq!(netns, Some(rig.netns_of_pid(rig.cri().container_pid(&client))));
    rig.assert_served(&client, &state.address);
}

#[test]
fn berth_knows_what_the_engine_can_do_and_says_so() {
    let rig = Rig::start();
    let mut berth = rig.berth().start();
    let (level, can_swap) = (rig.level(), rig.can_swap());
    let version = rig.run("/run/rig/containerd/containerd", &["--version"]).expect("containerd says its version");
    let version = version.split(' ').nth(2).expect("the version is the third word").to_owned();
    berth.await_line("who is connected and what it can do", |line| {
        line.contains("msg=connected")
            && line.contains(&format!("runtime=containerd runtime_version={version} nri={level:?} "))
            && line.contains(&format!("can_swap_netns={can_swap} "))
    });

    let pod = rig.pod("web", VM);
    let container = rig.container(&pod, "main", IDLE);
    assert_identity(&rig, &pod, "web", &container);
    assert_networked(&rig, &pod, &container);
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    // In whichever form the engine relays them.
    let (of_pod, of_container) = if can_swap {
        ("verdict=pin reason=own-network ", "verdict=adjust reason=identity-and-netns ")
    } else {
        ("verdict=leave reason=runtime-cannot-swap ", "verdict=adjust reason=runtime-cannot-swap ")
    };
    for (event, decided) in [("RunPodSandbox", of_pod), ("CreateContainer", of_container)] {
        berth.await_line(&format!("{event}: {decided}"), |line| {
            line.contains(&format!("event={event} ")) && line.contains(decided)
        });
    }
    for event in ["StopPodSandbox", "RemovePodSandbox"] {
        berth.await_line("the pod's end", |line| line.contains(&format!("event={event} ")));
    }
}
