//! What is left after very many pods.

use std::time::Instant;

use super::holds::assert_in_berth;
use super::kubectl::{Object, PATIENCE};
use super::lasting::idle_pods;
use super::measure::show;
use super::scene::Scene;
use crate::rig::wait::within;

/// As many at a time as two processors bring up within half a minute.
const BATCH: usize = 20;
/// How much more memory berth may hold afterwards, in hundredths: what the allocator keeps in other places than before.
const GROWTH: u64 = 10;

/// How many pods: `BERTH_PODS`, or 200.
fn pods() -> usize {
    let given = std::env::var("BERTH_PODS").ok();
    given.map_or(200, |number| number.parse().unwrap_or_else(|e| panic!("BERTH_PODS={number}: {e}")))
}

/// Makes so many pods, all of which are in berth, and deletes them; nothing of berth's is left of them.
#[track_caller]
fn come_and_go(scene: &Scene<'_>, number: usize) {
    scene.apply(&idle_pods("many", number));
    for pod in scene.ready_pods("app=many", number) {
        assert_in_berth(scene, &pod);
    }
    scene.cluster.delete(&Object::labelled(&scene.namespace, "pods", "app=many"));
    let left = || scene.cluster.node().left_of_pods();
    assert!(within(PATIENCE, || left().is_empty().then_some(())).is_some(), "still there: {:?}", left());
}

#[test]
fn pods_by_the_hundred_leave_no_file_and_no_mount_and_cost_no_memory_and_no_descriptor() {
    let scene = Scene::with("plugin", "many");
    come_and_go(&scene, BATCH);
    let (berth, before) = (scene.cluster.berth(), scene.cluster.usage_at_rest());

    let (start, number) = (Instant::now(), pods());
    for done in (0..number).step_by(BATCH) {
        come_and_go(&scene, BATCH.min(number - done));
    }
    let took = start.elapsed();

    let after = scene.cluster.usage_at_rest();
    let each = took / u32::try_from(number).expect("not as many as that");
    let figures = format!("{number} pods in {took:.0?}, {each:.2?} each\n  before: {before:?}\n  after:  {after:?}");
    show(&figures);
    assert_eq!(scene.cluster.berth().containers, berth.containers, "it is not the same berth:\n{figures}");
    assert_eq!((after.descriptors, after.threads), (before.descriptors, before.threads), "{figures}");
    assert!(after.resident <= before.resident + before.resident * GROWTH / 100, "{figures}");
    let mounts = scene.cluster.node().mounts_of_pid(scene.cluster.pid_of_berth());
    let pins: Vec<_> = mounts.into_iter().filter(|point| point.contains("/berth-")).collect();
    assert_eq!(pins, Vec::<String>::new(), "mounts are left in berth's own namespace");
}
