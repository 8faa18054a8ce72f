//! crun behind berth, by containerd's `BinaryName`. crun is another runtime under another name, so what berth becomes has
//! to be told the delegate's name and not berth's.

use super::assert_nothing_left;
use crate::rig::containerd::{Handler, NAMES};
use crate::rig::cri::Pod;
use crate::rig::holds::{Pair, assert_collected, assert_sandbox};
use crate::rig::provision::components;
use crate::rig::{IDLE, Rig};

const UNIFIED: &str = "/sys/fs/cgroup/unified";

/// In front of berth, what makes the bundle one of an engine as old as Debian's crun, which takes no specification newer
/// than 1.0.
const DATED: &str = r#"#!/bin/sh
for word; do
    [ "$last" != --bundle ] || sed -i 's/"ociVersion":"1\.[0-9.]*"/"ociVersion":"1.0.2"/' "$word/config.json" || exit
    last=$word
done
exec BERTH "$@"
"#;

/// A rig with crun under `name`, and a handler of that name with berth in front of it.
fn started(name: &str) -> Rig {
    let crun = &components(&["crun"])["BERTH_RIG_CRUN"];
    let dated = format!("{NAMES}/dated-{name}");
    let mut rig = Rig::with_handlers(&[Handler::oci(name, &dated)]);
    let berth = rig.name_berth(&format!("berth-{name}"));
    rig.write(&dated, &DATED.replace("BERTH", &berth));
    rig.run("chmod", &["+x", &dated]).expect("make it executable");
    rig.install(name, crun);
    // Where cgroup v1 is in use, crun runs only if the v2 hierarchy beside it is out of sight or has no controllers.
    if rig.mounts().iter().any(|point| point == UNIFIED) {
        rig.run("umount", &[UNIFIED]).expect("unmount the hierarchy in the rig");
    }
    rig.start_engine();
    rig
}

#[track_caller]
fn assert_in_berth(name: &str) {
    let rig = started(name);
    let web = Pair::run(&rig, &Pod::new("web", name));
    web.assert_in_berth(&rig);
    rig.cri().remove_pod(&web.pod.id).expect("remove the pod");
    assert_collected(&rig);
}

#[test]
fn behind_crun_sandbox_and_containers_get_identity_and_pin_without_a_daemon() {
    assert_in_berth("crun");
}

#[test]
fn behind_krun_sandbox_and_containers_get_identity_and_pin_without_a_daemon() {
    assert_in_berth("krun");
}

#[test]
fn crun_says_under_which_name_it_was_run() {
    let rig = started("krun");
    let help = |program: &str| rig.run(program, &["--help"]).expect("the runtime says how it is used");
    assert!(help("krun").starts_with("Usage: krun "), "crun does not say so: {}", help("krun"));
    assert_eq!(help(&format!("{NAMES}/berth-krun")), help("krun"));
}

/// Debian's crun has no libkrun and takes `krun` for nothing special; `crun-krun` is the same handler for it, which it
/// lets nothing in the specification override.
#[test]
fn crun_takes_its_handler_from_the_name_of_the_delegate() {
    let rig = started("crun-krun");
    let config = "profiles:\n  - name: vm\n    annotations: {run.oci.handler: another}\n";
    let _berth = rig.berth().config(config).start();
    // It runs sandboxes without a handler; that they are one is what containerd's dialect tells it.
    let pod = rig.pod("web", "crun-krun");
    assert_sandbox(&rig, &pod, "web");
    let container = rig.cri().create_container(&pod, "main", IDLE).expect("create the container");

    let refused = rig.cri().start_container(&container).expect_err("crun refuses another handler");
    assert!(refused.message().contains("already configured global handler: `krun`"), "{refused}");
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_nothing_left(&rig);
}
