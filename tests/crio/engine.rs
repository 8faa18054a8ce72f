//! What the engine does on its own, and what it does with berth before it has a pod.

use crate::rig::containerd::{NAMES, VM};
use crate::rig::crio::{BEHIND, Infra};
use crate::rig::{IDLE, Rig, SERVE};

/// Where this fails, the rig is at fault and not berth.
#[test]
fn without_berth_containers_share_a_network_by_the_path_of_the_engines_own_file() {
    for infra in [Infra::Kept, Infra::Dropped] {
        let rig = Rig::crio(infra);
        let pod = rig.pod("web", VM);
        let server = rig.container(&pod, "server", SERVE);
        let client = rig.container(&pod, "client", IDLE);
        let state = rig.cri().sandbox_state(&pod.id);

        assert_eq!(state.pid == 0, infra == Infra::Dropped, "a sandbox has a process where it is kept");
        let file = state.netns.expect("the pod has a network of its own");
        assert!(file.starts_with("/var/run/netns/"), "{file}");
        for container in [&server, &client] {
            assert_eq!(rig.netns_path(container).as_ref(), Some(&file));
            assert_eq!(rig.netns_of_file(&file), Some(rig.netns_of_pid(rig.cri().container_pid(container))));
        }
        rig.assert_served(&client, &state.address);
        rig.cri().stop_pod(&pod.id).expect("stop the pod");
        assert_eq!(rig.netns_of_file(&file), None, "the engine's file is gone when the pod was stopped");
    }
}

/// CRI-O asks each runtime at its start; where one does not answer it says so and goes on without.
#[test]
fn what_the_engine_asks_at_its_start_is_answered_by_the_runtime_behind_berth() {
    let rig = Rig::crio(Infra::Dropped);
    for question in ["--version", "features"] {
        let with = rig.run(&format!("{NAMES}/berth-runc"), &[question]).expect("berth's answer");
        assert_eq!(with, rig.run(&format!("{BEHIND}/runc"), &[question]).expect("runc's answer"));
    }
    let log = rig.engine_log();
    assert_eq!(log.matches("Using runtime handler runc version").count(), 3, "the wrapped one too");
    assert!(!log.contains("berth-runc OCI runtime features failed"));
    assert_eq!(rig.left_of_pods(), Vec::<String>::new());
}
