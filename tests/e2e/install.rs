//! berth put on a node by its own command, and taken away again: with the real engine, restarted for it.

mod entry;
mod faults;
mod gone;
mod hosts;
mod meanwhile;
mod overlay;
mod running;
mod upgrade;

use super::{assert_goes, assert_identity};
use crate::rig::containerd::{VM, usual_config};
use crate::rig::node::{RESTART_COMMAND, assert_restored, assert_untouched};
use crate::rig::provision::provision;
use crate::rig::{IDLE, Rig};

const DO_IT: [&str; 4] = ["--apply", "--restart", "--restart-command", RESTART_COMMAND];
/// The new handler, which stands beside [`VM`].
const NEW: &str = "vm-berth";

/// Where containerd has what berth writes: a file of its own, or before 2.0 the root file.
fn own_file() -> &'static str {
    if provision().containerd_version >= (2, 0) { "/etc/containerd/conf.d/50-berth.toml" } else { CONFIG }
}

/// The program that stands beside [`VM`]'s.
const INTERPOSER: &str = "/usr/local/bin/berth-runc";
const CONFIG: &str = "/etc/containerd/config.toml";

fn read(rig: &Rig, path: &str) -> String {
    std::fs::read_to_string(rig.path(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn sh(rig: &Rig, script: &str) -> String {
    rig.run("sh", &["-euc", script]).unwrap_or_else(|e| panic!("{e}"))
}

fn words<'a>(first: &[&'a str], then: &[&'a str]) -> Vec<&'a str> {
    [first, then].concat()
}

/// Without what is another one in every build, or on every machine.
fn steady(text: &str) -> String {
    let version = format!("{}-", ::berth::VERSION);
    let runc = provision().runc.display().to_string();
    let mut parts = text.split(&version);
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.map(|rest| format!("VERSION-HASH{}", &rest[8..]));
    let text = std::iter::once(first).chain(rest).collect::<String>().replace(&runc, "RUNC");
    let lines = text.lines().map(|line| if line.starts_with("containerd 2.") { "ENGINE" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_handler_is_installed_used_and_taken_away_again_without_a_trace() {
    let config = format!("# The operator's own.\n{}\n# The end.\n", usual_config());
    let mut rig = Rig::node(Some(&config));
    rig.restart_node();
    rig.bring_images();
    let before = rig.see();

    // The plan writes nothing.
    let plan = rig.berth_prints(&["install", "--handler", VM]);
    assert!(plan.contains("Nothing was written; --apply does it."), "{plan}");
    if provision().containerd_version >= (2, 3) {
        insta::assert_snapshot!("plan", steady(&plan));
    }
    assert_untouched(&before, &rig.see());

    let done = rig.berth_prints(&words(&["install", "--handler", VM], &DO_IT));
    assert!(done.contains("restarted containerd"), "{done}");
    if provision().containerd_version >= (2, 3) {
        insta::assert_snapshot!("applied", steady(&done));
    }
    rig.meet_engine();
    let pod = rig.pod("web", NEW);
    let container = rig.container(&pod, "main", IDLE);
    assert_eq!(rig.annotations(&pod.id)["ocid/container_type"], "sandbox");
    assert_eq!(rig.netns_path(&pod.id), Some(Rig::pin_path(&pod.id)));
    assert_identity(&rig, &pod, "web", &container);

    // Again: nothing is written, and nothing restarted.
    let installed = rig.see();
    let again = rig.berth_prints(&words(&["install", "--handler", VM], &DO_IT));
    assert_eq!(again, "unchanged\n");
    assert_untouched(&installed, &rig.see());

    let refused = rig.berth_fails(&words(&["uninstall"], &DO_IT));
    assert!(refused.contains("default/web (vm-berth)"), "{refused}");
    assert_untouched(&installed, &rig.see());

    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    let gc = rig.berth_prints(&["gc"]);
    assert!(gc.contains("released"), "{gc}");
    let gone = rig.berth_prints(&words(&["uninstall"], &DO_IT));
    rig.meet_engine();
    if provision().containerd_version >= (2, 3) {
        insta::assert_snapshot!("removed", steady(&gone));
    }
    assert_restored(&before, &rig.see());
    assert!(rig.run_pod(&crate::rig::cri::Pod::new("late", NEW)).is_err(), "the engine still knows the handler");
    assert_goes(|| rig.left_of_pods());

    assert_eq!(rig.berth_prints(&words(&["uninstall"], &DO_IT)), "nothing is installed\n");
    assert_restored(&before, &rig.see());
}

#[test]
fn a_restart_that_fails_is_taken_back() {
    let mut rig = Rig::node(Some(&usual_config()));
    rig.restart_node();
    let before = rig.see();
    // The engine does not start with a configuration that its own parser takes.
    rig.write(
        "/run/rig/half",
        &format!("#!/bin/sh\n! grep -qr vm-berth /etc/containerd || {{ echo no luck >&2; kill $(cat /run/rig/engine.pid); exit 0; }}\nexec {RESTART_COMMAND}\n"),
    );
    let executable = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    std::fs::set_permissions(rig.path("/run/rig/half"), executable).expect("make it executable");
    let said = rig.berth_fails(&[
        "install",
        "--handler",
        VM,
        "--apply",
        "--restart",
        "--restart-command",
        "/run/rig/half",
        "--timeout",
        "2s",
    ]);
    assert!(said.contains("and after 2 s there is no socket /run/containerd/containerd.sock"), "{said}");
    assert!(said.contains("no luck") && said.contains("everything is as it was before"), "{said}");
    assert_restored(&before, &rig.see());
    rig.meet_engine();
}

/// What is asked of an engine that does not run.
const ENGINE: [&str; 4] = ["--engine", "containerd", "--engine-program", "/run/rig/containerd/containerd"];

/// Configurations as operators have them; of `version = 3` and 4 for the containerds that read those.
fn configurations() -> Vec<(&'static str, Option<String>)> {
    let of_2 = |version: i64| {
        format!(
            "# Ours.\nversion = {version} # since the update\nimports = ['/etc/containerd/own.d/*.toml', # theirs\n]\n\n\
             [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kept]\n  runtime_type = 'io.containerd.runc.v2' # kept\n  \
             snapshotter = 'native'\n  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kept.options]\n    \
             Root = '/run/kept'\n"
        )
    };
    let of_1 = "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n  runtime_type = \"io.containerd.runc.v2\"\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.kept]\n  runtime_type = \
                \"io.containerd.runc.v2\" # kept\n  snapshotter = \"native\"\n  \
                [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.kept.options]\n    Root = \"/run/kept\"\n";
    let mut found = vec![("missing", None), ("empty", Some(String::new())), ("version 2", Some(of_1.to_owned()))];
    let version = provision().containerd_version;
    found.extend((version >= (2, 0)).then(|| ("version 3, comments, imports", Some(of_2(3)))));
    found.extend((version >= (2, 3)).then(|| ("version 4, comments, imports", Some(of_2(4)))));
    found
}

#[test]
fn every_configuration_takes_a_handler_and_is_given_back_byte_for_byte() {
    let mut rig = Rig::node(None);
    rig.run("mkdir", &["/etc/containerd/own.d"]).expect("make a directory");
    rig.write("/etc/containerd/own.d/theirs.toml", "version = 2\n");
    // A machine of these tests has no systemd.
    let systemctl = format!("#!/bin/sh\necho \"$*\" >>/run/rig/systemctl.log\nexec {RESTART_COMMAND}\n");
    rig.write("/usr/local/bin/systemctl", &systemctl);
    rig.run("chmod", &["755", "/usr/local/bin/systemctl"]).expect("make it executable");
    for (name, config) in configurations() {
        match &config {
            Some(text) => rig.write("/etc/containerd/config.toml", text),
            None => drop(rig.run("rm", &["-f", "/etc/containerd/config.toml"])),
        }
        let before = rig.see();
        rig.restart_node();
        let asked = rig.run("sh", &["-c", "cat /run/rig/systemctl.log 2>/dev/null | wc -l"]).expect(name);
        let handler = if config.is_some_and(|text| text.contains("kept")) { "kept" } else { "runc" };
        rig.berth_prints(&["install", "--handler", &format!("{handler}=new"), "--apply", "--restart"]);
        let log = std::fs::read_to_string(rig.path("/run/rig/systemctl.log")).expect("systemctl was run");
        assert_eq!(log.lines().last(), Some("restart containerd"), "{name}");
        assert_eq!(log.lines().count(), asked.trim().parse::<usize>().expect(name) + 1, "{name}");
        let config = "/etc/containerd/config.toml";
        let dump = rig.run("/run/rig/containerd/containerd", &["--config", config, "config", "dump"]).expect(name);
        let new = dump.split(".runtimes.new]").nth(1).expect(name);
        assert!(new.contains("/usr/local/bin/berth-runc"), "{name}: {new}");
        if handler == "kept" {
            assert!(new.contains("native") && new.contains("/run/kept"), "{name}: {new}");
        }
        rig.berth_prints(&words(&["uninstall"], &DO_IT));
        assert_restored(&before, &rig.see());
        rig.meet_engine();
    }
}

#[test]
fn what_stands_in_the_way_is_named_and_nothing_is_written() {
    let rig = Rig::node(Some(&usual_config()));
    let before = rig.see();
    let fails = |args: &[&str]| rig.berth_fails(&words(args, &ENGINE));
    let said = fails(&["install", "--handler", "kata", "--apply"]);
    assert!(said.contains("there is no runtime handler \"kata\""), "{said}");
    // The rig's program is berth under another name.
    let said = fails(&["install", "--handler", crate::rig::containerd::WRAPPED, "--apply"]);
    assert!(said.contains("is berth already: name the handler behind it"), "{said}");
    // Another install.
    rig.run("sh", &["-c", "echo 'berth install, pid 1' >/run/berth-install.lock"]).expect("write");
    let mut holder = rig.command("flock");
    let mut holder =
        holder.args(["/run/berth-install.lock", "cat"]).stdin(std::process::Stdio::piped()).spawn().expect("flock");
    crate::rig::wait::eventually("the lock is held", || {
        rig.run("flock", &["-n", "/run/berth-install.lock", "true"]).is_err().then_some(())
    });
    let said = fails(&["install", "--handler", VM, "--apply"]);
    assert!(said.contains("holds /run/berth-install.lock (berth install, pid 1)"), "{said}");
    drop(holder.stdin.take());
    holder.wait().expect("wait for flock");
    // Hosts that take nothing.
    rig.write("/run/rig/os", "ID=talos\nNAME=\"Talos\"\n");
    rig.run("mount", &["--bind", "/run/rig/os", "/etc/os-release"]).expect("another system");
    let said = fails(&["install", "--handler", VM, "--apply"]);
    assert!(said.contains("Talos takes no programs") && said.contains("as a DaemonSet"), "{said}");
    rig.run("umount", &["/etc/os-release"]).expect("the system again");
    rig.run("mount", &["-o", "remount,ro", "/usr/local"]).expect("read-only");
    let said = fails(&["install", "--handler", VM, "--apply"]);
    assert!(said.contains("/usr/local/bin is mounted read-only: choose another directory with --bin-dir"), "{said}");
    rig.run("mount", &["-o", "remount,rw", "/usr/local"]).expect("writable");
    // A file that the engine cannot read either.
    rig.write("/etc/containerd/config.toml", "version = 3\n[plugins\n");
    let said = fails(&["install", "--handler", VM, "--apply"]);
    assert!(said.contains("/etc/containerd/config.toml: line 2"), "{said}");
    rig.write("/etc/containerd/config.toml", &usual_config());
    assert_restored(&before, &rig.see());
}
