//! berth as a plugin that containerd itself launches.

use super::{assert_identity, assert_networked, assert_nothing_left};
use crate::rig::berth::binary;
use crate::rig::containerd::VM;
use crate::rig::listener::LISTEN;
use crate::rig::{IDLE, Rig};

const PLUGIN: &str = "/run/rig/nri/plugins/10-berth";
const CONFIG: &str = "/run/rig/nri/conf.d/10-berth.conf";
const LOG: &str = "/run/berth/berth.log";

#[test]
fn berth_launched_by_containerd_from_its_plugin_directory_does_the_same() {
    let mut rig = Rig::furnished();
    std::fs::copy(binary(), rig.path(PLUGIN)).expect("install the plugin");
    let config = "profiles: [{name: launched, annotations: {example.com/pod: '{pod.name}'}}]\n";
    rig.write(CONFIG, &format!("{config}listen: {LISTEN}\n"));
    // Its CRI service is not ready before the plugins are.
    rig.start_engine();

    let pod = rig.pod("web", VM);
    let container = rig.container(&pod, "main", IDLE);
    assert_identity(&rig, &pod, "web", &container);
    assert_networked(&rig, &pod, &container);
    assert_eq!(rig.annotations(&container)["example.com/pod"], "web", "the configuration that the runtime handed over");

    rig.await_ready(200);
    assert_eq!(rig.metrics()["berth_ready"], 1.0);

    // containerd gives its plugins no standard error.
    let log = std::fs::read_to_string(rig.path(LOG)).expect("read the log");
    assert!(log.contains("endpoint=inherited") && log.contains("config=\"handed over by the runtime\""), "{log}");
    assert!(log.contains("event=CreateContainer") && log.contains("verdict=adjust"), "{log}");

    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_nothing_left(&rig);
}
