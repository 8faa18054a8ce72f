//! They are left as they are, whatever network they have.

use super::node::{By, Container, IDLE, Node, SERVE};
use crate::rig::wait::eventually;

const LOOPBACK: [&str; 5] = ["wget", "-q", "-O", "-", "http://127.0.0.1/"];

/// berth saw it and did nothing.
#[track_caller]
pub(super) fn assert_left(node: &Node, container: &Container) {
    let said = node.said(container);
    assert!(said.contains("verdict=leave reason=standalone"), "{said}");
}

/// What the one serves is reached from the other over loopback: they share a network namespace.
#[track_caller]
pub(super) fn assert_share_network(node: &Node, server: &Container, client: &Container) {
    let page = eventually("the server answers", || node.exec(client, &LOOPBACK).ok());
    assert_eq!(page, "berth");
    assert_eq!(node.netns_of(client), node.netns_of(server));
    assert_eq!(node.netns_path(client), Some(format!("/proc/{}/ns/net", node.pid(server))));
}

/// It has the address that its engine says, and is reached at it by the node.
#[track_caller]
pub(super) fn assert_reached(node: &Node, server: &Container) {
    let address = node.address(server);
    node.rig.ping_from_node(&address).expect("the container answers to the node's ping");
    let page = eventually("the server answers", || node.rig.fetch_from_node(&format!("http://{address}/")).ok());
    assert_eq!(page, "berth\n");
}

#[test]
fn a_container_runs_as_it_does_without_berth_and_nothing_is_kept_of_it() {
    let node = Node::start();
    let without = node.run("without", By::Runc, &[], SERVE);
    let with = node.run("with", By::Berth, &[], SERVE);
    assert_eq!(node.config_of_any(&with), node.config_of_any(&without));
    assert_left(&node, &with);

    for container in [&without, &with] {
        assert_eq!(node.netns_path(container).as_deref(), Some(""), "a new one, made by the runtime");
        assert_reached(&node, container);
    }
    assert_eq!(node.exec(&with, &["hostname"]).as_deref(), Ok(&with.id[..12]));
    node.tool(&["stop", &with.name]);
    assert_eq!(node.inspect(&with, "{{.State.Status}}"), "exited");
    node.tool(&["start", &with.name]);
    assert_eq!(node.inspect(&with, "{{.State.Status}}"), "running");
    node.tool(&["rm", "--force", &with.name]);
    node.exec(&with, &["true"]).expect_err("it is gone");
    assert_eq!(node.rig.left_of_pods(), Vec::<String>::new());
}

#[test]
fn a_container_that_joins_the_network_of_another_is_not_taken_for_a_pods() {
    let node = Node::start();
    let server = node.run("server", By::Berth, &[], SERVE);
    let client = node.run("client", By::Berth, &["--network", "container:server"], IDLE);
    for container in [&server, &client] {
        assert_left(&node, container);
    }
    assert_share_network(&node, &server, &client);
    assert_eq!(node.rig.left_of_pods(), Vec::<String>::new());
}
