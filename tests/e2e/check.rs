//! `berth check` on a real engine: a good node, and one broken in each of the ways that operators break it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::rig::Rig;
use crate::rig::checked::Checked;
use crate::rig::containerd::{CONFIG, Handler, NAMES};

/// berth's validator came with NRI 0.10.
fn has_validator(rig: &Rig) -> bool {
    rig.can_swap()
}

fn containerds(rig: &Rig) -> String {
    fs::read_to_string(rig.path(CONFIG)).expect("containerd's configuration")
}

/// What is found after containerd's configuration was changed; it is as it was afterwards.
fn with_config(rig: &Rig, change: impl FnOnce(&str) -> String) -> Checked {
    let before = containerds(rig);
    let after = change(&before);
    assert_ne!(before, after, "the test changes nothing");
    rig.write(CONFIG, &after);
    let found = rig.check(&[]);
    rig.write(CONFIG, &before);
    found
}

#[test]
fn a_good_node_passes() {
    let rig = Rig::start();
    let mut berth = rig.berth().start();
    let found = rig.check(&[]);
    found.assert_none("FAIL");
    assert_eq!(found.exit, 0);
    for check in [
        "engine",
        "engine-config",
        "drop-ins",
        "engine-restart",
        "nri",
        "nri-socket",
        "pins-reach-engine",
        "delegates",
        "daemon",
    ] {
        found.assert(check, "PASS", "");
    }
    found.assert("engine-config", "PASS", "handlers runc, shimmed, vm, wrapped");
    found.assert("delegates", "PASS", "wrapped: berth-runc becomes ");
    found.assert("pins-reach-engine", "PASS", "same mount namespace");
    found.assert("doors", "PASS", "wrapped: sandbox: interposer; containers: interposer; fails closed for both");
    let members = match (rig.asks_running_shims(), rig.can_swap()) {
        (false, _) => "interposer",
        (true, true) => "NRI; ",
        (true, false) => "NRI (identity alone)",
    };
    found.assert("doors", "PASS", &format!("shimmed: sandbox: interposer; containers: {members}"));
    // The engine has lost nothing by it, berth above all.
    rig.pod("web", crate::rig::containerd::VM);
    berth.await_line("the pod", |line| line.contains("event=RunPodSandbox"));
    let found = rig.check(&[]);
    found.assert_none("FAIL");
    found.assert("leftovers", "PASS", "none");
}

#[test]
fn what_the_engines_nri_can_do_is_told_by_its_release() {
    let rig = Rig::start();
    let found = rig.check(&[]);
    if rig.has_nri() {
        found.assert("nri", "PASS", "");
        found.assert("nri-level", if rig.can_swap() { "PASS" } else { "WARN" }, &format!("{:?}", rig.level()));
    } else {
        found.assert("nri", "FAIL", "has no NRI that berth speaks");
        found.assert("doors", "WARN", "vm: sandbox: the engine's own identity; containers: nobody");
        found.assert("doors", "PASS", "shimmed: sandbox: interposer; containers: interposer");
    }
    found.assert("runtime-path", "PASS", "runs the shim");
}

#[test]
fn what_is_wrong_with_nri_is_named_with_its_setting() {
    let rig = Rig::start();
    let found = with_config(&rig, |text| text.replace("disable = false", "disable = true"));
    found.assert("nri", "FAIL", "NRI is off");
    found.assert_hint("nri", &format!("[plugins.'io.containerd.nri.v1.nri'] disable = false in {CONFIG}"));
    assert_eq!(found.exit, 1);

    let found =
        with_config(&rig, |text| text.replace("disable = false", "disable = false\n  disable_connections = true"));
    found.assert("nri", "FAIL", "takes no plugins but those that the engine starts itself");

    if has_validator(&rig) {
        let validator = "\n[plugins.'io.containerd.nri.v1.nri'.default_validator]\n  enable = true\n";
        let found = with_config(&rig, |text| format!("{text}{validator}  reject_namespace_adjustment = true\n"));
        found.assert("nri-validator", "FAIL", "reject_namespace_adjustment");
        let required = |text: &str| format!("{text}{validator}  required_plugins = ['berth']\n");
        let found = with_config(&rig, required);
        found.assert("nri-required-plugins", "FAIL", "no berth runs");
        let _berth = rig.berth().start();
        with_config(&rig, required).assert("nri-required-plugins", "PASS", "");
    }

    fs::remove_file(rig.path("/run/nri/nri.sock")).expect("remove the socket");
    rig.check(&[]).assert("nri-socket", "FAIL", "is not there");
}

