//! berth taken away from a node whose engine is gone, or does not answer.

use super::{CONFIG, INTERPOSER, read, sh};
use crate::rig::Rig;
use crate::rig::containerd::{VM, usual_config};
use crate::rig::cri_stub::Silent;
use crate::rig::node::{assert_restored, assert_untouched};
use crate::rig::wait::eventually;

/// The engine's program, where it is found by itself.
const PROGRAM: &str = "/opt/bin/containerd";

/// A node with berth on it, and with a containerd that does not run.
fn installed() -> (Rig, std::collections::BTreeMap<std::path::PathBuf, crate::rig::node::Seen>) {
    let rig = Rig::node(Some(&usual_config()));
    let before = rig.see();
    // The machine may have one of its own.
    sh(
        &rig,
        "for dir in /usr/bin /usr/sbin; do [ ! -e $dir/containerd ] || mount --bind /dev/null $dir/containerd; done",
    );
    sh(&rig, &format!("mkdir -p /opt/bin; ln -sf /run/rig/containerd/containerd {PROGRAM}"));
    rig.berth_prints(&["install", "--handler", VM, "--apply"]);
    (rig, before)
}

#[test]
fn without_the_engines_program_the_record_says_what_goes() {
    let (rig, before) = installed();
    sh(&rig, &format!("rm {PROGRAM}"));
    let installed = rig.see();
    let plan = rig.berth_command(&["uninstall"]);
    let remark = String::from_utf8_lossy(&plan.stderr).into_owned();
    assert!(remark.contains("containerd could not be asked (containerd: not found"), "{remark}");
    assert!(String::from_utf8_lossy(&plan.stdout).contains(&format!("- {INTERPOSER}")), "{plan:?}");
    assert_untouched(&installed, &rig.see());
    // A restart of what is gone is not tried.
    rig.berth_prints(&["uninstall", "--apply", "--restart"]);
    assert_restored(&before, &rig.see());
    assert_eq!(rig.berth_prints(&["uninstall", "--apply"]), "nothing is installed\n");
}

#[test]
fn with_the_engine_and_its_configuration_gone_the_rest_goes() {
    let (rig, _) = installed();
    sh(&rig, &format!("rm -r {PROGRAM} /etc/containerd"));
    rig.berth_prints(&["uninstall", "--apply"]);
    assert_eq!(
        sh(&rig, "find /usr/local /var/lib/berth /etc/containerd 2>/dev/null || true"),
        "/usr/local\n/usr/local/bin\n"
    );
}

#[test]
fn bundles_of_pods_count_also_when_nobody_can_be_asked() {
    let (rig, before) = installed();
    let bundle = "/run/containerd/io.containerd.runtime.v2.task/k8s.io/0123";
    let spec = r#"{"annotations":{"io.kubernetes.cri.sandbox-id":"0123","io.kubernetes.cri.sandbox-namespace":"demo","io.kubernetes.cri.sandbox-name":"left"}}"#;
    sh(
        &rig,
        &format!(
            "rm {PROGRAM}; mkdir -p {bundle}; printf '%s' {INTERPOSER} >{bundle}/runtime; printf '%s' '{spec}' >{bundle}/config.json"
        ),
    );
    let installed = rig.see();
    let said = rig.berth_fails(&["uninstall", "--apply"]);
    assert!(said.contains("demo/left (vm-berth)"), "{said}");
    assert_untouched(&installed, &rig.see());
    sh(&rig, &format!("rm -r {bundle}"));
    rig.berth_prints(&["uninstall", "--apply"]);
    assert_restored(&before, &rig.see());
}

#[test]
fn an_engine_that_does_not_take_its_configuration_is_left_with_what_others_wrote() {
    let (rig, before) = installed();
    // TOML, and nothing that containerd starts with.
    let broken = |text: &str| format!("root = 5\n{text}");
    rig.write(CONFIG, &broken(&read(&rig, CONFIG)));
    let done = rig.berth_command(&["uninstall", "--apply"]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success() && said.contains("could not be asked"), "{done:?}");
    assert_eq!(read(&rig, CONFIG), broken(&usual_config()));
    rig.write(CONFIG, &usual_config());
    assert_restored(&before, &rig.see());
}

#[test]
fn a_file_that_is_no_toml_is_named_with_its_line_and_left() {
    let (rig, _) = installed();
    sh(&rig, &format!("rm {PROGRAM}; echo '[plugins' >>{CONFIG}"));
    let broken = rig.see();
    let said = rig.berth_fails(&["uninstall", "--apply"]);
    assert!(said.contains(&format!("{CONFIG}: line ")), "{said}");
    assert_untouched(&broken, &rig.see());
}

#[test]
fn an_engine_that_names_no_handlers_needs_them_until_it_is_started_anew() {
    let (rig, before) = installed();
    sh(&rig, "mkdir -p /run/containerd");
    let socket = rig.path("/run/containerd/containerd.sock");
    let engine = Silent::listen(&socket);
    for _ in 0..2 {
        let said = rig.berth_fails(&["uninstall", "--apply"]);
        assert!(said.contains("program and names stay: the engine does not say which handlers it knows"), "{said}");
        assert!(std::fs::symlink_metadata(rig.path(INTERPOSER)).is_ok());
    }
    drop(engine);
    // The record has whole seconds, so that the first start may be too early.
    eventually("everything is as it was before", || {
        let engine = Silent::listen(&socket);
        let done = rig.berth_command(&["uninstall", "--apply"]);
        drop(engine);
        done.status.success().then_some(())
    });
    assert_restored(&before, &rig.see());
}
