//! Pods with `hostUsers: false`. Their network namespace belongs to their user namespace, so a pin must be of that one
//! and of none that berth would make.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test expects and does not get fails it"
)]

use crate::rig::Rig;
use crate::rig::containerd::{Handler, WRAPPED};
use crate::rig::cri::{Pod, Users};
use crate::rig::holds::{
    Pair, assert_collected, assert_identity, assert_joined_pin, assert_nothing_left, assert_path_untouched,
};
use crate::rig::provision::components;

/// A handler with nothing in front of its OCI runtime.
const BARE: &str = "bare";
/// The first of the node's ids that are the pod's.
const FROM: u32 = 100_000;

/// A rig in which `runc` is one that knows how to map the ids of mounts.
fn started() -> Rig {
    let mut rig = Rig::with_handlers(&[Handler::oci(BARE, "/run/rig/bin/runc")]);
    rig.install("runc", &components(&["runc"])["BERTH_RIG_NEW_RUNC"]);
    rig.start_engine();
    rig
}

fn run(rig: &Rig, handler: &str) -> Pair {
    Pair::run(rig, &Pod { users: Users::Own { from: FROM }, ..Pod::new("web", handler) })
}

/// The pod runs under ids of its own, is reached, and its network is its users' to configure.
#[track_caller]
fn assert_works(rig: &Rig, web: &Pair, netns: &str) {
    let map = rig.cri().exec(&web.client, &["cat", "/proc/self/uid_map"]).expect("read the map of ids");
    assert_eq!(map.split_whitespace().collect::<Vec<_>>(), ["0", &FROM.to_string(), "65536"]);
    web.assert_served(rig);
    configure(rig, web, netns).expect("the pod's root configures the pod's network");
    configure(rig, web, "/proc/1/ns/net").expect_err("the pod's root configures the node's network");
}

/// What root of the pod's user namespace, with all capabilities that there are in it, can do to a network.
fn configure(rig: &Rig, web: &Pair, netns: &str) -> Result<String, String> {
    let users = format!("--user=/proc/{}/ns/user", rig.cri().sandbox_state(&web.pod.id).pid);
    rig.run("nsenter", &[&users, &format!("--net={netns}"), "ip", "link", "set", "lo", "up"])
}

/// Containers get their identity; everything works by the paths of the engine, and nothing was made.
#[track_caller]
fn assert_not_pinned(rig: &Rig, web: &Pair) {
    for container in web.containers() {
        assert_identity(rig, &web.pod, &web.name, container);
        assert_path_untouched(rig, &web.pod, container);
    }
    assert_eq!(rig.left_of_pods(), Vec::<String>::new());
    assert_works(rig, web, &rig.netns_path(&web.client).expect("the container has a network of its own"));
}

/// Where this fails, the rig is at fault and not berth.
#[test]
fn without_berth_a_pod_with_users_of_its_own_works() {
    let rig = started();
    let web = run(&rig, BARE);
    for container in web.containers() {
        assert_path_untouched(&rig, &web.pod, container);
    }
    let netns = rig.cri().sandbox_state(&web.pod.id).netns.expect("the pod has a network of its own");
    assert_works(&rig, &web, &netns);
}

#[test]
fn behind_a_wrapped_oci_runtime_the_pin_is_of_the_network_that_belongs_to_the_pods_users() {
    let rig = started();
    let web = run(&rig, WRAPPED);
    if rig.names_network_of_users() {
        web.assert_in_berth(&rig);
        assert_works(&rig, &web, &Rig::pin_path(&web.pod.id));
    } else {
        assert_not_pinned(&rig, &web);
    }

    rig.cri().remove_pod(&web.pod.id).expect("remove the pod");
    assert_collected(&rig);
}

#[test]
fn by_nri_members_join_the_pin_of_the_network_that_belongs_to_the_pods_users() {
    let rig = started();
    let _berth = rig.berth().start();
    let web = run(&rig, BARE);
    if rig.can_swap() {
        for container in web.containers() {
            assert_identity(&rig, &web.pod, "web", container);
            assert_joined_pin(&rig, &web.pod, container);
        }
        assert_works(&rig, &web, &Rig::pin_path(&web.pod.id));
    } else {
        assert_not_pinned(&rig, &web);
    }

    rig.cri().remove_pod(&web.pod.id).expect("remove the pod");
    assert_nothing_left(&rig);
}
