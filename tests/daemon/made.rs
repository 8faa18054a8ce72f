//! A daemon that pins reach and no bundle does, as in a pod, and network namespaces that interposers have made.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fake_runtime::Profile;
use crate::isolated;
use crate::node::{Berth, block_on, ready};
use crate::stage;

const BUNDLES: &str = "/run/bundles";

/// berth in a mount namespace of its own, without the bundles, where mounts go as `propagation` says.
fn podded(propagation: &str, args: &[&str]) -> Berth {
    let mount = |args: &[&str]| assert!(Command::new("mount").args(args).status().unwrap().success());
    mount(&["--make-rshared", "/"]);
    fs::create_dir_all(BUNDLES).unwrap();
    // What is mounted on a private mount is nobody else's.
    mount(&["--bind", BUNDLES, BUNDLES]);
    mount(&["--make-private", BUNDLES]);
    let script = format!("mount --make-{propagation} /run && mount -t tmpfs none {BUNDLES} && exec \"$@\"");
    let before = ["unshare", "--mount", "--propagation", "unchanged", "--", "sh", "-c", &script, "sh"];
    Berth::start_under(&before, args)
}

/// What an interposer does when a container of its own is created; its pin.
fn made() -> PathBuf {
    stage::silent("runc");
    let (berth, dir) = (stage::interposer("berth-runc"), stage::bundle("d1", &[], r#"{"type":"network"}"#));
    let config = stage::configured("profiles: [{name: p, netns: create}]");
    let args = ["--root", "/run/runc/default", "create", "--bundle", dir.to_str().unwrap(), "d1"];
    let created = stage::command(&berth, &args).env("BERTH_CONFIG", config).output().unwrap();
    assert!(created.status.success(), "{created:?}");
    PathBuf::from(stage::path(&dir).unwrap())
}

fn record(pin: &Path) -> serde_json::Value {
    let path = format!("/run/berth/sandboxes/{}.json", pin.file_name().unwrap().to_str().unwrap());
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The container is there, so is what was made for it, whatever the daemon sees of it; once it is gone, `berth gc`
/// ends it.
async fn stays_until_it_is_over(berth: impl FnOnce() -> Berth) {
    let mut pin = PathBuf::new();
    let started = || {
        let berth = berth();
        pin = made();
        berth
    };
    let (_runtime, _session, berth) = ready(Profile::containerd_2_3(), started).await;
    berth.logged("event=CatchUp").await;
    assert!(pin.exists() && record(&pin)["gone"].is_null(), "{}", berth.log());
    fs::remove_dir_all("/run/bundles/k8s.io/d1").unwrap();
    let gc = Command::new(env!("CARGO_BIN_EXE_berth")).arg("gc").status().unwrap();
    assert!(gc.success() && !pin.exists());
}

/// What a process leaves that was killed while it made the directory a shared mount: a mount that it has covered keeps the
/// engine from removing its file.
fn engines_file_covered() -> &'static str {
    const FILE: &str = "/run/netns/cni-1";
    let run = |words: &[&str]| assert!(Command::new(words[0]).args(&words[1..]).status().unwrap().success());
    fs::create_dir_all("/run/netns").unwrap();
    fs::DirBuilder::new().mode(0o700).create("/run/berth").unwrap();
    fs::write(FILE, "").unwrap();
    run(&["mount", "--bind", "/proc/self/ns/net", FILE]);
    fs::write("/run/berth/netns.lock", "uncovering\n").unwrap();
    run(&["mount", "--rbind", "/run/netns", "/run/netns"]);
    FILE
}

isolated! {
    fn a_daemon_finishes_what_another_was_killed_at_before_it_gives_up_its_privileges() {
        block_on(async {
            let file = engines_file_covered();
            let (_runtime, _session, berth) = ready(Profile::containerd_2_3(), || Berth::start(&[])).await;
            // As the engine does it.
            assert!(Command::new("umount").args(["--lazy", file]).status().unwrap().success());
            fs::remove_file(file).unwrap();
            assert!(!berth.log().contains("WARN"), "{}", berth.log());
        });
    }

    fn one_that_makes_pins_leaves_alone_what_was_made_for_a_bundle_that_it_cannot_see() {
        block_on(stays_until_it_is_over(|| podded("shared", &[])));
    }

    fn one_that_makes_none_does_not_mark_it_either() {
        block_on(stays_until_it_is_over(|| podded("slave", &["--pins-by", "interposers"])));
    }
}
