//! berth put on a node by its own command, and taken away again: with the real engine, restarted for it.

use super::{assert_goes, assert_identity};
use crate::rig::containerd::{VM, usual_config};
use crate::rig::node::{RESTART_COMMAND, assert_restored, assert_untouched};
use crate::rig::{IDLE, Rig};

const DO_IT: [&str; 4] = ["--apply", "--restart", "--restart-command", RESTART_COMMAND];
/// The new handler, which stands beside [`VM`].
const NEW: &str = "vm-berth";

fn words<'a>(first: &[&'a str], then: &[&'a str]) -> Vec<&'a str> {
    [first, then].concat()
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
    assert_untouched(&before, &rig.see());

    let done = rig.berth_prints(&words(&["install", "--handler", VM], &DO_IT));
    assert!(done.contains("restarted containerd"), "{done}");
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
    rig.berth_prints(&words(&["uninstall"], &DO_IT));
    rig.meet_engine();
    assert_restored(&before, &rig.see());
    assert!(rig.run_pod(&crate::rig::cri::Pod::new("late", NEW)).is_err(), "the engine still knows the handler");
    assert_goes(|| rig.left_of_pods());

    assert_eq!(rig.berth_prints(&words(&["uninstall"], &DO_IT)), "nothing is installed\n");
    assert_restored(&before, &rig.see());
}
