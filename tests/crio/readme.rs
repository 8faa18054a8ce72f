//! What the README tells an operator of CRI-O to write, read by the real engine.

use std::os::unix::fs::DirBuilderExt;

use crate::rig::crio::{DROP_INS, Infra};
use crate::rig::{IDLE, Rig};

/// The README's block in this language that has these words, with the rig's runtime and directory in the place of others.
fn block(language: &str, words: &str) -> String {
    let fence = format!("```{language}\n");
    let blocks = include_str!("../../README.md").split(&fence).skip(1);
    let mut texts = blocks.map(|rest| rest.split("```").next().expect("a block ends"));
    let text = texts.find(|text| text.contains(words)).expect("the README has such a block");
    text.replace("/usr/local/bin", "/run/rig/names").replace("kata", "runc").replace("crun", "runc")
}

#[test]
fn the_handlers_of_the_readme_work_as_they_are_written() {
    let mut rig = Rig::crio_with(Infra::Kept, &[]);
    // Both handlers wrap runc here, and a handler has one name.
    let handlers = block("toml", "crio.runtime").replacen("runtimes.runc-berth", "runtimes.oci-berth", 1);
    rig.write(&format!("{DROP_INS}/50-berth.conf"), &handlers);
    // Where the daemon would have left it; the rig's /etc is the host's.
    std::fs::DirBuilder::new().mode(0o700).create(rig.path("/run/berth")).expect("make the state directory");
    rig.write("/run/berth/config.yaml", &block("yaml", "engine: cri-o"));
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
