//! What the engine does on its own; where this fails, the rig is at fault and not berth.

use crate::rig::containerd::VM;
use crate::rig::{IDLE, Rig, SERVE};

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
