//! berth on a real containerd. Each test has an engine of its own; see `rig`.

mod rig;

use rig::containerd::VM;
use rig::{IDLE, Rig, SERVE};

#[test]
fn a_pod_without_berth_has_a_working_network_that_its_containers_share() {
    let rig = Rig::start();
    let pod = rig.pod("web", VM);
    rig.container(&pod, "server", SERVE);
    let client = rig.container(&pod, "client", IDLE);
    let state = rig.cri().sandbox_state(&pod.id);
    let netns = rig.netns_of_file(&state.netns.expect("the pod has a network of its own"));
    assert_eq!(netns, Some(rig.netns_of_pid(rig.cri().container_pid(&client))));
    assert_eq!(rig.netns_path(&client), Some(format!("/proc/{}/ns/net", state.pid)));
    rig.assert_served(&client, &state.address);
}
