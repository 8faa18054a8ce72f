//! What is to hold of every pod that berth has a part in, whichever engine and runtime run it.

use super::cri::{Pod, Sandbox};
use super::read::NetnsId;
use super::wait::{DEADLINE, eventually, within};
use super::{IDLE, Rig, SERVE};

/// A pod with two containers: a server, and a client from which it is reached over loopback.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) pod: Sandbox,
    pub(crate) server: String,
    pub(crate) client: String,
}

impl Pair {
    pub(crate) fn run(rig: &Rig, pod: &Pod) -> Self {
        let name = pod.name.clone();
        let pod = rig.run_pod(pod).expect("run the pod");
        let server = rig.container(&pod, "server", SERVE);
        let client = rig.container(&pod, "client", IDLE);
        Self { name, pod, server, client }
    }

    pub(crate) fn containers(&self) -> [&String; 2] {
        [&self.server, &self.client]
    }

    /// Sandbox and containers are told who they are and where the network is, and are reached there.
    #[track_caller]
    pub(crate) fn assert_in_berth(&self, rig: &Rig) {
        assert_sandbox(rig, &self.pod, &self.name);
        for container in self.containers() {
            assert_identity(rig, &self.pod, &self.name, container);
            assert_joined_pin(rig, &self.pod, container);
        }
        self.assert_served(rig);
    }

    #[track_caller]
    pub(crate) fn assert_served(&self, rig: &Rig) {
        rig.assert_served(&self.client, &rig.cri().sandbox_state(&self.pod.id).address);
    }
}

/// The sandbox is told that it is one, and is in the namespace that its pin keeps, at the pin's path.
#[track_caller]
pub(crate) fn assert_sandbox(rig: &Rig, pod: &Sandbox, name: &str) {
    let annotations = rig.annotations(&pod.id);
    for (key, value) in [
        ("ocid/container_type", "sandbox"),
        ("ocid/sandbox_name", name),
        ("ocid/sandbox_id", &pod.id),
        ("io.kubernetes.cri.container-type", "sandbox"),
        ("io.kubernetes.cri.sandbox-id", &pod.id),
    ] {
        assert_eq!(annotations.get(key).map(String::as_str), Some(value), "{key} of the sandbox");
    }
    assert_eq!(rig.netns_path(&pod.id), Some(Rig::pin_path(&pod.id)));
    let pin = rig.pin(&pod.id).expect("the pod has a pin, and it is a mount");
    assert_eq!(rig.netns_of_pid(rig.cri().sandbox_state(&pod.id).pid), pin, "the sandbox is in another namespace");
}

/// The container says whose it is, in both default dialects.
#[track_caller]
pub(crate) fn assert_identity(rig: &Rig, pod: &Sandbox, name: &str, container: &str) {
    let annotations = rig.annotations(container);
    for (key, value) in [
        ("ocid/container_type", "container"),
        ("ocid/sandbox_name", name),
        ("ocid/sandbox_id", &pod.id),
        ("io.kubernetes.cri.container-type", "container"),
        ("io.kubernetes.cri.sandbox-name", name),
        ("io.kubernetes.cri.sandbox-id", &pod.id),
    ] {
        assert_eq!(annotations.get(key).map(String::as_str), Some(value), "{key} of {container}");
    }
}

/// The container was given the pin's path, the pin keeps the pod's namespace, and the container is in it.
#[track_caller]
pub(crate) fn assert_joined_pin(rig: &Rig, pod: &Sandbox, container: &str) {
    assert_eq!(rig.netns_path(container), Some(Rig::pin_path(&pod.id)));
    let pin = rig.pin(&pod.id).expect("the pod has a pin, and it is a mount");
    assert_eq!(rig.netns_of_pid(rig.cri().container_pid(container)), pin, "the container is in another namespace");
    assert_ne!(pin, rig.netns_of_node(), "the node's own network is pinned");
}

/// The container has the path that the engine gives without berth, and is in the pod's namespace by it.
#[track_caller]
pub(crate) fn assert_path_untouched(rig: &Rig, pod: &Sandbox, container: &str) {
    let sandbox_pid = rig.cri().sandbox_state(&pod.id).pid;
    assert_eq!(rig.netns_path(container), Some(format!("/proc/{sandbox_pid}/ns/net")), "the path was changed");
    assert_eq!(rig.netns_of_pid(rig.cri().container_pid(container)), rig.netns_of_pid(sandbox_pid));
}

/// No pin, no mount, and no file of the state directory is left of any pod.
#[track_caller]
pub(crate) fn assert_nothing_left(rig: &Rig) {
    assert_goes(|| rig.left_of_pods());
}

/// On a node without a daemon: `gc`, which looks once, leaves nothing.
#[track_caller]
pub(crate) fn assert_collected(rig: &Rig) {
    let gc = rig.berth_command(&["gc"]);
    assert!(gc.status.success(), "{gc:?}");
    assert_nothing_left(rig);
}

/// Within the deadline there is nothing left of it.
#[track_caller]
pub(crate) fn assert_goes(left: impl Fn() -> Vec<String>) {
    let gone = within(DEADLINE, || left().is_empty().then_some(()));
    assert!(gone.is_some(), "still there after {DEADLINE:?}: {:?}", left());
}

/// Of this pod.
#[track_caller]
pub(crate) fn assert_nothing_left_of(rig: &Rig, pod: &Sandbox) {
    assert_goes(|| rig.left_of_pods().into_iter().filter(|path| path.contains(&pod.id)).collect());
}

/// berth has handled the pod's start: its pin is there. For tests that are about pins alone.
#[track_caller]
pub(crate) fn await_pin(rig: &Rig, pod: &Sandbox) -> NetnsId {
    eventually("the pod is pinned", || rig.pin(&pod.id))
}
