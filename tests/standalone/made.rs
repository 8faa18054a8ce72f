//! Where the operator wants it, berth makes the network namespace that a container asks for.

use super::node::{By, Container, IDLE, Node, SERVE};
use super::plain::{assert_left, assert_reached, assert_share_network};
use crate::rig::Rig;
use crate::rig::holds::assert_collected;

fn node() -> Node {
    let node = Node::start();
    node.rig.publish("profiles: [{name: p, netns: create}]");
    node
}

/// It is in a namespace of berth's making, by its path, and is not stamped. The path.
#[track_caller]
fn assert_made(node: &Node, container: &Container) -> String {
    let pin = node.netns_path(container).expect("a network entry");
    assert!(pin.starts_with(&format!("{}-", Rig::pin_path(&container.id))), "{pin}");
    assert_eq!(node.rig.netns_of_file(&pin), Some(node.netns_of(container)));
    assert_ne!(node.netns_of(container), node.rig.netns_of_node());
    let said = node.said(container);
    assert!(said.contains("verdict=adjust reason=netns-created") && !said.contains("contradictions"), "{said}");
    assert_eq!(node.spec(container)["annotations"]["ocid/container_type"], serde_json::Value::Null);
    pin
}

#[test]
fn a_namespace_of_berths_making_is_furnished_by_the_engine_shared_by_others_and_goes_with_the_container() {
    let node = node();
    let server = node.run("server", By::Berth, &[], SERVE);
    let pin = assert_made(&node, &server);
    assert_reached(&node, &server);

    let client = node.run("client", By::Berth, &["--network", "container:server"], IDLE);
    assert_left(&node, &client);
    assert_share_network(&node, &server, &client);
    let gc = node.rig.berth_command(&["gc"]);
    assert!(gc.status.success() && node.rig.netns_of_file(&pin).is_some(), "the container runs: {gc:?}");

    node.tool(&["rm", "--force", &client.name, &server.name]);
    assert_collected(&node.rig);
    assert_eq!(node.rig.netns_of_file(&pin), None);
}

#[test]
fn a_container_that_is_started_again_gets_another_namespace_once_the_first_is_empty() {
    let node = node();
    let server = node.run("server", By::Berth, &[], SERVE);
    let pin = assert_made(&node, &server);
    let client = node.run("client", By::Berth, &["--network", "container:server"], IDLE);
    node.tool(&["stop", &server.name]);
    let refused = node.try_tool(&["start", &server.name]).expect_err("the client is in the first one");
    assert!(refused.contains("is still that of an earlier container of this id"), "{refused}");

    node.tool(&["rm", "--force", &client.name]);
    node.tool(&["start", &server.name]);
    assert_eq!(assert_made(&node, &server), pin, "at the same path");
    assert_reached(&node, &server);
    node.tool(&["restart", &server.name]);
    assert_made(&node, &server);
    assert_reached(&node, &server);
    // Another creation is the occasion on which it goes.
    node.tool(&["rm", "--force", &server.name]);
    node.run("next", By::Berth, &["--network", "host"], IDLE);
    assert_eq!(node.rig.left_of_pods(), Vec::<String>::new());
}

#[test]
fn a_container_without_a_network_gets_a_namespace_too_and_one_on_the_hosts_does_not() {
    let node = node();
    let alone = node.run("alone", By::Berth, &["--network", "none"], SERVE);
    assert_made(&node, &alone);
    let host = node.run("host", By::Berth, &["--network", "host"], IDLE);
    assert_left(&node, &host);
    assert_eq!(node.netns_of(&host), node.rig.netns_of_node());
    node.tool(&["rm", "--force", &alone.name]);
    assert_collected(&node.rig);
}
