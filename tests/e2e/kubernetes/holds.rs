//! What is to hold of pods in a cluster, read where it is true: in the bundles and in `/proc` of the node.

use super::pod::{Bundle, Pod};
use super::scene::Scene;
use crate::rig::read::pin_path;

/// Every container of the pod says whose it is, in both default dialects, was given the path of the pod's pin, and is in
/// the namespace that the pin keeps.
#[track_caller]
pub(crate) fn assert_in_berth(scene: &Scene<'_>, pod: &Pod) {
    assert!(!pod.containers.is_empty(), "no container of {pod:?} was started");
    for container in pod.containers.keys() {
        assert_container_in_berth(scene, pod, container);
    }
}

/// The same of one container, which runs.
#[track_caller]
pub(crate) fn assert_container_in_berth(scene: &Scene<'_>, pod: &Pod, container: &str) {
    let node = scene.cluster.node();
    let sandbox = pod.sandbox(scene.cluster).id;
    let bundle = pod.bundle(scene.cluster, container);
    assert_identity(&bundle, pod, &sandbox, container);
    assert_eq!(bundle.netns_path(), Some(pin_path(&sandbox)), "the path of {container}");
    let pin = node.pin(&sandbox).unwrap_or_else(|| panic!("{pod:?} has no pin that is a mount"));
    assert_eq!(bundle.netns(), pin, "{container} is in another namespace");
    assert_ne!(pin, node.netns_of_node(), "the node's own network is pinned");
}

/// The pod's sandbox says that it is one, was given the path of the pod's pin, and is in the namespace that the pin keeps.
#[track_caller]
pub(crate) fn assert_sandbox_in_berth(scene: &Scene<'_>, pod: &Pod) {
    let sandbox = pod.sandbox(scene.cluster);
    assert_says(&sandbox, "sandbox", pod, &sandbox.id, "the sandbox");
    assert_eq!(sandbox.netns_path(), Some(pin_path(&sandbox.id)), "the path of the sandbox");
    let pin = scene.cluster.node().pin(&sandbox.id);
    assert_eq!(Some(sandbox.netns()), pin, "the sandbox is in another namespace than its pin");
}

/// The container says whose it is, in both default dialects.
#[track_caller]
pub(crate) fn assert_identity(bundle: &Bundle, pod: &Pod, sandbox: &str, container: &str) {
    assert_says(bundle, "container", pod, sandbox, container);
}

#[track_caller]
fn assert_says(bundle: &Bundle, role: &str, pod: &Pod, sandbox: &str, container: &str) {
    let annotations = bundle.annotations();
    for (key, value) in [
        ("ocid/container_type", role),
        ("ocid/sandbox_name", &*pod.name),
        ("ocid/sandbox_id", sandbox),
        ("io.kubernetes.cri.container-type", role),
        ("io.kubernetes.cri.sandbox-name", &pod.name),
        ("io.kubernetes.cri.sandbox-namespace", &pod.namespace),
        ("io.kubernetes.cri.sandbox-uid", &pod.uid),
        ("io.kubernetes.cri.sandbox-id", sandbox),
    ] {
        assert_eq!(annotations.get(key).map(String::as_str), Some(value), "{key} of {container} of {pod:?}");
    }
}

/// Every container of the pod says whose it is, and has the engine's own path; the pod has no pin.
#[track_caller]
pub(crate) fn assert_unpinned(scene: &Scene<'_>, pod: &Pod) {
    let sandbox = pod.sandbox(scene.cluster);
    for container in pod.containers.keys() {
        let bundle = pod.bundle(scene.cluster, container);
        assert_identity(&bundle, pod, &sandbox.id, container);
        assert_own_path(&bundle, &sandbox, container);
    }
    assert_eq!(scene.cluster.node().pin(&sandbox.id), None, "{pod:?} is pinned");
}

/// The path is the one that the engine gives without berth.
#[track_caller]
fn assert_own_path(bundle: &Bundle, sandbox: &Bundle, container: &str) {
    assert_eq!(bundle.netns_path(), Some(format!("/proc/{}/ns/net", sandbox.pid())), "the path of {container}");
    assert_eq!(bundle.netns(), sandbox.netns(), "{container} is in another namespace");
}

/// berth has no part in the pod: no annotation that only berth writes, the engine's own path, no pin.
#[track_caller]
pub(crate) fn assert_untouched(scene: &Scene<'_>, pod: &Pod) {
    let sandbox = pod.sandbox(scene.cluster);
    for container in pod.containers.keys() {
        let bundle = pod.bundle(scene.cluster, container);
        let berths: Vec<_> = bundle.annotations().into_keys().filter(|key| key.starts_with("ocid/")).collect();
        assert!(berths.is_empty(), "{container} of {pod:?} has {berths:?}");
        assert_own_path(&bundle, &sandbox, container);
    }
    assert_eq!(scene.cluster.node().pin(&sandbox.id), None, "{pod:?} is pinned");
}

/// The pod's server is reached from the node by the pod's address and inside the pod over loopback, and says by its log
/// who it is.
#[track_caller]
pub(crate) fn assert_serves(scene: &Scene<'_>, pod: &Pod, container: &str, says: &str) {
    let node = scene.cluster.node();
    assert_eq!(node.fetch_from_node(&format!("http://{}/", pod.address)).as_deref(), Ok("berth\n"));
    let loopback = ["wget", "-q", "-O", "-", "http://127.0.0.1/"];
    assert_eq!(scene.exec(pod, container, &loopback).as_deref(), Ok("berth\n"));
    assert_eq!(scene.logs(pod, container), Ok(format!("{says}\n")));
}
