//! Who a container is, and which network it is in.

use super::{assert_identity, assert_networked, assert_nothing_left, assert_path_untouched, await_settled};
use crate::rig::containerd::VM;
use crate::rig::cri::Pod;
use crate::rig::{IDLE, Rig, SERVE};

#[test]
fn containers_of_a_pod_carry_its_identity_and_share_its_pinned_network() {
    let rig = Rig::start();
    let _berth = rig.berth().start();
    let pod = rig.pod("web", VM);
    let state = rig.cri().sandbox_state(&pod.id);
    let server = rig.container(&pod, "server", SERVE);
    let client = rig.container(&pod, "client", IDLE);

    for container in [&server, &client] {
        assert_identity(&rig, &pod, "web", container);
        assert_networked(&rig, &pod, container);
    }
    let netns = rig.netns_of_pid(state.pid);
    assert_eq!(rig.netns_of_file(&state.netns.expect("the pod has a network of its own")), Some(netns));
    let pin = await_settled(&rig, &pod);
    assert_eq!(pin, rig.can_swap().then_some(netns), "the pin keeps another namespace than the sandbox's");
    rig.assert_served(&client, &state.address);

    rig.cri().stop_pod(&pod.id).expect("stop the pod");
    assert_nothing_left(&rig);
}

#[test]
fn what_a_pods_author_writes_does_not_change_who_its_containers_are() {
    let rig = Rig::start();
    let _berth = rig.berth().start();
    let forged = [("ocid/sandbox_id", "another"), ("ocid/container_type", "sandbox"), ("ocid/sandbox_name", "another")];
    let forged = || forged.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    let author = Pod { labels: forged(), annotations: forged(), ..Pod::new("forger", VM) };
    let pod = rig.run_pod(&author).expect("run the pod");
    let container = rig.container(&pod, "main", IDLE);

    assert_identity(&rig, &pod, "forger", &container);
    assert_networked(&rig, &pod, &container);
}

#[test]
fn a_pod_on_the_hosts_network_gets_its_identity_and_no_pin() {
    let rig = Rig::start();
    let _berth = rig.berth().start();
    let pod = rig.host_network_pod("agent", VM);
    let container = rig.container(&pod, "main", IDLE);

    assert_identity(&rig, &pod, "agent", &container);
    assert_path_untouched(&rig, &pod, &container);
    assert_eq!(rig.netns_of_pid(rig.cri().container_pid(&container)), rig.netns_of_node());
    assert_eq!(rig.left_of_pods(), Vec::<String>::new(), "something was made for a pod without a network of its own");
}
