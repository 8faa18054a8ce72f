//! The tests by subject, and what several of them assert.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test expects and does not get fails it"
)]

mod check;
mod documented;
mod edited;
mod engine;
mod failure;
mod forged;
mod gvisor;
mod install;
mod interposed;
mod listener;
mod nri;
mod operate;
mod restart;
mod restored;

use crate::rig::cri::Sandbox;
use crate::rig::crio::berths_config;
use crate::rig::holds::assert_nothing_left;
use crate::rig::process::Process;
use crate::rig::{IDLE, Rig, SERVE};

const LOG: &str = "/run/berth/interpose.log";

/// The daemon, with the configuration that the interposers have.
#[track_caller]
fn start_berth(rig: &Rig) -> Process {
    start_berth_with(rig, &[])
}

/// As [`start_berth`], with further arguments.
#[track_caller]
fn start_berth_with(rig: &Rig, args: &[&str]) -> Process {
    rig.berth().config(&berths_config()).args(args).start()
}

/// A pod called `web` with a server in it, and a client.
#[track_caller]
fn pod_of_two(rig: &Rig, handler: &str) -> (Sandbox, [String; 2]) {
    let pod = rig.pod("web", handler);
    let containers = [rig.container(&pod, "server", SERVE), rig.container(&pod, "client", IDLE)];
    (pod, containers)
}

/// What each dialect says of a sandbox or container of the pod `web`.
fn identity<'a>(kind: &'a str, sandbox: &'a str) -> [(&'static str, &'a str); 12] {
    [
        ("ocid/container_type", kind),
        ("ocid/sandbox_id", sandbox),
        ("ocid/sandbox_name", "web"),
        ("io.kubernetes.cri-o.ContainerType", kind),
        ("io.kubernetes.cri-o.SandboxID", sandbox),
        ("io.kubernetes.cri-o.KubeName", "web"),
        ("io.kubernetes.cri-o.Namespace", "default"),
        ("io.kubernetes.cri.container-type", kind),
        ("io.kubernetes.cri.sandbox-id", sandbox),
        ("io.kubernetes.cri.sandbox-name", "web"),
        ("io.kubernetes.cri.sandbox-namespace", "default"),
        ("io.kubernetes.cri.sandbox-uid", "uid-of-default-web"),
    ]
}

/// It says whose it is, in every dialect.
#[track_caller]
fn assert_identity(rig: &Rig, kind: &str, pod: &Sandbox, container: &str) {
    let annotations = rig.annotations(container);
    for (key, value) in identity(kind, &pod.id) {
        assert_eq!(annotations.get(key).map(String::as_str), Some(value), "{key} of the {kind} {container}");
    }
}

/// What the interposers have logged of what they were run for under an id.
fn interposed(rig: &Rig, id: &str) -> Vec<String> {
    let log = std::fs::read_to_string(rig.path(LOG)).unwrap_or_default();
    log.lines().filter(|line| line.contains(&format!(" id={id} "))).map(str::to_owned).collect()
}

/// Without a daemon, what is left of pods that are gone goes at the next occasion; an administrator's is one.
#[track_caller]
fn assert_nothing_left_after_gc(rig: &Rig) {
    let gc = rig.berth_command(&["gc"]);
    assert!(gc.status.success(), "{gc:?}");
    assert_nothing_left(rig);
}
