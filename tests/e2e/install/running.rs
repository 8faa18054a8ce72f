//! An engine that runs: its plugin, its restart, and an uninstall in two halves.

use super::{DO_IT, INTERPOSER, VM, own_file, sh, words};
use crate::rig::containerd::usual_config;
use crate::rig::node::{RESTART_COMMAND, assert_restored, assert_untouched};
use crate::rig::wait::eventually;
use crate::rig::{IDLE, Rig};

const PLUGIN: &str = "/run/rig/nri/plugins/90-berth";

fn node() -> Rig {
    let mut rig = Rig::node(Some(&usual_config()));
    rig.restart_node();
    rig
}

#[test]
fn a_plugin_is_started_by_the_engine_and_goes_with_the_uninstall() {
    let mut rig = node();
    if !rig.has_nri() {
        let before = rig.see();
        let said = rig.berth_fails(&words(&["install", "--plugin"], &DO_IT));
        assert!(said.contains("NRI"), "{said}");
        assert_untouched(&before, &rig.see());
        return;
    }
    rig.bring_images();
    let before = rig.see();
    let plan = rig.berth_prints(&["install", "--plugin"]);
    assert!(plan.contains(&format!("+ {PLUGIN} -> /usr/local/bin/berth")), "{plan}");
    rig.berth_prints(&words(&["install", "--plugin"], &DO_IT));
    rig.meet_engine();
    let pod = rig.pod("web", VM);
    let container = rig.container(&pod, "main", IDLE);
    super::super::assert_identity(&rig, &pod, "web", &container);
    super::super::assert_networked(&rig, &pod, &container);
    let runs = || {
        sh(
            &rig,
            "for exe in /proc/[0-9]*/exe; do readlink $exe || true; done 2>/dev/null | grep -c '^/usr/local/lib/berth/' || true",
        )
    };
    assert_eq!(runs(), "1\n");
    assert!(rig.berth_prints(&words(&["install", "--plugin"], &DO_IT)).starts_with("unchanged\nNo handler"));

    // Pods that the plugin alone has a part in keep nothing of berth's.
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    rig.berth_prints(&words(&["uninstall"], &DO_IT));
    assert_eq!(
        sh(&rig, &format!("ls -d {PLUGIN} 2>&1 || true")),
        format!("ls: cannot access '{PLUGIN}': No such file or directory\n")
    );
    eventually("the plugin has ended", || (runs() == "0\n").then_some(()));
    assert_restored(&before, &rig.see());
    rig.meet_engine();
    let pod = rig.pod("late", VM);
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
}

#[test]
fn without_a_restart_programs_stay_until_the_engine_has_forgotten_the_handler() {
    let mut rig = node();
    rig.bring_images();
    let before = rig.see();
    rig.berth_prints(&["install", "--handler", VM, "--apply"]);
    // The engine has not read it yet.
    assert!(rig.run_pod(&crate::rig::cri::Pod::new("early", "vm-berth")).is_err());
    rig.restart_node();
    let pod = rig.pod("web", "vm-berth");
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    rig.berth_prints(&["gc"]);

    for _ in 0..2 {
        let said = rig.berth_fails(&["uninstall", "--apply"]);
        assert!(said.contains("program and names stay: the engine still knows the handler vm-berth"), "{said}");
        assert!(said.contains("restart containerd"), "{said}");
        assert_eq!(sh(&rig, "grep -rl vm-berth /etc/containerd || true"), "");
    }
    // Until then pods can be made by it, and keep it.
    let pod = rig.pod("late", "vm-berth");
    let said = rig.berth_fails(&["uninstall", "--apply"]);
    assert!(said.contains("default/late (vm-berth)"), "{said}");
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    rig.berth_prints(&["gc"]);
    rig.restart_node();
    let said = rig.berth_prints(&["uninstall", "--apply"]);
    assert!(said.contains(&format!("removed {INTERPOSER}")), "{said}");
    assert_restored(&before, &rig.see());
    assert_eq!(rig.berth_prints(&["uninstall", "--apply"]), "nothing is installed\n");
}

#[test]
fn a_restart_that_fails_in_an_uninstall_leaves_berth_installed() {
    let mut rig = node();
    rig.bring_images();
    let before = rig.see();
    rig.berth_prints(&words(&["install", "--handler", VM], &DO_IT));
    let installed = rig.see();
    // The engine comes with berth in its configuration and not without.
    let script = format!(
        "#!/bin/sh\ngrep -q vm-berth {} && exec {RESTART_COMMAND}\necho no luck >&2\nkill $(cat /run/rig/engine.pid)\n",
        own_file()
    );
    rig.write("/run/rig/half", &script);
    sh(&rig, "chmod 755 /run/rig/half");
    let said = rig.berth_fails(&[
        "uninstall",
        "--apply",
        "--restart",
        "--restart-command",
        "/run/rig/half",
        "--timeout",
        "2s",
    ]);
    assert!(said.contains("no luck") && said.contains("everything is as it was before"), "{said}");
    assert_restored(&installed, &rig.see());
    rig.meet_engine();
    let pod = rig.pod("web", "vm-berth");
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    rig.berth_prints(&["gc"]);
    assert_eq!(rig.berth_prints(&words(&["install", "--handler", VM], &DO_IT)), "unchanged\n");
    rig.berth_prints(&words(&["uninstall"], &DO_IT));
    assert_restored(&before, &rig.see());
    rig.meet_engine();
}