#[test]
fn what_keeps_the_engine_from_starting_is_told_before_it_is_restarted() {
    let rig = Rig::start();
    let plugin = rig.path("/run/rig/nri/plugins/berth.bak");
    fs::write(&plugin, "#!/bin/sh\n").expect("write");
    rig.check(&[]).assert("nri-plugin-directory", "PASS", "");
    fs::set_permissions(&plugin, PermissionsExt::from_mode(0o755)).expect("make it executable");
    let found = rig.check(&[]);
    found.assert("nri-plugin-directory", "FAIL", "berth.bak: the engine does not start");
    found.assert_hint("nri-plugin-directory", "two digits");
    fs::remove_file(plugin).expect("remove it");

    let found = with_config(&rig, |text| format!("{text}\n[plugins.'x"));
    found.assert("engine-config", "FAIL", "");
    found.assert_hint("engine-config", "config dump");
    found.assert("doors", "SKIP", "");
}

#[test]
fn handlers_that_cannot_work_are_named() {
    let rig = Rig::with_handlers(&[
        Handler::oci("nowhere", &format!("{NAMES}/berth-nothere")),
        Handler::oci("itself", &format!("{NAMES}/berth-itself")),
        Handler::oci("missing", &format!("{NAMES}/berth-crun")),
    ]);
    let mut rig = rig;
    rig.start_engine();
    rig.name_berth("berth-nothere");
    let itself = rig.name_berth("berth-itself");
    rig.write(crate::rig::berth::CONFIG, &format!("interposers: {{berth-itself: {{engine: containerd, delegate: {itself}}}, berth-unused: {{engine: containerd}}}}\n"));
    let found = rig.check(&["--config", crate::rig::berth::CONFIG]);
    found.assert("delegates", "FAIL", "nowhere: delegate nothere: not found");
    found.assert("delegates", "FAIL", "is berth itself");
    found.assert("interposer-files", "FAIL", "missing: options.BinaryName");
    found.assert("interposers", "WARN", "interposers.berth-unused");

    rig.write(crate::rig::berth::CONFIG, "profile: []\n");
    let found = rig.check(&["--config", crate::rig::berth::CONFIG]);
    found.assert("configuration", "FAIL", "profile: unknown key");
}

#[test]
fn a_drop_in_that_is_not_read_is_told_by_its_effect() {
    let rig = Rig::start();
    fs::create_dir(rig.path("/run/rig/conf.d")).expect("make conf.d");
    let root = containerds(&rig);
    let version = root.lines().next().expect("a version").to_owned();
    let plugin = if rig.asks_running_shims() { "io.containerd.cri.v1.runtime" } else { "io.containerd.grpc.v1.cri" };
    let drop_in = |version: &str, plugin: &str| {
        format!(
            "{version}\n[plugins.'{plugin}'.containerd.runtimes.late]\n  runtime_type = 'io.containerd.runc.v2'\n[plugins.'{plugin}'.containerd.runtimes.late.options]\n  BinaryName = '{NAMES}/berth-runc'\n"
        )
    };
    let path = "/run/rig/conf.d/50-berth.toml";
    rig.write(path, &drop_in(&version, plugin));
    let found = rig.check(&[]);
    found.assert("drop-ins", "FAIL", "50-berth.toml: is not read");
    let import = "imports = ['/run/rig/conf.d/*.toml']";
    found.assert_hint("drop-ins", import);

    // As the hint says.
    rig.write(CONFIG, &format!("{import}\n{root}"));
    let found = rig.check(&[]);
    if rig.asks_running_shims() {
        found.assert("drop-ins", "PASS", "");
        found.assert("doors", "PASS", "late: sandbox: interposer");
    } else {
        found.assert("drop-ins", "FAIL", "has its CRI section in the place of that of");
        return;
    }
    let newer: i64 = version.trim_start_matches("version = ").parse::<i64>().expect("a number") + 1;
    rig.write(path, &drop_in(&format!("version = {newer}"), plugin));
    rig.check(&[]).assert("drop-ins", "FAIL", "is higher than");
    rig.write(path, &drop_in(&version, "io.containerd.grpc.v1.cri"));
    rig.check(&[]).assert("drop-ins", "FAIL", "late do not hold");
}

#[test]
fn a_file_changed_after_the_engine_started_is_told() {
    let mut rig = Rig::start();
    let file = fs::File::open(rig.path(CONFIG)).expect("open");
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    file.set_modified(later).expect("change its time");
    let found = rig.check(&[]);
    found.assert("engine-restart", "WARN", CONFIG);
    found.assert_hint("engine-restart", "systemctl restart");
    file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(60)).expect("change its time");
    rig.restart_engine(nix::sys::signal::Signal::SIGTERM);
    rig.check(&[]).assert("engine-restart", "PASS", "");
}

