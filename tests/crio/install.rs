//! berth put on a node with CRI-O by its own command, and taken away again.

use crate::rig::kubelet::Template;
use crate::rig::node::{RESTART_COMMAND, assert_restored, assert_untouched};
use crate::rig::{IDLE, Rig};

const DO_IT: [&str; 4] = ["--apply", "--restart", "--restart-command", RESTART_COMMAND];

#[test]
fn handlers_of_both_types_are_installed_used_and_taken_away_again_without_a_trace() {
    let mut rig = Rig::crio_node();
    rig.restart_node();
    rig.bring_images();
    let before = rig.see();
    let install = ["install", "--handler", "plain", "--handler", "machine=vm-berth"];
    let plan = rig.berth_prints(&install);
    assert!(plan.contains("+++ /etc/crio/crio.conf.d/50-berth.conf"), "{plan}");
    assert_untouched(&before, &rig.see());

    rig.berth_prints(&[&install[..], &DO_IT].concat());
    rig.meet_engine();
    for handler in ["plain-berth", "vm-berth"] {
        let pod = rig.pod("web", handler);
        let container = rig.container(&pod, "main", IDLE);
        for (id, kind) in [(&pod.id, "sandbox"), (&container, "container")] {
            assert_eq!(rig.annotations(id)["ocid/container_type"], kind, "{handler}");
            assert_eq!(rig.netns_path(id), Some(Rig::pin_path(&pod.id)), "{handler}");
        }
        let refused = rig.berth_fails(&[&["uninstall"], &DO_IT[..]].concat());
        assert!(refused.contains(&format!("default/web ({handler})")), "{refused}");
        rig.cri().remove_pod(&pod.id).expect("remove the pod");
    }
    assert_eq!(rig.berth_prints(&[&install[..], &DO_IT].concat()), "unchanged\n");
    rig.berth_prints(&["gc"]);
    rig.berth_prints(&[&["uninstall"], &DO_IT[..]].concat());
    assert_restored(&before, &rig.see());
    rig.meet_engine();
    assert_eq!(rig.berth_prints(&[&["uninstall"], &DO_IT[..]].concat()), "nothing is installed\n");
}

#[test]
fn without_the_engine_the_record_says_what_goes_and_what_was_edited_is_not_lost() {
    const OWN: &str = "/etc/crio/crio.conf.d/50-berth.conf";
    let rig = Rig::crio_node();
    let sh = |script: &str| rig.run("sh", &["-euc", script]).expect(script);
    let before = rig.see();
    let engine = ["--engine", "cri-o", "--engine-program", "/opt/bin/crio"];
    sh("mkdir -p /opt/bin; ln -s /run/rig/crio/crio /opt/bin/crio");
    rig.berth_prints(&[&["install", "--handler", "plain", "--apply"], &engine[..]].concat());
    let uninstall = [&["uninstall", "--apply"], &engine[..]].concat();

    let text = std::fs::read_to_string(rig.path(OWN)).expect("berth's own file");
    // With the words that say whose it is, and without.
    for edited in [format!("{text}# mine\n"), text.split_once('\n').expect("lines").1.to_owned()] {
        rig.write(OWN, &edited);
        let changed = rig.see();
        let said = rig.berth_fails(&uninstall);
        assert!(said.contains(&format!("{OWN}: what berth wrote there was changed by hand since")), "{said}");
        assert_untouched(&changed, &rig.see());
    }
    rig.write(OWN, &text);

    sh("rm /opt/bin/crio");
    let done = rig.berth_command(&uninstall);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success() && said.contains("cri-o could not be asked"), "{done:?}");
    assert_restored(&before, &rig.see());
}

#[test]
fn a_plugin_is_refused_where_nri_is_off() {
    let rig = Rig::crio_node();
    let sed = ["-i", "s/^\\[crio.nri\\]$/&\\nenable_nri = false/", "/etc/crio/crio.conf"];
    rig.run("sed", &sed).expect("turn NRI off");
    let off = rig.see();
    let said = rig.berth_fails(&[
        "install",
        "--plugin",
        "--apply",
        "--engine",
        "cri-o",
        "--engine-program",
        "/run/rig/crio/crio",
    ]);
    assert!(said.contains("set enable_nri = true in [crio.nri]"), "{said}");
    assert_untouched(&off, &rig.see());
}

#[test]
fn the_overlay_host_is_ready_when_the_engine_has_been_restarted() {
    let mut rig = Rig::crio_node();
    rig.make_image(false);
    rig.restart_node();
    rig.bring_images();
    let before = rig.see();
    let installer = Template::of("overlays/host", "DaemonSet").arg("--handler=plain");
    let started = rig.run_manifest("berth", &installer);
    let body = rig.await_page(503, "FAIL handlers");
    assert!(body.contains("cri-o does not know plain-berth") && body.contains("FAIL plugin"), "{body}");
    rig.restart_node();
    let body = rig.await_page(200, "PASS plugin");
    assert!(body.contains("PASS handlers cri-o knows plain-berth"), "{body}");
    let pod = rig.pod("web", "plain-berth");
    assert_eq!(rig.netns_path(&pod.id), Some(Rig::pin_path(&pod.id)));
    rig.end_manifest(started);

    let uninstall = Template::of("uninstall", "Job");
    let (code, said) = rig.run_job("berth-uninstall-1", &uninstall);
    assert!(code == 1 && said.contains("default/web (plain-berth)"), "{said}");
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    rig.berth_prints(&["gc"]);
    let (code, said) = rig.run_job("berth-uninstall-2", &uninstall);
    assert!(code == 1 && said.contains("the engine still knows the handler plain-berth"), "{said}");
    rig.restart_node();
    let (code, said) = rig.run_job("berth-uninstall-3", &uninstall);
    assert_eq!(code, 0, "{said}");
    assert_restored(&before, &rig.see());
}
