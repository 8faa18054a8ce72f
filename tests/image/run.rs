//! A real engine runs it, as a DaemonSet's pod.

use std::fs;
use std::os::unix::fs::symlink;

use k8s_cri::v1::{
    ContainerConfig, ContainerMetadata, KeyValue, LinuxContainerConfig, LinuxContainerSecurityContext, Mount,
    MountPropagation,
};

use super::{NAME, script};
use crate::rig::IDLE;
use crate::rig::Rig;
use crate::rig::containerd::VM;
use crate::rig::cri::{Pod, Sandbox, image_spec};
use crate::rig::holds::{assert_identity, assert_joined_pin, assert_nothing_left};

/// In the rig.
const ARCHIVE: &str = "/run/rig/berth.tar";

/// In the container, in a directory that is the node's, too.
const PAGES: &str = "unix:/run/berth/http.sock";

/// A directory of the node in the container; by two names, if engines use two.
fn mounts() -> Vec<Mount> {
    let of = |host: &str, inside: &str, propagation: MountPropagation| Mount {
        host_path: host.into(),
        container_path: inside.into(),
        propagation: propagation.into(),
        ..Mount::default()
    };
    vec![
        of("/run/nri", "/var/run/nri", MountPropagation::PropagationPrivate),
        of("/run/berth", "/run/berth", MountPropagation::PropagationPrivate),
        of("/run/netns", "/run/netns", MountPropagation::PropagationBidirectional),
        of("/run/netns", "/var/run/netns", MountPropagation::PropagationBidirectional),
        of("/run/rig/etc", "/etc/berth", MountPropagation::PropagationPrivate),
        of("/proc", "/host/proc", MountPropagation::PropagationPrivate),
    ]
}

/// The image's own entrypoint and command.
fn daemon() -> ContainerConfig {
    let security = LinuxContainerSecurityContext { privileged: true, readonly_rootfs: true, ..Default::default() };
    ContainerConfig {
        metadata: Some(ContainerMetadata { name: "berth".into(), attempt: 0 }),
        image: Some(image_spec(NAME)),
        envs: [("BERTH_CONFIG", "/etc/berth/config.yaml"), ("BERTH_HOST_PROC", "/host/proc"), ("BERTH_LISTEN", PAGES)]
            .map(|(key, value)| KeyValue { key: key.into(), value: value.into() })
            .into(),
        mounts: mounts(),
        linux: Some(LinuxContainerConfig { security_context: Some(security), ..Default::default() }),
        ..ContainerConfig::default()
    }
}

/// The image as a node has it.
fn load(rig: &Rig) {
    fs::copy(script("image", &[], &[]), rig.path(ARCHIVE)).expect("bring the archive");
    rig.run("/run/rig/containerd/ctr", &["--namespace", "k8s.io", "images", "import", ARCHIVE]).expect("import it");
    assert!(rig.cri().has_image(NAME), "containerd has it by another name");
}

fn start(rig: &Rig) -> (Sandbox, String) {
    rig.run("mkdir", &["-p", "/run/netns", "/run/berth", "/run/rig/etc"]).expect("make the node's directories");
    rig.write("/run/rig/etc/config.yaml", include_str!("../../manifests/base/config.yaml"));
    symlink("berth/http.sock", rig.path("/run/berth-http.sock")).expect("give berth's pages the rig's name for them");
    let pod = rig.run_pod(&Pod { privileged: true, ..Pod::new("berth", "") }).expect("run the pod");
    let id = rig.cri().create(&pod, daemon()).expect("create the container");
    rig.cri().start_container(&id).expect("start the container");
    (pod, id)
}

#[test]
fn it_answers_from_a_pod_and_its_pins_reach_the_node() {
    let rig = Rig::start();
    load(&rig);
    let (_pod, daemon) = start(&rig);
    let version = rig.cri().exec(&daemon, &["/berth", "--version"]).expect("run its command in the pod");
    assert!(version.starts_with(concat!("berth ", env!("CARGO_PKG_VERSION"), " (")), "{version}");
    let said = rig.await_ready(200);
    assert!(!said.contains("FAIL"), "{said}");

    let pod = rig.pod("web", VM);
    let container = rig.container(&pod, "main", IDLE);
    assert_identity(&rig, &pod, "web", &container);
    if rig.can_swap() {
        assert_joined_pin(&rig, &pod, &container);
        let listed = rig.cri().exec(&daemon, &["/berth", "list", "-o", "name"]).expect("list from the pod");
        assert!(listed.contains(&pod.id), "{listed}");
    }
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_nothing_left(&rig);
}
