//! What berth does, shown on a terminal; run by `scripts/demo`. Every line that it prints it has asserted.
#![allow(clippy::print_stdout, reason = "this is for people to look at")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a demonstration that fails must say so")]

mod rig;

use std::time::Instant;

use rig::containerd::VM;
use rig::cri::{Pod, Sandbox};
use rig::wait::eventually;
use rig::{IDLE, Rig, SERVE};

fn main() {
    let rig = Rig::start();
    let mut berth = rig.berth().start();
    let version = rig.run("/run/rig/containerd/containerd", &["--version"]).expect("containerd says its version");
    show("engine", version.split(' ').nth(2).unwrap_or_default());
    show("berth", &list(&rig, &["--version"]));

    let pod = rig.run_pod(&Pod { namespace: "demo".into(), ..Pod::new("web", VM) }).expect("run the pod");
    let server = rig.container(&pod, "server", SERVE);
    let client = rig.container(&pod, "client", IDLE);
    show("pod", &format!("demo/web of handler {VM:?}, sandbox {}, containers: server, client", short(&pod.id)));

    show_identity(&rig, &pod, &client);
    show_network(&rig, &pod, [&server, &client]);
    let listed = list(&rig, &["list"]);
    assert!(listed.contains(&pod.id[..12]), "berth list does not show the pod: {listed}");
    show("berth list", &listed);

    let stopped = Instant::now();
    rig.cri().stop_pod(&pod.id).expect("stop the pod");
    eventually("nothing is left of the stopped pod", || rig.left_of_pods().is_empty().then_some(()));
    show("pod stopped", &format!("no pin, no mount, no record is left ({} ms)", stopped.elapsed().as_millis()));
    assert!(berth.is_running(), "berth has ended");
}

fn show(what: &str, value: &str) {
    let mut lines = value.trim_end().lines();
    println!("{what:<12} {}", lines.next().unwrap_or_default());
    for line in lines {
        println!("{:<12} {line}", "");
    }
}

fn short(id: &str) -> &str {
    &id[..12]
}

fn show_identity(rig: &Rig, pod: &Sandbox, container: &str) {
    let annotations = rig.annotations(container);
    let expected =
        [("ocid/container_type", "container"), ("ocid/sandbox_name", "web"), ("ocid/sandbox_id", pod.id.as_str())];
    for (key, value) in expected {
        assert_eq!(annotations.get(key).map(String::as_str), Some(value), "annotation {key}");
    }
    show("identity", &expected.map(|(key, value)| format!("{key}: {value}")).join("\n"));
}

fn show_network(rig: &Rig, pod: &Sandbox, containers: [&String; 2]) {
    let path = Rig::pin_path(&pod.id);
    let state = rig.cri().sandbox_state(&pod.id);
    let (_, inode) = rig.netns_of_pid(state.pid);
    for container in containers {
        assert_eq!(rig.netns_path(container).as_ref(), Some(&path), "network namespace path of {container}");
        assert_eq!(rig.netns_of_pid(rig.cri().container_pid(container)).1, inode, "namespace of {container}");
    }
    assert_eq!(rig.pin(&pod.id), Some(rig.netns_of_pid(state.pid)), "the pin keeps another namespace");
    show("netns", &format!("{path}\nnet:[{inode}], as the sandbox's process {} and both containers", state.pid));
    rig.assert_served(containers[1], &state.address);
    show("network", &format!("{} answers the node; server answers client on 127.0.0.1", state.address));
}

fn list(rig: &Rig, args: &[&str]) -> String {
    let done = rig.berth_command(args);
    assert!(done.status.success(), "berth {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}
