//! Another build of berth in the place of the one that is installed, and what becomes of that.

use super::{CONFIG, DO_IT, ENGINE, INTERPOSER, VM, sh, words};
use crate::rig::containerd::usual_config;
use crate::rig::node::assert_restored;
use crate::rig::process::Process;
use crate::rig::provision::provision;
use crate::rig::{IDLE, Rig};

/// The same program as another build of it: with a byte behind its end.
const OTHER: &str = "/run/rig/bin/berth";

fn node() -> Rig {
    let rig = Rig::node(Some(&usual_config()));
    sh(&rig, &format!("cp -L /run/rig/berth/* {OTHER}; echo >>{OTHER}"));
    rig
}

/// The programs that are there, and the one that the name leads to.
fn programs(rig: &Rig) -> (Vec<String>, String) {
    let all = sh(rig, "find /usr/local/lib/berth -type f | sort");
    let current = sh(rig, &format!("readlink -f {INTERPOSER}"));
    (all.lines().map(str::to_owned).collect(), current.trim().to_owned())
}

#[test]
fn a_version_stays_while_pods_may_need_it_and_goes_when_none_does() {
    let mut rig = node();
    rig.restart_node();
    rig.bring_images();
    let before = rig.see();
    rig.berth_prints(&words(&["install", "--handler", VM], &DO_IT));
    rig.meet_engine();
    let (_, old) = programs(&rig);
    let pod = rig.pod("web", "vm-berth");
    rig.container(&pod, "main", IDLE);
    let engine = sh(&rig, "cat /run/rig/engine.pid");

    let upgrade = words(&["install"], &DO_IT);
    rig.run(OTHER, &upgrade).expect("upgrade");
    let (all, new) = programs(&rig);
    assert!(new != old && all.len() == 2 && all.contains(&old), "{all:?}");
    // The engine has nothing to read that is new, and pods go on.
    assert_eq!(sh(&rig, "cat /run/rig/engine.pid"), engine);
    let container = rig.container(&pod, "more", IDLE);
    assert_eq!(rig.netns_path(&container), Some(Rig::pin_path(&pod.id)));
    assert_eq!(rig.run(OTHER, &upgrade).expect("again"), "unchanged\n");
    assert_eq!(programs(&rig).0.len(), 2);

    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    rig.berth_prints(&["gc"]);
    let plan = rig.run(OTHER, &["install"]).expect("plan");
    assert!(
        plan.contains("Of earlier versions, which nothing uses any more\n") && plan.contains(&format!("- {old}")),
        "{plan}"
    );
    let done = rig.run(OTHER, &upgrade).expect("prune");
    assert!(done.contains(&format!("removed {old}")) && !done.contains("restarted"), "{done}");
    assert_eq!(programs(&rig), (vec![new.clone()], new));
    assert_eq!(rig.run(OTHER, &upgrade).expect("again"), "unchanged\n");

    rig.berth_prints(&words(&["uninstall"], &DO_IT));
    assert_restored(&before, &rig.see());
    rig.meet_engine();
}

#[test]
fn a_version_that_a_process_or_a_link_uses_stays() {
    let rig = node();
    let before = rig.see();
    let install = words(&["install", "--handler", VM, "--apply"], &ENGINE);
    rig.berth_prints(&install);
    let (_, old) = programs(&rig);
    // Somebody's own link, and then a daemon.
    sh(&rig, &format!("ln -s {old} /usr/local/bin/berth-old"));
    rig.run(OTHER, &install).expect("upgrade");
    assert!(programs(&rig).0.contains(&old));
    sh(&rig, "rm /usr/local/bin/berth-old");
    let mut daemon = rig.command(&old);
    // There is no engine: it waits for one.
    daemon.args(["nri", "--state-dir", "/run/rig/tmp/state", "--config", "/dev/null"]);
    let daemon = Process::start("daemon", daemon, rig.log_file("daemon"));
    assert!(rig.run(OTHER, &install).expect("again").starts_with("unchanged\n"));
    assert!(programs(&rig).0.contains(&old));
    daemon.kill();
    let done = rig.run(OTHER, &install).expect("prune");
    assert!(done.contains(&format!("removed {old}")), "{done}");
    // And at once, where nothing uses it.
    let done = rig.berth_prints(&install);
    assert!(done.contains(&format!("made {old}")) && done.contains("removed /usr/local/lib/berth/"), "{done}");
    assert_eq!(programs(&rig), (vec![old.clone()], old));
    rig.berth_prints(&words(&["uninstall", "--apply"], &ENGINE));
    assert_restored(&before, &rig.see());
}

