//! Pods that come and go while berth is replaced, or ends without a word.

use std::collections::BTreeSet;

use nix::sys::signal::Signal;

use super::away::unadjusted_by_the_log;
use super::berth::daemonset;
use super::churn::Churn;
use super::lasting::{IDLER, Lasting, idle_pods};
use super::measure::{send, show};
use super::pod::Pod;
use super::scene::Scene;

/// By then pods must have come and gone during some.
const MOST_UPDATES: usize = 10;

/// Changes an annotation of the DaemonSet's template.
#[track_caller]
fn begin_update(scene: &Scene<'_>) {
    scene.cluster.kubectl(&daemonset().after(&["rollout", "restart"])).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn no_pod_fails_while_the_daemonset_is_updated_again_and_again() {
    let scene = Scene::with("plugin", "update");
    let lasting = Lasting::start(&scene, "lasting");
    let churn = Churn::start(&scene);
    let first = scene.cluster.berth();
    // An update of one node takes little longer than a pod's life.
    let (mut updates, mut during) = (0, 0);
    while updates < 2 || during < 6 {
        assert!(updates < MOST_UPDATES, "only {during} pods came and went during {updates} updates");
        let before = churn.gone();
        begin_update(&scene);
        scene.cluster.await_rollout(&daemonset());
        during += churn.gone() - before;
        updates += 1;
    }
    assert_ne!(scene.cluster.berth().uid, first.uid, "there was no update");
    show(&format!("{during} pods came and went during {updates} updates, {} in all", churn.end()));
    lasting.assert_undisturbed(&scene);
    Lasting::start(&scene, "later");
}

#[test]
fn no_pod_fails_and_nothing_is_lost_when_berth_is_killed() {
    let scene = Scene::with("plugin", "killed");
    let lasting = Lasting::start(&scene, "lasting");
    let churn = Churn::start(&scene);
    let before = scene.cluster.berth();
    send(scene.cluster.node(), Signal::SIGKILL, scene.cluster.pid_of_berth());
    scene.cluster.eventually("the kubelet starts berth again", &before.object(), |pod| {
        let again = Pod::of(pod).containers != before.containers;
        (again && super::scene::is_ready(pod)).then_some(())
    });
    scene.cluster.await_ready();
    churn.await_more(6);
    churn.end();
    lasting.assert_undisturbed(&scene);
    Lasting::start(&scene, "later");
}

#[test]
fn every_container_that_runs_after_an_update_is_adjusted_or_reported() {
    const PODS: usize = 12;
    let scene = Scene::with("plugin", "each");
    begin_update(&scene);
    scene.apply(&idle_pods("each", PODS));
    let pods = scene.ready_pods("app=each", PODS);
    scene.cluster.await_rollout(&daemonset());

    // No pod has ended, and so every bundle is there.
    let runs_unadjusted = |pod: &&Pod| {
        let annotations = pod.bundle(scene.cluster, IDLER).annotations();
        !annotations.keys().any(|key| key.starts_with("ocid/"))
    };
    let unadjusted: BTreeSet<_> =
        pods.iter().filter(runs_unadjusted).map(|pod| (pod.name.clone(), IDLER.to_owned())).collect();
    scene.cluster.await_metric("berth_containers_unadjusted", unadjusted.len() as u64);
    assert_eq!(unadjusted_by_the_log(&scene), unadjusted);
    show(&format!("{} of {PODS} containers were created in the gap of an update", unadjusted.len()));
    for pod in &pods {
        let sandbox = pod.sandbox(scene.cluster).id;
        assert!(scene.cluster.node().pin(&sandbox).is_some(), "{} is not pinned", pod.name);
    }
}
