//! The overlay `host` and the Job that uninstalls, as a kubelet would run them: the installer stays, and says how it is.

use std::process::Command;
use std::time::Duration;

use super::{VM, own_file, sh};
use crate::rig::containerd::usual_config;
use crate::rig::kubelet::{IMAGE, Template};
use crate::rig::node::{RESTART_COMMAND, assert_restored};
use crate::rig::process::Process;
use crate::rig::wait::{DEADLINE, eventually};
use crate::rig::{IDLE, Rig};

/// The handler that is asked for, and what comes of it.
const HANDLER: &str = "--handler=vm";
const NEW: &str = "vm-berth";
/// What stands for systemd: it restarts the engine as a unit of its own, not as a child of whoever asks.
const SYSTEMD: &str = "/run/rig/systemd";

/// The DaemonSet of the overlay, with a handler to wrap.
fn installer(rig: &Rig) -> Template {
    let overlay = Template::of("overlays/host", "DaemonSet").arg(HANDLER);
    // Without an NRI there is nobody to start it.
    if rig.has_nri() { overlay } else { overlay.without_arg("--plugin") }
}

fn uninstall() -> Template {
    Template::of("uninstall", "Job").arg("--restart")
}

/// A node as a cluster has it, and what stands for its systemd.
fn node() -> (Rig, Process) {
    let mut rig = Rig::node(Some(&usual_config()));
    rig.make_image(false);
    rig.mount_config_map("..1", &shipped());
    rig.write("/usr/local/bin/systemctl", &format!("#!/bin/sh\necho \"$*\" >{SYSTEMD}\n"));
    sh(&rig, &format!("chmod 755 /usr/local/bin/systemctl; mkfifo {SYSTEMD}"));
    let mut systemd = rig.command("sh");
    systemd.args(["-c", &format!("while read -r asked <{SYSTEMD}; do echo \"$asked\"; {RESTART_COMMAND}; done")]);
    let systemd = Process::start("systemd", systemd, rig.log_file("systemd"));
    rig.restart_node();
    rig.bring_images();
    (rig, systemd)
}

/// The configuration of the overlay.
fn shipped() -> String {
    let path = format!("{}/manifests/overlays/host/config.yaml", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).expect("the overlay's configuration")
}

