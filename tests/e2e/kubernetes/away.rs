//! A while without berth on the node: what runs goes on, what comes meanwhile runs unadjusted and is reported, and the
//! next berth takes over what there is.

use std::collections::BTreeSet;

use super::berth::{NAMESPACE, SELECTOR, daemonset};
use super::cluster::Cluster;
use super::holds::{assert_container_in_berth, assert_in_berth, assert_serves, assert_untouched};
use super::kubectl::{Object, PATIENCE};
use super::lasting::{Lasting, SERVER, assert_nothing_left_of, serve};
use super::pod::Pod;
use super::scene::Scene;
use crate::rig::containerd::{VM, WRAPPED};
use crate::rig::provision::provision;
use crate::rig::wait::within;

const UNADJUSTED: &str = "berth_containers_unadjusted";

/// Deletes the DaemonSet, and returns when no berth is left.
#[track_caller]
fn take_away(cluster: &Cluster) {
    cluster.delete(&daemonset());
    let pods = Object::labelled(NAMESPACE, "pods", SELECTOR);
    let gone = within(PATIENCE, || cluster.items(&pods).is_empty().then_some(()));
    assert!(gone.is_some(), "berth is still there {PATIENCE:?} after its DaemonSet\n{}", cluster.about(&pods));
}

/// Applies the overlay again, and returns when berth is ready.
#[track_caller]
fn bring_back(cluster: &Cluster, overlay: &str) {
    cluster.apply_overlay(overlay);
    cluster.await_rollout(&daemonset());
}

/// Adds a container to a pod that runs, by `kubectl debug`; the pod when it runs.
#[track_caller]
fn add_container(scene: &Scene<'_>, pod: &Pod, name: &str) -> Pod {
    let image = format!("--image={}", provision().image_busybox);
    let words = ["debug", "--namespace", &pod.namespace, &pod.name, "--container", name, &image, "--quiet"];
    let command = ["--image-pull-policy=IfNotPresent", "--", "sleep", "3600"];
    scene.cluster.kubectl(&[&words[..], &command].concat()).unwrap_or_else(|e| panic!("{e}"));
    scene.await_object(&format!("the container {name} runs"), "pod", &pod.name, |pod| {
        let statuses = pod["status"]["ephemeralContainerStatuses"].as_array()?;
        let mut running = statuses.iter().filter(|status| status["state"]["running"].is_object());
        running.any(|status| status["name"] == name).then(|| Pod::of(pod))
    })
}

/// The pods of the test, and their containers, that berth's log names as created while it was away.
pub(super) fn unadjusted_by_the_log(scene: &Scene<'_>) -> BTreeSet<(String, String)> {
    let log = scene.logs(&scene.cluster.berth(), "berth").unwrap_or_else(|e| panic!("{e}"));
    let value = |line: &str, key: &str| {
        let mut words = line.split(' ').filter_map(|word| word.strip_prefix(key)?.strip_prefix('='));
        words.next().map(str::to_owned)
    };
    let lines = log.lines().filter(|line| line.contains(" reason=created-while-away "));
    let named = lines.filter_map(|line| {
        let pod = value(line, "pod")?;
        Some((pod.strip_prefix(&format!("{}/", scene.namespace))?.to_owned(), value(line, "container")?))
    });
    named.collect()
}

#[test]
fn containers_created_while_berth_is_away_run_unadjusted_and_are_reported() {
    let scene = Scene::with("plugin", "gap");
    let before = Lasting::start(&scene, "before");
    take_away(scene.cluster);
    let with_late = add_container(&scene, &before.pod, "late");
    let late = with_late.bundle(scene.cluster, "late");
    assert!(!late.annotations().keys().any(|key| key.starts_with("ocid/")), "{:?}", late.annotations());
    let during = serve(&scene, "during", VM);
    assert_untouched(&scene, &during);
    assert_serves(&scene, &during, SERVER, "during serves");

    bring_back(scene.cluster, "plugin");
    scene.cluster.await_metric(UNADJUSTED, 2);
    let named = [("before", "late"), ("during", SERVER)].map(|(pod, name)| (pod.to_owned(), name.to_owned()));
    assert_eq!(unadjusted_by_the_log(&scene), BTreeSet::from(named));
    // The pod that came in the gap is pinned by now, and what joins it later is in berth.
    let with_after = add_container(&scene, &during, "after");
    assert_container_in_berth(&scene, &with_after, "after");

    before.assert_leaves_nothing(&scene);
    scene.cluster.await_metric(UNADJUSTED, 1);
    scene.cluster.delete(&during.object());
    scene.cluster.await_metric(UNADJUSTED, 0);
}

#[test]
fn pods_go_on_without_the_daemonset_and_the_next_berth_cleans_up() {
    let scene = Scene::with("plugin", "away");
    let node = scene.cluster.node();
    let [stays, goes] = ["stays", "goes"].map(|name| Lasting::start(&scene, name));
    take_away(scene.cluster);
    stays.assert_undisturbed(&scene);
    scene.cluster.delete(&goes.pod.object());
    assert!(node.pin(&goes.sandbox).is_some(), "who has released it?");

    bring_back(scene.cluster, "plugin");
    assert_nothing_left_of(&scene, &goes.sandbox);
    stays.assert_undisturbed(&scene);
    let with_after = add_container(&scene, &stays.pod, "after");
    assert_container_in_berth(&scene, &with_after, "after");
    stays.assert_leaves_nothing(&scene);
}

#[test]
fn behind_an_interposer_there_is_no_gap() {
    let scene = Scene::with("interposed", "no-gap");
    let before = serve(&scene, "before", WRAPPED);
    assert_in_berth(&scene, &before);
    take_away(scene.cluster);
    let with_late = add_container(&scene, &before, "late");
    assert_in_berth(&scene, &with_late);
    let during = serve(&scene, "during", WRAPPED);
    assert_in_berth(&scene, &during);
    assert_serves(&scene, &during, SERVER, "during serves");

    bring_back(scene.cluster, "interposed");
    assert_in_berth(&scene, &scene.ready_pod("during"));
    scene.cluster.await_metric(UNADJUSTED, 0);
    assert_eq!(unadjusted_by_the_log(&scene), BTreeSet::new());
    // After the last pod comes no creation, which would remove what berth marks: this one may do it by itself.
    bring_back(scene.cluster, "plugin");
}
