//! berth put on a node with CRI-O by its own command, and taken away again.

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
