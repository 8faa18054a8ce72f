//! What an operator sees of pods on CRI-O.

use serde_json::Value;

use super::{assert_nothing_left_after_gc, pod_of_two, start_berth};
use crate::rig::Rig;
use crate::rig::berth::CONFIG;
use crate::rig::crio::{Infra, WRAPPED};
use crate::rig::holds::assert_nothing_left;

/// What berth knows of the pod `web`.
#[track_caller]
fn inspected(rig: &Rig) -> Value {
    let output = rig.berth_command(&["inspect", "web", "-o", "json", "--config", CONFIG]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Role and id of each of the pod's bundles, and whether nothing is left to be done with it.
fn containers(report: &Value) -> Vec<(&str, &str, bool)> {
    let found = report["containers"].as_array().expect("a list");
    let done = |found: &Value| found["pathBefore"] == found["pathAfter"] && found["written"] == serde_json::json!({});
    found.iter().map(|found| (text(&found["facts"]["role"]), text(&found["id"]), done(found))).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

#[test]
fn bundles_are_found_and_judged_without_a_daemon() {
    let rig = Rig::crio(Infra::Kept);
    let (pod, members) = pod_of_two(&rig, WRAPPED);
    let report = inspected(&rig);
    let found = containers(&report);
    assert_eq!((found.len(), found[0]), (3, ("sandbox", pod.id.as_str(), true)));
    assert!(members.iter().all(|member| found.contains(&("container", member.as_str(), true))), "{found:?}");
    assert_eq!(report["doors"], Value::from(vec!["runtime"]));
    let listing = rig.berth_command(&["exec", "web", "--", "ls", "/sys/class/net"]);
    assert_eq!(String::from_utf8_lossy(&listing.stdout), "eth0\nlo\n");
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_nothing_left_after_gc(&rig);
}

#[test]
fn where_the_plugin_pins_and_interposers_have_a_part_in_the_members_both_are_shown() {
    let rig = Rig::crio(Infra::Dropped);
    let _berth = start_berth(&rig);
    let (pod, members) = pod_of_two(&rig, WRAPPED);
    let report = inspected(&rig);
    assert_eq!((&report["doors"], &report["record"]["handler"]), (&vec!["nri", "runtime"].into(), &WRAPPED.into()));
    let found = containers(&report);
    // CRI-O writes a specification for the sandbox, too, which no runtime is given.
    assert_eq!((found.len(), found[0]), (3, ("sandbox", pod.id.as_str(), false)));
    assert!(members.iter().all(|member| found.contains(&("container", member.as_str(), true))), "{found:?}");
    rig.cri().stop_pod(&pod.id).expect("stop the pod");
    assert_nothing_left(&rig);
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
}
