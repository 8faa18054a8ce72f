//! The file that an operator of CRI-O copies, byte for byte where it is copied to, read by the real engine. That the
//! documentation says the same is among the tests of containerd.

use crate::rig::crio::BEHIND;
use crate::rig::{IDLE, Rig};

#[test]
fn the_handlers_of_the_file_work_as_they_are_written() {
    let mut rig = Rig::crio_node();
    // What they are in front of is runc here, under those names.
    let script = format!(
        "cd /usr/local/bin; cp /run/rig/berth/* berth
        ln -s berth containerd-shim-berth-kata-v2; ln -s berth berth-crun
        ln -s {BEHIND}/containerd-shim-runc-v2 containerd-shim-kata-v2; ln -s {BEHIND}/runc crun"
    );
    rig.run("sh", &["-euc", &script]).expect("make the links of the documentation");
    let handlers = include_str!("../../manifests/crio/handlers.conf");
    rig.write("/etc/crio/crio.conf.d/60-berth-by-hand.conf", handlers);
    rig.restart_node();
    rig.bring_images();
    for handler in ["crun-berth", "kata-berth"] {
        let pod = rig.pod("web", handler);
        let container = rig.container(&pod, "main", IDLE);
        for (id, kind) in [(&pod.id, "sandbox"), (&container, "container")] {
            assert_eq!(rig.annotations(id)["ocid/container_type"], kind, "{handler}");
            assert_eq!(rig.netns_path(id), Some(Rig::pin_path(&pod.id)), "{handler}");
        }
        rig.cri().remove_pod(&pod.id).expect("remove the pod");
    }
    super::assert_nothing_left_after_gc(&rig);
}