#[test]
fn the_overlay_installs_says_how_it_is_upgrades_and_the_job_takes_all_of_it_away() {
    let (mut rig, mut systemd) = node();
    let before = rig.see();

    // Installed, and not ready: the engine has read nothing, and has not started the plugin.
    let first = rig.run_manifest("berth-1", &installer(&rig));
    let body = rig.await_page(503, "FAIL handlers");
    assert!(body.contains(&format!("PASS install berth {}", ::berth::VERSION)), "{body}");
    assert!(body.contains("PASS installed-files"), "{body}");
    assert!(
        body.contains("containerd does not know vm-berth: it reads its configuration at its start -> restart"),
        "{body}"
    );
    assert_eq!(body.contains("FAIL plugin"), rig.has_nri(), "{body}");
    assert_eq!(std::fs::read_to_string(rig.path("/etc/berth/config.yaml")).expect("it was brought"), shipped());
    let log = rig.said(&first);
    assert!(log.contains("restart it (containerd), or run this again with --restart"), "{log}");

    // Whoever restarts the engine makes it ready; nothing is done to the pod.
    rig.restart_node();
    let body = rig.await_page(200, "PASS handlers");
    assert!(!body.contains("FAIL") && body.contains("containerd knows vm-berth"), "{body}");
    if rig.has_nri() {
        // Of an engine whose NRI cannot do all the plugin warns.
        let says = if rig.can_swap() { "PASS plugin it says that it is ready" } else { "WARN plugin it says: " };
        assert!(body.contains(says), "{body}");
        let (status, metrics) = rig.page_of_node("/metrics").expect("the plugin's metrics");
        assert!(status == 200 && metrics.contains("berth_ready 1"), "{metrics}");
    }
    // The engine notices nothing of being asked.
    let quiet = rig.node_log();
    for _ in 0..3 {
        // Longer than an answer is kept.
        std::thread::sleep(Duration::from_millis(2100));
        assert_eq!(rig.page_of_node("/readyz").expect("it answers").0, 200);
    }
    let news = rig.node_log().split_off(quiet.len());
    assert_eq!(news, "", "the engine has logged what it was asked");

    let pod = rig.pod("web", NEW);
    let container = rig.container(&pod, "main", IDLE);
    super::super::assert_identity(&rig, &pod, "web", &container);
    assert_eq!(rig.netns_path(&container), Some(Rig::pin_path(&pod.id)));

    // As long as it stays nobody takes anything away.
    let (code, said) = rig.run_job("berth-uninstall-1", &uninstall());
    assert!(code == 1 && said.contains("delete its DaemonSet"), "{said}");
    rig.end_manifest(first);

    // Another version: no restart of the engine is needed, and pods go on.
    rig.make_image(true);
    let second = rig.run_manifest("berth-2", &installer(&rig));
    let body = rig.await_page(200, "PASS install");
    assert_eq!(body.contains("WARN plugin the one that runs is not this version's"), rig.has_nri(), "{body}");
    assert_eq!(
        sh(&rig, "sha256sum </usr/local/bin/berth"),
        sh(&rig, &format!("sha256sum <{IMAGE}/berth")),
        "the name leads to the new one"
    );
    rig.container(&pod, "more", IDLE);
    rig.end_manifest(second);

    let (code, said) = rig.run_job("berth-uninstall-2", &uninstall());
    assert!(code == 1 && said.contains("default/web (vm-berth)"), "{said}");
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    if rig.has_nri() {
        assert!(systemd.log().is_empty(), "the engine was restarted: {}", systemd.log());
    }
    rig.berth_prints(&["gc"]);
    let (code, said) = rig.run_job("berth-uninstall-3", &uninstall());
    assert_eq!(code, 0, "{said}");
    systemd.await_log("that it was asked", |log| log.contains("restart containerd").then_some(()));
    rig.meet_engine();
    assert_restored(&before, &rig.see());
    let (code, said) = rig.run_job("berth-uninstall-4", &uninstall());
    assert!(code == 0 && said.contains("nothing is installed"), "{said}");
    assert_eq!(sh(&rig, "ls /run | grep berth-inst || true"), "", "locks are left");
}

#[test]
fn with_the_component_it_restarts_the_engine_once() {
    let (mut rig, mut systemd) = node();
    let before = rig.see();
    let template = installer(&rig).arg("--restart");
    let started = rig.run_manifest("berth-1", &template);
    let body = rig.await_page(200, "PASS handlers");
    assert!(!body.contains("FAIL"), "{body}");
    rig.meet_engine();
    rig.end_manifest(started);
    let again = rig.run_manifest("berth-2", &template);
    rig.await_page(200, "PASS handlers");
    rig.end_manifest(again);
    assert_eq!(systemd.log(), "restart containerd\n");
    let (code, said) = rig.run_job("berth-uninstall", &uninstall());
    assert_eq!(code, 0, "{said}");
    rig.meet_engine();
    assert_restored(&before, &rig.see());
    systemd.signal(nix::sys::signal::Signal::SIGKILL);
    systemd.wait(DEADLINE);
}

