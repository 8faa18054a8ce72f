//! What berth promises a pod whose containers run in one gVisor sandbox. gVisor's shim says that it speaks version 2, so
//! the engine starts it, and berth in front of it, for the sandbox and for each of its members.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test expects and does not get fails it"
)]

use crate::rig::Rig;
use crate::rig::containerd::{Handler, NAMES};
use crate::rig::cri::Pod;
use crate::rig::holds::{Pair, assert_collected, assert_goes, assert_nothing_left};
use crate::rig::provision::components;
use crate::rig::wait::eventually;

const HANDLER: &str = "gvisor";
const SHIM: &str = "containerd-shim-runsc-v1";
const INTERPOSER: &str = "containerd-shim-berth-runsc-v1";
/// Where the shim looks for the settings that concern itself.
const SETTINGS: &str = "/run/containerd/runsc";

/// A rig with gVisor behind berth, whose containerd is still to be started.
fn furnished() -> Rig {
    let gvisor = components(&["gvisor"]);
    let shim = format!("{NAMES}/{INTERPOSER}");
    let rig = Rig::with_handlers(&[Handler::shim(HANDLER, "io.containerd.runsc.v1", &shim)]);
    rig.name_berth(INTERPOSER);
    rig.install("runsc", &gvisor["BERTH_RIG_RUNSC"]);
    rig.install(SHIM, &gvisor["BERTH_RIG_RUNSC_SHIM"]);
    rig
}

fn started() -> Rig {
    let mut rig = furnished();
    rig.start_engine();
    rig
}

fn run(rig: &Rig, name: &str) -> Pair {
    Pair::run(rig, &Pod::new(name, HANDLER))
}

/// What gVisor's kernel said when it booted: no two of them say the same, and Linux says something else.
fn kernel(rig: &Rig, container: &str) -> String {
    let said = rig.cri().exec(container, &["dmesg"]).expect("read the kernel's log");
    assert!(said.contains("Starting gVisor"), "another kernel: {said}");
    said
}

/// The rig's processes whose command line begins so.
fn processes(rig: &Rig, program: &str) -> Vec<String> {
    rig.command_lines().into_iter().filter(|line| line.starts_with(program)).collect()
}

/// Removes a pod; of gVisor nothing runs on.
#[track_caller]
fn remove(rig: &Rig, pair: &Pair) {
    let pin = rig.pin(&pair.pod.id);
    rig.cri().remove_pod(&pair.pod.id).expect("remove the pod");
    let ids = [&pair.pod.id, &pair.server, &pair.client];
    let of_pod = |line: &String| ids.iter().any(|id| line.contains(id.as_str()));
    assert_goes(|| rig.command_lines().into_iter().filter(of_pod).collect());
    eventually("nothing runs in the pod's network", || {
        pin.is_none_or(|pin| rig.tasks_in(pin).is_empty()).then_some(())
    });
}

/// What a node without a daemon does; `gc` looks once.
#[track_caller]
fn remove_and_collect(rig: &Rig, pairs: &[Pair]) {
    for pair in pairs {
        remove(rig, pair);
    }
    assert_collected(rig);
}

#[test]
fn a_pods_containers_run_in_one_sandbox_and_reach_each_other_without_a_daemon() {
    let rig = started();
    let web = run(&rig, "web");
    web.assert_in_berth(&rig);

    assert_eq!(processes(&rig, "runsc-sandbox").len(), 1, "{:?}", rig.command_lines());
    assert_eq!(kernel(&rig, &web.server), kernel(&rig, &web.client));
    let other = run(&rig, "other");
    assert_eq!(processes(&rig, "runsc-sandbox").len(), 2, "{:?}", rig.command_lines());
    assert_ne!(kernel(&rig, &web.server), kernel(&rig, &other.server));
    let berths = rig.command_lines().into_iter().filter(|line| line.contains("berth-runsc"));
    assert_eq!(berths.collect::<Vec<_>>(), Vec::<String>::new(), "an interposer is still there");

    remove_and_collect(&rig, &[web, other]);
}

#[test]
fn with_a_daemon_nothing_is_left_of_a_removed_pod() {
    let rig = started();
    let _berth = rig.berth().start();
    let web = run(&rig, "web");
    web.assert_in_berth(&rig);

    remove(&rig, &web);
    assert_nothing_left(&rig);
}

#[test]
fn a_pod_whose_sandbox_was_killed_keeps_its_namespace_until_it_is_removed() {
    let rig = started();
    let _berth = rig.berth().start();
    let web = run(&rig, "web");
    let pin = rig.pin(&web.pod.id).expect("the pod has a pin");
    let sentry = rig.cri().sandbox_state(&web.pod.id).pid;

    rig.run("kill", &["-9", &sentry.to_string()]).expect("kill the sandbox");
    eventually("nothing runs in the pod's network", || rig.tasks_in(pin).is_empty().then_some(()));
    assert_eq!(rig.pin(&web.pod.id), Some(pin));

    remove(&rig, &web);
    assert_nothing_left(&rig);
}

/// Members then have no shim of their own: theirs finds the sandbox's by the identity in the specification.
#[test]
fn with_one_shim_for_the_pod_its_containers_are_told_the_same() {
    let mut rig = furnished();
    rig.run("mkdir", &["-p", SETTINGS]).expect("make the directory");
    rig.write(&format!("{SETTINGS}/config.toml"), "grouping = true\n");
    rig.start_engine();
    let web = run(&rig, "web");
    web.assert_in_berth(&rig);

    let shims = || rig.command_lines().into_iter().filter(|line| line.contains(SHIM)).collect::<Vec<_>>();
    assert_eq!(shims().len(), 1, "{:?}", shims());
    remove_and_collect(&rig, &[web]);
}