#[test]
fn an_upgrade_that_was_killed_is_taken_away_whole() {
    crate::rig::provision::components(&["strace"]);
    let rig = node();
    let before = rig.see();
    let install = words(&["install", "--handler", VM, "--apply"], &ENGINE);
    for (step, at) in (1..).map(|at| ("rename", at)) {
        rig.berth_prints(&install);
        let inject = format!("inject={step}:signal=SIGKILL:when={at}");
        let mut strace = rig.command("strace");
        strace.args(["-qqq", "-o", "/dev/null", "-e", "trace=rename", "-e", &inject, OTHER]).args(&install);
        let done = strace.output().expect("nsenter (util-linux) runs");
        rig.run(OTHER, &words(&["uninstall", "--apply"], &ENGINE)).expect("uninstall");
        assert_restored(&before, &rig.see());
        if done.status.success() {
            assert!(at > 3, "only {at} steps");
            break;
        }
    }
}

#[test]
fn what_was_written_for_a_containerd_before_2_moves_or_goes_when_it_is_upgraded() {
    if provision().containerd_version < (2, 0) {
        // There is nothing to upgrade to.
        return;
    }
    // One that says it is older; of version 2, because these read nothing newer.
    let rig = Rig::node(None);
    let old = "/run/rig/bin/older";
    rig.write(old, "#!/bin/sh\n[ \"$1\" = --version ] && exec echo 'containerd github.com/containerd/containerd v1.7.27 x'\nexec /run/rig/containerd/containerd \"$@\"\n");
    sh(&rig, &format!("chmod 755 {old}"));
    let cri = "plugins.'io.containerd.grpc.v1.cri'";
    let declared = format!(
        "version = 2\n[{cri}.containerd.runtimes.runc]\n  runtime_type = 'io.containerd.runc.v2'\n[{cri}.containerd.runtimes.vm]\n  runtime_type = 'io.containerd.runc.v2'\n"
    );
    for (config, handler) in
        [(Some(declared.as_str()), "vm"), (Some("version = 2\n# Nothing else.\n"), "runc"), (None, "runc")]
    {
        match config {
            Some(text) => rig.write(CONFIG, text),
            None => drop(sh(&rig, &format!("rm {CONFIG}"))),
        }
        let before = rig.see();
        let install = ["install", "--handler", handler, "--apply", "--engine", "containerd", "--engine-program"];
        let uninstall = words(&["uninstall", "--apply"], &ENGINE);
        for moved in [false, true] {
            rig.berth_prints(&words(&install, &[old]));
            assert!(sh(&rig, &format!("cat {CONFIG}")).contains("# berth: begin"), "{config:?}");
            if moved {
                rig.berth_prints(&words(&install, &["/run/rig/containerd/containerd"]));
                assert!(!sh(&rig, &format!("cat {CONFIG}")).contains("# berth: begin"), "{config:?}");
                let dump =
                    rig.run("/run/rig/containerd/containerd", &["--config", CONFIG, "config", "dump"]).expect("dump");
                assert!(dump.contains(&format!(".runtimes.{handler}-berth]")), "{dump}");
            }
            rig.berth_prints(&uninstall);
            assert_restored(&before, &rig.see());
        }
    }
}
