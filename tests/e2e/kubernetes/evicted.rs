//! Pods that are told to go.

use super::lasting::{Lasting, assert_nothing_left_of};
use super::scene::Scene;

#[test]
fn a_pod_deleted_by_force_leaves_nothing() {
    let scene = Scene::with("plugin", "forced");
    let pod = Lasting::start(&scene, "web");
    let forced = ["delete", "--force", "--grace-period=0"];
    scene.cluster.kubectl(&pod.pod.object().after(&forced)).unwrap_or_else(|e| panic!("{e}"));
    assert_nothing_left_of(&scene, &pod.sandbox);
}

#[test]
fn a_drained_node_keeps_its_berth_and_nothing_of_its_pods() {
    let scene = Scene::with("plugin", "drained");
    let pod = Lasting::start(&scene, "web");
    let berth = scene.cluster.berth();
    let node = scene
        .await_object("the pod has a node", "pod", "web", |pod| pod["spec"]["nodeName"].as_str().map(str::to_owned));
    let drained = scene.cluster.kubectl(&["drain", &node, "--ignore-daemonsets", "--force", "--timeout=90s"]);
    // Whatever came of it: the next test wants pods on it.
    scene.cluster.kubectl(&["uncordon", &node]).unwrap_or_else(|e| panic!("{e}"));
    drained.unwrap_or_else(|e| panic!("{e}"));
    assert_nothing_left_of(&scene, &pod.sandbox);
    assert_eq!(scene.cluster.berth().containers, berth.containers, "berth was drained as well");
}
