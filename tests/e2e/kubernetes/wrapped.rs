//! Pods of handlers with berth in front of the OCI runtime or of the shim: their sandboxes are in berth as well.

use super::berth::daemonset;
use super::holds::{assert_in_berth, assert_sandbox_in_berth, assert_serves, assert_unpinned};
use super::pods::{deploy, undeploy};
use super::scene::Scene;
use crate::rig::containerd::{SHIMMED, VM, WRAPPED};
use crate::rig::wait::eventually;

#[test]
fn a_wrapped_pod_is_in_berth_with_its_sandbox() {
    let scene = Scene::with("plugin", "wrapped");
    for class in [WRAPPED, SHIMMED] {
        let pod = deploy(&scene, class, Some(class));
        assert_sandbox_in_berth(&scene, &pod);
        assert_in_berth(&scene, &pod);
        assert_serves(&scene, &pod, "server", &format!("{class} serves"));
    }
}

/// What the record of the pod says, if there is one.
fn record(scene: &Scene<'_>, sandbox: &str) -> Option<String> {
    let path = scene.cluster.node().path(format!("/run/berth/sandboxes/berth-{sandbox}.json"));
    std::fs::read_to_string(path).ok()
}

/// A field of the status of berth's process.
fn status(scene: &Scene<'_>, field: &str) -> String {
    let berth = scene.cluster.berth();
    let pid = berth.bundle(scene.cluster, "berth").pid();
    let text = std::fs::read_to_string(scene.cluster.node().path(format!("/proc/{pid}/status"))).expect("berth runs");
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("no {field} in {text}")).trim().to_owned()
}

/// Puts a berth there that may unmount: after the last pod comes no creation, which would remove what is marked.
#[track_caller]
fn let_it_clean_up(scene: &Scene<'_>) {
    scene.cluster.apply_overlay("plugin");
    scene.cluster.await_rollout(&daemonset());
}

#[test]
fn beside_interposers_berth_needs_no_privilege() {
    let scene = Scene::with("interposed", "interposed");
    let (code, ready) = scene.cluster.health("/readyz").expect("berth answers");
    assert_eq!(code, 200, "{ready}");
    assert!(ready.contains("interposers make the pins"), "{ready}");
    for set in ["CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"] {
        assert_eq!(status(&scene, set), "0000000000000000", "{set}");
    }
    assert_eq!([status(&scene, "NoNewPrivs"), status(&scene, "Seccomp")], ["1", "2"]);

    // The interposer has pinned it; members behind the shim's are given that pin by the daemon.
    for class in [WRAPPED, SHIMMED] {
        let pod = deploy(&scene, class, Some(class));
        assert_sandbox_in_berth(&scene, &pod);
        assert_in_berth(&scene, &pod);
        assert_serves(&scene, &pod, "server", &format!("{class} serves"));
    }

    // Where nobody pins there is identity, and the engine's own path.
    let plain = deploy(&scene, "plain", Some(VM));
    assert_unpinned(&scene, &plain);
    assert_serves(&scene, &plain, "server", "plain serves");
    let said = scene.logs(&scene.cluster.berth(), "berth").expect("kubectl logs");
    let line = |line: &&str| line.contains("reason=not-pinned") && line.contains("plain");
    assert!(said.lines().any(|each| line(&each)), "{said}");
    let_it_clean_up(&scene);
}

#[test]
fn what_an_unprivileged_berth_marks_goes_with_the_next_creation_or_by_who_may() {
    let scene = Scene::with("interposed", "marked");
    let node = scene.cluster.node();
    let first = deploy(&scene, "first", Some(WRAPPED));
    let sandbox = first.sandbox(scene.cluster).id;
    undeploy(&scene, "first", &first);
    eventually("the end is marked", || record(&scene, &sandbox)?.contains("\"gone\":").then_some(()));
    assert!(node.pin(&sandbox).is_some(), "who may not unmount has unmounted");

    let next = deploy(&scene, "next", Some(WRAPPED));
    assert_in_berth(&scene, &next);
    assert_eq!(node.pin(&sandbox), None, "the next creation has left it");
    assert_eq!(record(&scene, &sandbox), None);

    let sandbox = next.sandbox(scene.cluster).id;
    undeploy(&scene, "next", &next);
    eventually("the end is marked", || record(&scene, &sandbox)?.contains("\"gone\":").then_some(()));
    let_it_clean_up(&scene);
    eventually("it is released", || record(&scene, &sandbox).is_none().then_some(()));
}
