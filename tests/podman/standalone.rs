//! Containers of no pod are no sandbox's, whatever they join.

use super::assert_not_stamped;
use super::node::Node;

#[test]
fn a_container_of_no_pod_is_left_alone_and_so_is_one_that_joins_its_network() {
    let node = Node::start();
    let alone = node.container(&["--name", "alone"]);
    let joined = node.container(&["--network", "container:alone"]);
    for container in [&alone, &joined] {
        assert_not_stamped(&node, container);
        assert!(node.said(container).contains("verdict=leave reason=standalone"), "{}", node.said(container));
    }
    assert!(node.netns_path(&alone).is_some_and(|path| path.starts_with("/run/netns/netns-")));
    assert_eq!(node.netns_path(&joined), Some(format!("/proc/{}/ns/net", node.pid(&alone))));
    assert_eq!(node.netns_of(&joined), node.netns_of(&alone));
    assert_eq!(node.rig.left_of_pods(), Vec::<String>::new());
}

#[test]
fn podman_lets_no_container_of_no_pod_join_the_network_of_one() {
    let node = Node::start();
    let pod = node.pod("web", &[]);
    let network = format!("container:{}", pod.infra);
    let run = ["run", "--detach", "--network", &network, super::node::IMAGE];
    let refused = node.try_podman(&run).expect_err("podman refuses");
    assert!(refused.contains("containers not in pods cannot depend on containers in pods"), "{refused}");
}
