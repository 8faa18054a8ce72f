//! What is claimed in labels and annotations.

use super::node::{By, IDLE, Node};
use super::plain::assert_left;

/// Every claim to be a pod's sandbox or a container of one, by a key of each kind.
const CLAIMS: [&str; 8] = [
    "io.kubernetes.cri.container-type=sandbox",
    "io.kubernetes.cri.sandbox-id=victim",
    "io.kubernetes.cri-o.ContainerType=sandbox",
    "io.kubernetes.cri-o.SandboxID=victim",
    "io.kubernetes.docker.type=podsandbox",
    "io.kubernetes.sandbox.id=victim",
    "ocid/container_type=container",
    "ocid/sandbox_id=victim",
];

fn flags(flag: &'static str) -> Vec<&'static str> {
    CLAIMS.into_iter().flat_map(|claim| [flag, claim]).collect()
}

#[test]
fn labels_that_claim_to_be_of_a_pod_do_not_reach_the_runtime() {
    let node = Node::start();
    let honest = node.run("honest", By::Runc, &[], IDLE);
    let forger = node.run("forger", By::Berth, &flags("--label"), IDLE);
    assert_eq!(node.config_of_any(&forger), node.config_of_any(&honest));
    assert_left(&node, &forger);
    assert_eq!(node.rig.left_of_pods(), Vec::<String>::new());
}

#[test]
fn annotations_that_claim_to_be_of_a_pod_are_removed_and_nothing_else_is_changed() {
    let node = Node::start();
    if !node.annotates() {
        let refused = node.try_tool(&["run", "--annotation", CLAIMS[0], "any"]).expect_err("docker before 24");
        assert!(refused.contains("unknown flag: --annotation"), "{refused}");
        return;
    }
    let own = ["--annotation", "app=x"];
    let honest = node.run("honest", By::Runc, &own, IDLE);
    let forger = node.run("forger", By::Berth, &[&own[..], &flags("--annotation")].concat(), IDLE);
    assert_eq!(node.spec(&forger)["annotations"]["app"], "x");
    assert_eq!(node.config_of_any(&forger), node.config_of_any(&honest));
    let said = node.said(&forger);
    assert!(said.contains("verdict=adjust reason=standalone contradictions="), "{said}");
    assert!(!said.contains("victim"), "values are not logged: {said}");
    assert_eq!(node.rig.left_of_pods(), Vec::<String>::new());
}
