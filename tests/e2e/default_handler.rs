//! What berth does not select stays as it is, byte for byte.

use crate::rig::cri::Sandbox;
use crate::rig::{IDLE, Rig};

const DEFAULT_HANDLER: &str = "";

#[test]
fn a_container_of_the_default_handler_has_the_same_specification_as_without_berth() {
    let rig = Rig::start();
    let without = run_and_read(&rig);
    let mut berth = rig.berth().start();
    let with = run_and_read(&rig);

    assert_eq!(with, without);
    berth.await_line("that it left the container alone", |line| {
        line.contains("event=CreateContainer") && line.contains("verdict=leave") && line.contains("reason=not-selected")
    });
    assert_eq!(rig.left_of_pods(), Vec::<String>::new());
}

/// The container's config.json, with placeholders for what no two containers have in common.
fn run_and_read(rig: &Rig) -> String {
    let pod = rig.pod("plain", DEFAULT_HANDLER);
    let container = rig.container(&pod, "main", IDLE);
    let text = without_ids(rig, &pod, &container);
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    text
}

fn without_ids(rig: &Rig, pod: &Sandbox, container: &str) -> String {
    let text = rig.config_json(container).replace(container, "CONTAINER").replace(&pod.id, "SANDBOX");
    let pid = rig.cri().sandbox_state(&pod.id).pid;
    let text = text.replace(&format!("/proc/{pid}/ns/"), "/proc/PID/ns/");
    assert!(text.contains("/proc/PID/ns/net"), "the specification is another one than this test knows: {text}");
    text
}
