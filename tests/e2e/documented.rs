//! What the documentation tells an operator to write, read by the real engine.

use super::{assert_goes, assert_identity};
use crate::rig::{IDLE, Rig};

const CONFIG: &str = "/run/rig/containerd.toml";

/// The block of docs/interposers.md of TOML for this major version, with the rig's runtime and directory in the place of Kata's.
fn block(version: &str) -> String {
    let blocks = include_str!("../../docs/interposers.md").split("```toml\n").skip(1);
    let mut texts = blocks.map(|rest| rest.split("```").next().expect("a block ends"));
    let text = texts.find(|text| text.starts_with(version)).expect("the page has a block for this version");
    text.replace("/usr/local/bin", "/run/rig/names").replace("kata", "runc")
}

#[test]
fn the_handler_of_the_documentation_works_as_it_is_written() {
    let mut rig = Rig::furnished();
    let before = std::fs::read_to_string(rig.path(CONFIG)).expect("the rig has a configuration");
    if rig.asks_running_shims() {
        std::fs::create_dir(rig.path("/run/rig/conf.d")).expect("make the directory of drop-ins");
        rig.write("/run/rig/conf.d/50-berth.toml", &block("version = 3"));
        rig.write(CONFIG, &format!("imports = ['/run/rig/conf.d/*.toml']\n{before}"));
    } else {
        let table = block("version = 2").replace("version = 2\n", "");
        rig.write(CONFIG, &format!("{before}{table}"));
    }
    rig.start_engine();
    let pod = rig.pod("web", "runc-berth");
    assert_eq!(rig.netns_path(&pod.id), Some(Rig::pin_path(&pod.id)));
    assert_eq!(rig.annotations(&pod.id)["ocid/container_type"], "sandbox");
    if !rig.asks_running_shims() {
        assert_identity(&rig, &pod, "web", &rig.container(&pod, "main", IDLE));
    }
    // What stood there before works as it did.
    let other = rig.pod("other", "runc");
    assert_eq!(rig.pin(&other.id), None);
    for pod in [&pod, &other] {
        rig.cri().remove_pod(&pod.id).expect("remove the pod");
    }
    let gc = rig.berth_command(&["gc"]);
    assert!(gc.status.success(), "{gc:?}");
    assert_goes(|| rig.left_of_pods());
}

#[test]
fn a_file_of_another_version_than_the_configurations_costs_what_the_documentation_says() {
    const MINE: &str = "example.com/mine:1";
    let rig = Rig::furnished();
    std::fs::create_dir(rig.path("/run/rig/conf.d")).expect("make the directory of drop-ins");
    rig.write(
        CONFIG,
        &format!(
            "version = 2\nimports = ['/run/rig/conf.d/*.toml']\n[plugins.'io.containerd.grpc.v1.cri']\n  sandbox_image = '{MINE}'\n"
        ),
    );
    let merged = |version: &str| {
        rig.write("/run/rig/conf.d/50-berth.toml", &block(version));
        rig.run("/run/rig/containerd/containerd", &["--config", CONFIG, "config", "dump"])
    };
    let same = merged("version = 2").expect("containerd reads it");
    assert!(same.contains("runtimes.runc-berth]"), "{same}");
    // Before 2.0 the file replaces the whole section, so the handler has to go into the configuration itself.
    assert_eq!(same.contains(MINE), rig.asks_running_shims(), "{same}");
    if rig.asks_running_shims() {
        let higher = merged("version = 3");
        assert!(!higher.is_ok_and(|text| text.contains(MINE)), "a higher version takes nothing away any more");
    }
}
