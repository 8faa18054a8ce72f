//! The same node with berth on it as a plugin that the engine starts: no container comes before it.

use super::super::berth::daemonset;
use super::super::cluster::Cluster;
use super::super::holds::assert_in_berth;
use super::super::kubectl::Object;
use super::super::scene::Scene;
use super::boot::{assert_all_ready, cut_power, ready_mirror, remove_static_pods};
use super::{AWAY, assert_refused, mirror, pod, requiring_cluster};
use crate::rig::containerd::VM;

/// How often the node has told of this pod that berth is away.
fn refusals(cluster: &Cluster, namespace: &str, name: &str) -> usize {
    let events = Object::all(namespace, "events");
    let events = cluster.get(&events).expect("a list");
    let of_pod =
        events["items"].as_array().into_iter().flatten().filter(|event| event["involvedObject"]["name"] == name);
    of_pod.filter(|event| event["message"].as_str().is_some_and(|message| message.contains(AWAY))).count()
}

#[test]
fn where_the_engine_starts_berth_no_container_is_ever_refused() {
    let cluster = requiring_cluster(VM);
    let scene = Scene::on(&cluster, "launched");
    ready_mirror(&cluster, "tolerant");
    assert_refused(&cluster, &mirror("strict"));

    cluster.apply_overlay("host");
    cluster.eventually("the installer waits for the engine's restart", &daemonset(), |_| {
        let (status, body) = cluster.health("/readyz")?;
        (status == 503 && body.contains("restart")).then_some(())
    });
    scene.apply(&pod("early", Some(VM), None).to_string());
    assert_refused(&cluster, &scene.object("pod", "early"));
    assert!(refusals(&cluster, &scene.namespace, "early") > 0, "refusals are told by events");
    cluster.restart_engine();
    cluster.await_rollout(&daemonset());
    assert_in_berth(&scene, &ready_mirror(&cluster, "strict"));
    assert_in_berth(&scene, &scene.ready_pod("early"));

    // berth is on the node now, whatever becomes of its installer.
    scene.apply(&pod("late", Some(VM), None).to_string());
    let before = scene.ready_pod("late");
    cut_power(&scene);
    let late = scene.await_object("the pod is back", "pod", "late", |pod| {
        let pod = super::super::scene::is_ready(pod).then(|| super::super::pod::Pod::of(pod))?;
        (pod.containers != before.containers).then_some(pod)
    });
    assert_in_berth(&scene, &late);
    assert_eq!(refusals(&cluster, &scene.namespace, "late"), 0, "berth came after the first container");
    cluster.await_rollout(&daemonset());
    assert_all_ready(&cluster);
    remove_static_pods(&cluster);
}
