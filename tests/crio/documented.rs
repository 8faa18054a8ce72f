//! What the documentation tells an operator of CRI-O to write, read by the real engine.

use crate::rig::crio::{DROP_INS, Infra};
use crate::rig::{IDLE, Rig};

/// The block of docs/interposers.md for CRI-O, with the rig's runtime and directory in the place of others.
fn block() -> String {
    let blocks = include_str!("../../docs/interposers.md").split("```toml\n").skip(1);
    let mut texts = blocks.map(|rest| rest.split("```").next().expect("a block ends"));
    let text = texts.find(|text| text.starts_with("[crio.")).expect("the page has a block for CRI-O");
    text.replace("/usr/local/bin", "/run/rig/names").replace("kata", "runc").replace("crun", "runc")
}

#[test]
fn the_handlers_of_the_documentation_work_as_they_are_written() {
    let mut rig = Rig::crio_with(Infra::Kept, &[]);
    // Both handlers wrap runc here, and a handler has one name.
    let handlers = block().replacen("runtimes.runc-berth", "runtimes.oci-berth", 1);
    rig.write(&format!("{DROP_INS}/50-berth.conf"), &handlers);
    rig.start_engine();
    for handler in ["oci-berth", "runc-berth"] {
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
