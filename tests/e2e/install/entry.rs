//! Programs that a name alone does not lead to: berth's own configuration says what is behind it.

use super::{CONFIG, DO_IT, ENGINE, read, sh, words};
use crate::rig::Rig;
use crate::rig::containerd::usual_config;
use crate::rig::node::{assert_restored, assert_untouched};
use crate::rig::provision::provision;

const SETTINGS: &str = "/etc/berth/config.yaml";

/// A node with two handlers whose runtimes are called the same and are on nobody's PATH.
fn node() -> Rig {
    let cri = if provision().containerd_version >= (2, 0) { "cri.v1.runtime" } else { "grpc.v1.cri" };
    let handler = |name: &str| {
        format!(
            "[plugins.'io.containerd.{cri}'.containerd.runtimes.{name}]\n  runtime_type = 'io.containerd.runc.v2'\n\
             [plugins.'io.containerd.{cri}'.containerd.runtimes.{name}.options]\n  BinaryName = '/opt/{name}/oci'\n"
        )
    };
    let rig = Rig::node(Some(&format!("{}{}{}", usual_config(), handler("one"), handler("two"))));
    for name in ["one", "two"] {
        sh(&rig, &format!("mkdir -p /opt/{name}; cp {} /opt/{name}/oci", provision().runc.display()));
    }
    rig
}

#[test]
fn an_entry_is_written_where_the_name_does_not_say_what_is_behind_it() {
    let mut rig = node();
    rig.restart_node();
    rig.bring_images();
    let before = rig.see();
    rig.berth_prints(&words(&["install", "--handler", "one", "--handler", "two"], &DO_IT));
    rig.meet_engine();
    insta::assert_snapshot!("settings", read(&rig, SETTINGS));
    for handler in ["one-berth", "two-berth"] {
        let pod = rig.pod("web", handler);
        assert_eq!(rig.netns_path(&pod.id), Some(Rig::pin_path(&pod.id)), "{handler}");
        rig.cri().remove_pod(&pod.id).expect("remove the pod");
        rig.berth_prints(&["gc"]);
    }
    rig.berth_prints(&words(&["uninstall"], &DO_IT));
    assert_restored(&before, &rig.see());
    rig.meet_engine();
}

#[test]
fn an_operators_configuration_is_not_written_to_and_what_it_lacks_is_proposed() {
    let rig = node();
    sh(&rig, "mkdir /etc/berth");
    rig.write(SETTINGS, "profiles: [{name: mine}]\n");
    let before = rig.see();
    let install = words(&["install", "--handler", "one", "--apply"], &ENGINE);
    let said = rig.berth_fails(&install);
    let (words_of_it, entry) = said.split_once("add this to it, then run this again:\n").expect("a proposal");
    assert!(words_of_it.contains(&format!("{SETTINGS} has to say what is behind berth-oci")), "{said}");
    assert_untouched(&before, &rig.see());

    rig.write(SETTINGS, &format!("profiles: [{{name: mine}}]\n{entry}"));
    let before = rig.see();
    rig.berth_prints(&install);
    rig.berth_prints(&words(&["uninstall", "--apply"], &ENGINE));
    assert_restored(&before, &rig.see());

    // One that is no configuration is named with its line.
    rig.write(SETTINGS, "profiles: [\n");
    let before = rig.see();
    let said = rig.berth_fails(&install);
    assert!(said.contains(SETTINGS) && said.contains("line "), "{said}");
    assert_untouched(&before, &rig.see());
}

#[test]
fn an_entry_that_somebody_has_added_to_is_theirs() {
    let rig = node();
    let before = rig.see();
    rig.berth_prints(&words(&["install", "--handler", "one", "--apply"], &ENGINE));
    let text = read(&rig, SETTINGS) + "profiles: [{name: mine}]\n";
    rig.write(SETTINGS, &text);
    let installed = rig.see();
    assert!(rig.berth_prints(&words(&["install", "--apply"], &ENGINE)).starts_with("unchanged\n"));
    assert_untouched(&installed, &rig.see());
    let done = rig.berth_command(&words(&["uninstall", "--apply"], &ENGINE));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success() && said.contains(&format!("{SETTINGS} was changed since: it stays")), "{said}");
    assert_eq!(read(&rig, SETTINGS), text);
    assert!(!read(&rig, CONFIG).contains("one-berth"));
    sh(&rig, "rm -r /etc/berth");
    assert_restored(&before, &rig.see());
}