#[test]
fn a_changed_configuration_comes_to_the_node_and_a_wrong_one_does_not() {
    let (mut rig, _systemd) = node();
    let before = rig.see();
    let started = rig.run_manifest("berth", &installer(&rig));
    rig.await_page(503, "FAIL handlers");
    rig.restart_node();
    rig.await_page(200, "PASS handlers");
    let on_node = || std::fs::read_to_string(rig.path("/etc/berth/config.yaml")).expect("it is there");

    let changed =
        format!("{}profiles: [{{name: changed, annotations: {{example.com/pod: '{{pod.name}}'}}}}]\n", shipped());
    rig.mount_config_map("..2", &changed);
    eventually("it is on the node", || (on_node() == changed).then_some(()));
    rig.await_page(200, "PASS installed-files");
    if rig.has_nri() {
        eventually("the plugin has read it", || {
            let log = std::fs::read_to_string(rig.path("/run/berth/berth.log")).unwrap_or_default();
            log.contains("changed{").then_some(())
        });
    }

    rig.empty_config_map("..empty");
    rig.await_page(200, "the one before stays: config /etc/berth/config.yaml: open: No such file");
    assert_eq!(on_node(), changed);
    rig.mount_config_map("..3", "profiles: 5\n");
    rig.await_page(200, "the one before stays: config /etc/berth/config.yaml: profiles");
    assert_eq!(on_node(), changed);
    // The installer would ask itself.
    rig.mount_config_map("..port", "listen: 127.0.0.1:9464\n");
    rig.await_page(200, "listen: 127.0.0.1:9464 is a port, where the installer itself may listen");
    assert_eq!(on_node(), changed);

    // What somebody has written on the node is not lost.
    const MINE: &str = "# Mine.\nlisten: unix:/run/berth/http.sock\n";
    rig.write("/etc/berth/config.yaml", MINE);
    rig.await_page(200, "was changed on the node, and holds as it is there");
    rig.mount_config_map("..4", &shipped());
    rig.await_page(200, "is another configuration, and berth did not put it there");
    assert_eq!(on_node(), MINE);
    sh(&rig, "rm /etc/berth/config.yaml");
    // The one that was put there last.
    rig.await_page(503, "/etc/berth/config.yaml is gone");
    rig.mount_config_map("..5", &changed);
    rig.await_page(200, "PASS installed-files");
    assert_eq!(on_node(), changed);

    // What somebody has taken away does not come back with it.
    let taken = if own_file() == super::CONFIG { super::INTERPOSER } else { own_file() };
    sh(&rig, &format!("rm {taken}"));
    rig.mount_config_map("..6", &shipped());
    eventually("it is on the node", || (on_node() == shipped()).then_some(()));
    rig.await_page(503, "FAIL installed-files");
    assert!(std::fs::symlink_metadata(rig.path(taken)).is_err(), "{taken} was put back");
    rig.end_manifest(started);
    let (code, said) = rig.run_job("berth-uninstall", &uninstall());
    assert_eq!(code, 0, "{said}");
    rig.meet_engine();
    assert_restored(&before, &rig.see());
}

#[test]
fn killed_at_any_step_it_is_run_again() {
    let (mut rig, _systemd) = node();
    let before = rig.see();
    let steps = ["/run/berth-installer.lock", "/run/berth-install.lock", "/var/lib/berth/install.json"];
    let steps = steps.into_iter().chain(["/usr/local/lib/berth", super::INTERPOSER, "/etc/berth/config.yaml"]);
    for (number, step) in steps.chain([own_file()]).enumerate() {
        let started = rig.run_manifest(&format!("berth-killed-{number}"), &installer(&rig));
        eventually(step, || std::fs::symlink_metadata(rig.path(step)).ok());
        rig.cri().stop_container(&started.id).expect("kill it");
        rig.cri().remove_pod(&started.pod.id).expect("remove its pod");
        let again = rig.run_manifest(&format!("berth-again-{number}"), &installer(&rig));
        let body = rig.await_page(503, "PASS install ");
        assert!(body.contains("PASS installed-files"), "{step}: {body}");
        rig.end_manifest(again);
        let (code, said) = rig.run_job(&format!("berth-uninstall-{number}"), &uninstall());
        assert_eq!(code, 0, "{step}: {said}");
        rig.meet_engine();
        assert_restored(&before, &rig.see());
    }
}

/// A command that stays, in the place of a container: what it says is read through the rig's listener.
fn staying(rig: &Rig, args: &[&str]) -> Process {
    let name = crate::rig::berth::binary().file_name().expect("a name").to_owned();
    let mut command: Command = rig.command(std::path::Path::new("/run/rig/berth").join(name));
    command
        .args(["install", "--handler", VM, "--apply", "--stay", "--listen", crate::rig::listener::LISTEN])
        .args(args);
    Process::start("installer", command, rig.log_file("installer"))
}

