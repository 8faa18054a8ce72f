//! The files that an operator copies, byte for byte where they are copied to, read by the real engine; and that the
//! documentation says the same.

use super::{assert_goes, assert_identity};
use crate::rig::containerd::usual_config;
use crate::rig::provision::provision;
use crate::rig::{IDLE, Rig};

const CONFIG: &str = "/etc/containerd/config.toml";
const DROP_IN: &str = "/etc/containerd/conf.d/60-berth-by-hand.toml";
const IMPORTS: &str = "imports = ['/etc/containerd/conf.d/*.toml']\n";

/// The file of `manifests/containerd` for this version of containerd's configuration.
fn handlers(version: u32) -> &'static str {
    match version {
        2 => include_str!("../../manifests/containerd/handlers-version-2.toml"),
        _ => include_str!("../../manifests/containerd/handlers-version-3.toml"),
    }
}

/// A node that has what the files name: what they are in front of is runc here, under those names.
fn node(config: &str) -> Rig {
    let rig = Rig::node(Some(config));
    let runc = provision().runc.display();
    let script = format!(
        "mkdir /etc/containerd/conf.d; cd /usr/local/bin; cp /run/rig/berth/* berth
        ln -s berth containerd-shim-berth-kata-v2; ln -s berth berth-crun
        ln -s /run/rig/containerd/containerd-shim-runc-v2 containerd-shim-kata-v2; ln -s {runc} crun"
    );
    rig.run("sh", &["-euc", &script]).expect("make the links of the documentation");
    rig
}

#[test]
fn the_handlers_of_the_files_work_as_they_are_written() {
    let usual = usual_config();
    let of_2 = provision().containerd_version >= (2, 0);
    let mut rig = if of_2 {
        let rig = node(&format!("{IMPORTS}{usual}"));
        rig.write(DROP_IN, handlers(3));
        rig
    } else {
        node(&format!("{usual}{}", handlers(2).replace("version = 2\n", "")))
    };
    rig.restart_node();
    rig.bring_images();
    for handler in ["kata-berth", "crun-berth"] {
        let pod = rig.pod("web", handler);
        assert_eq!(rig.netns_path(&pod.id), Some(Rig::pin_path(&pod.id)), "{handler}");
        assert_eq!(rig.annotations(&pod.id)["ocid/container_type"], "sandbox", "{handler}");
        if handler == "crun-berth" || !rig.asks_running_shims() {
            assert_identity(&rig, &pod, "web", &rig.container(&pod, "main", IDLE));
        }
        rig.cri().remove_pod(&pod.id).expect("remove the pod");
    }
    // What stood there before works as it did.
    let other = rig.pod("other", "runc");
    assert_eq!(rig.pin(&other.id), None);
    rig.cri().remove_pod(&other.id).expect("remove the pod");
    rig.berth_prints(&["gc"]);
    assert_goes(|| rig.left_of_pods());
}

/// What the effective configuration is with these files.
fn merged(rig: &Rig, config: &str, drop_in: &str) -> Result<String, String> {
    rig.write(CONFIG, config);
    rig.write(DROP_IN, drop_in);
    rig.run("/run/rig/containerd/containerd", &["--config", CONFIG, "config", "dump"])
}

#[test]
fn a_file_of_another_version_than_the_configurations_costs_what_the_documentation_says() {
    const MINE: &str = "example.com/mine:1";
    let rig = node("");
    let config = format!("version = 2\n{IMPORTS}[plugins.'io.containerd.grpc.v1.cri']\n  sandbox_image = '{MINE}'\n");
    let same = merged(&rig, &config, handlers(2)).expect("containerd reads it");
    assert!(same.contains("runtimes.kata-berth]"), "{same}");
    // Before 2.0 the file replaces the whole section, so the handler has to go into the configuration itself.
    assert_eq!(same.contains(MINE), rig.asks_running_shims(), "{same}");
    if rig.asks_running_shims() {
        let higher = merged(&rig, &config, handlers(3));
        assert!(!higher.is_ok_and(|text| text.contains(MINE)), "a higher version takes nothing away any more");
    }
}

#[test]
fn the_files_turn_nri_on_where_it_is_off() {
    let rig = node("");
    let versions = if provision().containerd_version >= (2, 0) { 2..=3 } else { 2..=2 };
    for version in versions {
        let on = match version {
            2 => include_str!("../../manifests/containerd/nri-version-2.toml"),
            _ => include_str!("../../manifests/containerd/nri-version-3.toml"),
        };
        let off = format!("version = {version}\n{IMPORTS}[plugins.'io.containerd.nri.v1.nri']\n  disable = true\n");
        let text = merged(&rig, &off, on).expect("containerd reads it");
        let Some(nri) = text.split("io.containerd.nri.v1.nri").nth(1) else {
            // An engine that knows no NRI leaves the section out, and does not mind the file.
            assert!(!rig.has_nri(), "there is no section of NRI's:\n{text}");
            continue;
        };
        let setting = nri.lines().find_map(|line| line.trim().strip_prefix("disable = "));
        assert_eq!(setting, Some("false"), "{text}");
    }
}

/// Lines that say something to the engine.
fn settings(text: &str) -> Vec<&str> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty()).collect()
}

#[test]
fn the_documentation_says_what_the_files_say() {
    let page = include_str!("../../docs/interposers.md");
    let blocks = page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().expect("a block ends"));
    let files = [handlers(2), handlers(3), include_str!("../../manifests/crio/handlers.conf")].map(settings);
    let mut seen = 0;
    for block in blocks {
        // An option that is only an example is a comment in the files.
        let block: Vec<_> = settings(block).into_iter().filter(|line| *line != "SystemdCgroup = true").collect();
        let is_of = |file: &Vec<&str>| file.windows(block.len()).any(|lines| lines == block);
        assert!(files.iter().any(is_of), "in no file of manifests: {block:?}");
        seen += 1;
    }
    assert_eq!(seen, 4, "the page has a block for each");
}
