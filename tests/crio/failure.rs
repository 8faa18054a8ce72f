//! When berth cannot do its work: one clear sentence in the CRI's answer, by way of conmon, of CRI-O's own start of a shim,
//! and of NRI.

use super::start_berth;
use crate::rig::berth::CONFIG;
use crate::rig::containerd::VM;
use crate::rig::cri::{Pod, Sandbox};
use crate::rig::crio::{Infra, SHIMMED, WRAPPED, berths_config};
use crate::rig::{IDLE, Rig};

/// Something else is where the pod's pin should be.
fn take_place(rig: &Rig, pod: &Sandbox) {
    rig.run("mkdir", &[&Rig::pin_path(&pod.id)]).expect("take the pin's place");
}

/// berth's sentence in an answer of the CRI. Behind that of a shim CRI-O says how the shim ended.
#[track_caller]
fn sentence(message: &str) -> &str {
    let sentence = &message[message.find("berth: ").unwrap_or_else(|| panic!("not berth's words: {message}"))..];
    let (sentence, rest) = sentence.split_once('\n').unwrap_or((sentence, ""));
    assert!(["", ": exit status 1"].contains(&rest), "one sentence: {message}");
    sentence
}

#[test]
fn a_member_that_cannot_be_pinned_is_refused_with_one_clear_sentence() {
    let rig = Rig::crio(Infra::Dropped);
    let pod = rig.pod("web", WRAPPED);
    take_place(&rig, &pod);
    let refused = rig.cri().create_container(&pod, "main", IDLE).expect_err("the container is refused");
    let sentence = sentence(refused.message());
    assert!(sentence.contains(&Rig::pin_path(&pod.id)), "which pin? {sentence}");
    assert!(sentence.contains("its place is taken by a directory"), "why? {sentence}");

    rig.run("rmdir", &[&Rig::pin_path(&pod.id)]).expect("repair it");
    rig.container(&pod, "main", IDLE);
}

#[test]
fn a_sandbox_that_cannot_be_vouched_for_is_refused_with_one_clear_sentence() {
    let rig = Rig::crio(Infra::Kept);
    rig.write(CONFIG, &format!("{}hostPrc: /x\n", berths_config()));
    for handler in [WRAPPED, SHIMMED] {
        let refused = rig.run_pod(&Pod::new("web", handler)).expect_err("the pod is refused");
        let sentence = sentence(refused.message());
        assert!(sentence.contains(CONFIG) && sentence.contains("hostPrc"), "{sentence}");
    }
    assert_eq!(rig.left_of_pods(), Vec::<String>::new());

    rig.write(CONFIG, &berths_config());
    for handler in [WRAPPED, SHIMMED] {
        rig.pod(handler, handler);
    }
}

#[test]
fn under_the_policy_ignore_it_runs_unchanged() {
    let rig = Rig::crio(Infra::Dropped);
    rig.write(CONFIG, &berths_config().replace("name: all,", "name: all, onFailure: Ignore,"));
    let pod = rig.pod("web", WRAPPED);
    take_place(&rig, &pod);
    let container = rig.container(&pod, "main", IDLE);
    assert_eq!(rig.netns_path(&container), rig.cri().sandbox_state(&pod.id).netns);
    assert!(!rig.annotations(&container).contains_key("ocid/sandbox_id"));
}

#[test]
fn a_member_that_the_plugin_cannot_pin_is_refused_with_one_clear_sentence() {
    let rig = Rig::crio(Infra::Dropped);
    let berth = start_berth(&rig);
    let pod = rig.pod("web", VM);
    rig.run("ip", &["netns", "delete", &format!("berth-{}", pod.id)]).expect("delete the pin");
    take_place(&rig, &pod);
    let refused = rig.cri().create_container(&pod, "main", IDLE).expect_err("the container is refused");
    let sentence = sentence(refused.message());
    assert!(sentence.contains("its place is taken by a directory"), "why? {sentence}");
    // Without berth the pod goes on.
    berth.kill();
    rig.container(&pod, "main", IDLE);
}