#[test]
fn what_is_not_as_it_was_put_there_is_named() {
    let mut rig = Rig::node(Some(&usual_config()));
    // By the engine's own path it is a link, and changed where that leads to.
    let real = "/etc/berth-test/real.toml";
    sh(&rig, &format!("mkdir /etc/berth-test; mv {0} {real}; ln -s {real} {0}", super::CONFIG));
    rig.restart_node();
    let mut installer = staying(&rig, &["--restart", "--restart-command", RESTART_COMMAND]);
    rig.await_ready(200);
    rig.meet_engine();
    let own = own_file();
    let program = sh(&rig, "readlink -f /usr/local/bin/berth");
    let program = program.trim();
    let record = "/var/lib/berth/install.json";
    let import = (
        format!("cp {real} /run/rig/tmp/x; sed -i /imports/d {real}"),
        format!("cp /run/rig/tmp/x {real}"),
        format!("does not import {own} any more"),
    );
    let import = Some(import).filter(|_| own != super::CONFIG);
    for (what, undo, said) in [
        (format!("mv {program} /run/rig/tmp/x"), format!("mv /run/rig/tmp/x {program}"), format!("{program} is gone")),
        (
            format!("cp {program} /run/rig/tmp/x; echo >>{program}"),
            format!("mv /run/rig/tmp/x {program}"),
            format!("{program} was changed"),
        ),
        (
            "ln -sfn x /usr/local/bin/berth-runc".to_owned(),
            "ln -sfn berth /usr/local/bin/berth-runc".to_owned(),
            "/usr/local/bin/berth-runc was changed".to_owned(),
        ),
        (
            format!("cp {own} /run/rig/tmp/x; sed -i s/vm-berth/vm-other/ {own}"),
            format!("cp /run/rig/tmp/x {own}"),
            format!("berth's lines in {own} were changed"),
        ),
        (
            format!("mv {record} /run/rig/tmp/x"),
            format!("mv /run/rig/tmp/x {record}"),
            "nothing is installed on this node".to_owned(),
        ),
        (
            format!("cp {record} /run/rig/tmp/x; sed -i 's/\"berth\": \"/&old /' {record}"),
            format!("mv /run/rig/tmp/x {record}"),
            "is installed, and this is".to_owned(),
        ),
        (
            format!("cp {record} /run/rig/tmp/x; sed -i 's/\"installed\"/\"leaving\"/' {record}"),
            format!("mv /run/rig/tmp/x {record}"),
            "an uninstall has begun".to_owned(),
        ),
        (
            "kill -STOP $(cat /run/rig/engine.pid)".to_owned(),
            "kill -CONT $(cat /run/rig/engine.pid)".to_owned(),
            "containerd does not answer at /run/containerd/containerd.sock".to_owned(),
        ),
    ]
    .into_iter()
    .chain(import)
    {
        sh(&rig, &what);
        eventually(&said, || rig.page("/readyz").filter(|page| page.status == 503 && page.body.contains(&said)));
        sh(&rig, &undo);
        rig.await_ready(200);
    }
    installer.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(installer.wait(Duration::from_secs(2)).success(), "{}", installer.log());
}

