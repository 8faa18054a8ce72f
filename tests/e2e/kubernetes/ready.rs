//! A pod of berth is ready when its engine asks it, and says why when it is not.

use super::berth::{NAMESPACE, daemonset};
use super::cluster::Cluster;
use super::holds::assert_in_berth;
use super::kubectl::Object;
use super::local::Settings;
use super::pods::deploy;
use super::scene::{Scene, is_ready};
use crate::rig::containerd::VM;

const ENGINE: &str = "/etc/containerd/config.toml";
const ON: &str = "[plugins.'io.containerd.nri.v1.nri']\n  disable = false";
const OFF: &str = "[plugins.'io.containerd.nri.v1.nri']\n  disable = true";

fn without_nri(usual: String) -> String {
    assert!(usual.contains(ON), "the usual configuration turns NRI on:\n{usual}");
    usual.replace(ON, OFF)
}

#[test]
fn the_daemonset_is_ready_when_berth_is_registered_and_not_before() {
    let cluster = Cluster::own(&Settings { containerd: without_nri, ..Settings::default() });
    let scene = Scene::on(&cluster, "registration");
    cluster.apply_overlay("plugin");

    let (running, reason) = cluster.eventually("berth runs and says why it is not ready", &daemonset(), |set| {
        (set["status"]["desiredNumberScheduled"] == 1).then_some(())?;
        let (status, body) = cluster.health("/readyz")?;
        (status == 503).then(|| (cluster.berth(), body))
    });
    assert!(reason.contains("FAIL"), "{reason}");
    assert!(reason.contains("/var/run/nri/nri.sock"), "{reason}");
    let pod = cluster.get(&running.object()).expect("berth's pod is there");
    assert!(!is_ready(&pod), "ready without a session");
    assert_eq!(cluster.health("/healthz").map(|(status, _)| status), Some(200));

    let config = std::fs::read_to_string(cluster.node().path(ENGINE)).expect("read the engine's configuration");
    cluster.node().write(ENGINE, &config.replace(OFF, ON));
    cluster.restart_engine();
    cluster.await_rollout(&daemonset());
    let (status, _) = cluster.health("/readyz").expect("berth answers");
    assert_eq!(status, 200);
    let after = cluster.get(&Object::new(NAMESPACE, "pod", &running.name)).expect("it is the same pod");
    assert_eq!(after["status"]["containerStatuses"][0]["restartCount"], 0, "berth was restarted");
    assert_in_berth(&scene, &deploy(&scene, "web", Some(VM)));
}