#[test]
fn a_berth_whose_mounts_stay_with_it_fails() {
    let rig = Rig::start();
    let private = ["--mount", "--propagation", "private", "--"];
    let found = rig.check_by("unshare", &private, &[]);
    found.assert("pins-reach-engine", "FAIL", "is not shared");
    found.assert_hint("pins-reach-engine", "Bidirectional");
    let shared = ["--mount", "--propagation", "shared", "--"];
    rig.check_by("unshare", &shared, &[]).assert("pins-reach-engine", "PASS", "mounts propagate");
}

#[test]
fn a_container_with_the_hosts_root_sees_the_same() {
    let rig = Rig::start();
    let _berth = rig.berth().start();
    fs::create_dir(rig.path("/run/rig/tmp/host")).expect("make a mount point");
    let script = "mount --rbind / /run/rig/tmp/host && exec \"$@\"";
    let inside = ["--mount", "--propagation", "slave", "--", "sh", "-c", script, "sh"];
    let found = rig.check_by("unshare", &inside, &["--host-root", "/run/rig/tmp/host"]);
    found.assert_none("FAIL");
    found.assert("engine-config", "PASS", "handlers runc, shimmed, vm, wrapped");
    found.assert("pins-reach-engine", "PASS", "a pod reaches it with mountPropagation: Bidirectional");
    found.assert("delegates", "PASS", "wrapped: berth-runc becomes ");
    found.assert("nri-socket", "PASS", "takes connections");
}

#[test]
fn root_without_the_capability_fails() {
    let rig = Rig::start();
    let found = rig.check_by("setpriv", &["--bounding-set=-sys_admin", "--"], &[]);
    found.assert("privileges", "FAIL", "CAP_SYS_ADMIN is not there");
    found.assert_hint("privileges", "SYS_ADMIN");
    let found = rig.check_by("setpriv", &["--bounding-set=-sys_ptrace", "--"], &[]);
    found.assert("privileges", "WARN", "CAP_SYS_PTRACE");
}

#[test]
fn a_wrong_command_line_and_a_root_that_is_none_are_told_apart() {
    let rig = Rig::furnished();
    let done = rig.berth_command(&["check", "--engine", "docker"]);
    assert_eq!(done.status.code(), Some(2));
    let done = rig.berth_command(&["check", "--host-root", "/run/rig/none"]);
    assert_eq!(done.status.code(), Some(1));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(said.starts_with("berth: host root /run/rig/none: ") && done.stdout.is_empty(), "{said}");
}

#[test]
fn leftovers_of_killed_processes_are_named_and_go_with_gc() {
    let rig = Rig::start();
    rig.run("mkdir", &["-p", "/run/netns"]).expect("make the directory");
    rig.write("/run/netns/berth-0123", "");
    let found = rig.check(&[]);
    found.assert("leftovers", "WARN", "1 half-made pins: berth-0123");
    assert_eq!(rig.check(&["--strict"]).exit, 1);
    assert!(rig.berth_command(&["gc"]).status.success());
    rig.check(&[]).assert("leftovers", "PASS", "none");
}

#[test]
fn without_privileges_it_skips_what_it_cannot_see_and_says_so() {
    let rig = Rig::start();
    let found = rig.check_by("setpriv", &["--reuid=65534", "--regid=65534", "--clear-groups", "--"], &[]);
    found.assert_none("FAIL");
    found.assert("privileges", "SKIP", "run as root");
    found.assert("nri-socket", "SKIP", "");
}

#[test]
fn a_daemon_that_is_asked_says_whether_it_is_ready() {
    use crate::rig::listener::LISTEN;
    let mut rig = Rig::start();
    rig.check(&[]).assert("daemon", "WARN", "no berth daemon runs");
    let config = format!("listen: {LISTEN}\n");
    let berth = rig.berth().config(&config).start();
    let asked = |rig: &Rig| rig.check(&["--config", crate::rig::berth::CONFIG]);
    let grade = if rig.can_swap() { "PASS" } else { "WARN" };
    asked(&rig).assert("daemon-ready", grade, "");
    let second = rig.berth().launch_as("second");
    crate::rig::wait::eventually("the second waits", || second.log().contains("passive until it ends").then_some(()));
    asked(&rig).assert("daemon", "WARN", "2 berth daemons run");
    drop(second);

    // Without an engine there is no session.
    rig.stop_engine(nix::sys::signal::Signal::SIGTERM);
    rig.await_ready(503);
    let program = "/run/rig/containerd/containerd";
    let named = ["--engine", "containerd", "--config-file", CONFIG, "--engine-program", program];
    let found = rig.check(&[&["--config", crate::rig::berth::CONFIG], &named[..]].concat());
    found.assert("daemon-ready", "FAIL", "nri-session: not registered");
    found.assert("engine", "WARN", "does not run");
    drop(berth);
}
