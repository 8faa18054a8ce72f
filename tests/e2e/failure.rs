//! When berth cannot do its work: the policy of the profile, in the words that an operator gets to read.

use super::{assert_identity, assert_path_untouched};
use crate::rig::berth::Start;
use crate::rig::containerd::VM;
use crate::rig::cri::Sandbox;
use crate::rig::{IDLE, Rig};

const PINS: &str = "/run/rig/pins";

/// berth with a directory for the pins in which it can make none.
fn without_pin_directory(rig: &Rig) -> Start<'_> {
    rig.run("mkdir", &[PINS]).expect("make the directory");
    rig.run("mount", &["-n", "-t", "tmpfs", "-o", "ro,mode=755", "tmpfs", PINS]).expect("make it unusable");
    rig.berth().args(&["--netns-dir", PINS])
}

#[test]
fn under_the_policy_fail_a_container_that_cannot_be_pinned_is_refused_with_one_clear_sentence() {
    let rig = Rig::start();
    let _berth = without_pin_directory(&rig).start();
    // The engine would keep a record of a pod that was refused; so the pod runs.
    let pod = rig.pod("web", VM);

    let refused = rig.cri().create_container(&pod, "main", IDLE).expect_err("the container is refused");
    let message = refused.message();
    let sentence = &message[message.find("berth: ").unwrap_or_else(|| panic!("not berth's words: {message}"))..];
    assert!(sentence.contains(&format!("{PINS}/berth-{}", pod.id)), "which pin? {sentence}");
    assert!(sentence.contains("Read-only file system"), "why? {sentence}");
    assert!(!sentence.contains('\n'), "one sentence: {sentence}");
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
}

#[test]
fn under_the_policy_ignore_a_container_that_cannot_be_pinned_runs_unchanged_and_is_counted() {
    let rig = Rig::start();
    let config = "profiles:\n  - name: vm\n    match: {runtimeHandlers: [vm]}\n    onFailure: Ignore\n";
    let mut berth = without_pin_directory(&rig).config(config).start();
    let pod = rig.pod("web", VM);

    for count in 1..=2 {
        let container = rig.container(&pod, &format!("main-{count}"), IDLE);
        assert_unchanged(&rig, &pod, &container);
        berth.await_line("that it ignored the failure, and how often it has", |line| {
            line.contains("event=CreateContainer")
                && line.contains("verdict=leave reason=failed")
                && line.contains(&format!("total={count} "))
        });
    }
}

#[track_caller]
fn assert_unchanged(rig: &Rig, pod: &Sandbox, container: &str) {
    assert_path_untouched(rig, pod, container);
    let stamped: Vec<_> = rig.annotations(container).into_keys().filter(|key| key.starts_with("ocid/")).collect();
    assert_eq!(stamped, Vec::<String>::new());
}

#[test]
fn identity_alone_needs_no_pin_directory() {
    let rig = Rig::start();
    // Where the engine cannot swap, that is so whatever the profile wants.
    let netns = if rig.can_swap() { "leave" } else { "swap" };
    let config = format!("profiles:\n  - name: vm\n    match: {{runtimeHandlers: [vm]}}\n    netns: {netns}\n");
    let _berth = without_pin_directory(&rig).config(&config).start();
    let pod = rig.pod("web", VM);
    let container = rig.container(&pod, "main", IDLE);

    assert_identity(&rig, &pod, "web", &container);
    assert_path_untouched(&rig, &pod, &container);
}