#[test]
fn an_engine_that_does_not_come_is_not_restarted_again() {
    let mut rig = Rig::node(Some(&usual_config()));
    rig.restart_node();
    let before = rig.see();
    rig.write(
        "/run/rig/half",
        &format!("#!/bin/sh\necho restart >>/run/rig/asked\n! grep -qr vm-berth /etc/containerd || {{ kill $(cat /run/rig/engine.pid); exit 0; }}\nexec {RESTART_COMMAND}\n"),
    );
    sh(&rig, "chmod 755 /run/rig/half");
    let config = "/run/rig/tmp/berth.yaml";
    rig.write(config, &shipped());
    let mut installer =
        staying(&rig, &["--restart", "--restart-command", "/run/rig/half", "--timeout", "2s", "--config", config]);
    let said = eventually("it says so", || {
        rig.page("/readyz").filter(|page| page.body.contains("restarted in vain")).map(|page| (page.status, page.body))
    });
    assert!(said.0 == 503 && said.1.contains("everything is as it was before"), "{said:?}");
    assert!(installer.is_running());
    // Once with the handler, and once to take it back.
    assert_eq!(sh(&rig, "cat /run/rig/asked"), "restart\nrestart\n");
    assert_restored(&before, &rig.see());
    // Nor does a change of the configuration put there what the engine has failed on; it is looked for every two seconds.
    rig.write(config, "listen: unix:/run/berth/other.sock\n");
    std::thread::sleep(Duration::from_secs(5));
    assert_restored(&before, &rig.see());
    rig.meet_engine();
    installer.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(installer.wait(Duration::from_secs(2)).success(), "{}", installer.log());
}

#[test]
fn where_nothing_can_restart_the_engine_it_is_not_said_to_be_down() {
    let mut rig = Rig::node(Some(&usual_config()));
    rig.restart_node();
    sh(&rig, "for dir in /usr/bin /bin; do [ ! -x $dir/systemctl ] || mount --bind /dev/null $dir/systemctl; done");
    let before = rig.see();
    let mut installer = staying(&rig, &["--restart"]);
    assert_eq!(installer.wait(DEADLINE).code(), Some(1), "it would be run again");
    let log = installer.log();
    assert_eq!(log.matches("there is no systemctl on the host: use --restart-command").count(), 1, "{log}");
    assert!(log.contains("everything is as it was before") && !log.contains("with its earlier"), "{log}");
    assert_restored(&before, &rig.see());
    rig.meet_engine();
}

#[test]
fn what_cannot_be_installed_ends_it_with_the_reason() {
    let rig = Rig::node(Some(&usual_config()));
    let mut installer = staying(
        &rig,
        &["--handler", "none", "--engine", "containerd", "--engine-program", "/run/rig/containerd/containerd"],
    );
    assert_eq!(installer.wait(DEADLINE).code(), Some(1));
    assert!(installer.log().contains("there is no runtime handler \"none\""), "{}", installer.log());
}

#[test]
fn it_needs_every_capability_that_it_asks_for_and_no_other() {
    let (rig, _systemd) = node();
    // An engine whose command line does not say where it is, and a configuration that is not root's.
    let start = "exec -a containerd /run/rig/containerd/containerd";
    let restart = std::fs::read_to_string(rig.path(RESTART_COMMAND)).expect("the node's command");
    let named = restart.replace("/run/rig/containerd/containerd </dev/null", &format!("bash -c '{start}' </dev/null"));
    assert_ne!(named, restart);
    rig.write(RESTART_COMMAND, &named);
    rig.run(RESTART_COMMAND, &[]).expect("start the engine");
    let mut rig = rig;
    rig.meet_engine();
    sh(
        &rig,
        "for dir in /usr/bin /usr/sbin; do [ ! -e $dir/containerd ] || mount --bind /dev/null $dir/containerd; done",
    );
    sh(&rig, "chown 7:8 /etc/containerd/config.toml; chmod 640 /etc/containerd/config.toml");
    let before = rig.see();
    let template = installer(&rig);
    for capability in template.capabilities() {
        let started =
            rig.run_manifest(&format!("without-{capability}"), &template.clone().without_capability(&capability));
        let code = eventually(&format!("it fails without {capability}"), || rig.cri().exit_code(&started.id));
        assert_eq!(code, 1, "{capability}: {}", rig.said(&started));
        rig.cri().remove_pod(&started.pod.id).expect("remove its pod");
        assert_restored(&before, &rig.see());
    }
    let started = rig.run_manifest("berth", &template);
    rig.await_page(503, "PASS installed-files");
    rig.end_manifest(started);
    let (code, said) = rig.run_job("berth-uninstall", &uninstall());
    assert_eq!(code, 0, "{said}");
    rig.meet_engine();
    assert_restored(&before, &rig.see());
}
