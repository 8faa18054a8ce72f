//! The node's engine ends, and comes back.

use nix::sys::signal::Signal;

use super::lasting::Lasting;
use super::measure::{process_named, send};
use super::scene::Scene;
use crate::rig::wait::eventually;

const ENGINE: &str = "containerd";
const SESSIONS: &str = "berth_nri_sessions_total";

/// Pods that ran before stay, berth comes back to the engine by itself, and both pods of before and of after leave
/// nothing.
#[track_caller]
fn assert_outlived(scene: &Scene<'_>, restart: impl FnOnce(u32)) {
    let node = scene.cluster.node();
    let [stays, goes] = ["stays", "goes"].map(|name| Lasting::start(scene, name));
    let berth = scene.cluster.berth();
    let sessions = scene.cluster.metric(SESSIONS).expect("berth answers");
    let engine = process_named(node, ENGINE);
    restart(engine);
    assert_ne!(process_named(node, ENGINE), engine, "the engine was not restarted");

    let again = || (scene.cluster.metric(SESSIONS)? > sessions).then_some(());
    eventually("berth is registered again", again);
    scene.cluster.await_ready();
    stays.assert_undisturbed(scene);
    // The engine tells no plugin of the end of pods that are older than its process.
    goes.assert_leaves_nothing(scene);
    Lasting::start(scene, "later").assert_leaves_nothing(scene);
    stays.assert_undisturbed(scene);
    let now = scene.cluster.berth();
    assert_eq!((now.uid, now.containers), (berth.uid, berth.containers), "berth was restarted");
}

#[test]
fn pods_and_berth_outlive_a_restart_of_the_engine() {
    let scene = Scene::with("plugin", "engine-restarted");
    assert_outlived(&scene, |_| scene.cluster.restart_engine());
}

#[test]
fn pods_and_berth_outlive_an_engine_that_is_killed() {
    let scene = Scene::with("plugin", "engine-killed");
    assert_outlived(&scene, |engine| {
        send(scene.cluster.node(), Signal::SIGKILL, engine);
        scene.cluster.restart_engine();
    });
}
