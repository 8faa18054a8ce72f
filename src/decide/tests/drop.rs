//! Keys that a profile drops.

use super::{Case, keys};
use crate::decide::policy::{OnContradiction, Patterns};
use crate::decide::template::Template;
use crate::decide::verdict::Verdict;
use crate::identity::Role;

fn dropping(patterns: &[&str]) -> Case {
    let mut case =
        Case::member().with("run.oci.handler", "krun").with("io.katacontainers.config.x/y", "1").with("app", "web");
    case.profile.drop_annotations = Patterns::parse(patterns.iter().copied()).expect("patterns");
    case
}

#[test]
fn what_the_profile_drops_goes_and_is_no_contradiction() {
    let mut case = dropping(&["run.oci.handler", "io.katacontainers.*", "!*.keep"]).with("io.katacontainers.keep", "1");
    case.profile.on_contradiction = OnContradiction::Refuse;
    let plan = case.plan();
    assert_eq!(plan.dropped, ["io.katacontainers.config.x/y", "run.oci.handler"]);
    assert_eq!(plan.remove.iter().map(String::as_str).collect::<Vec<_>>(), plan.dropped);
    assert!(plan.contradictions.is_empty());
}

#[test]
fn what_the_profile_writes_it_does_not_drop() {
    let mut case = dropping(&["*"]).with("mine", "old").with("io.kubernetes.cri-o.SandboxID", "s1");
    case.profile.annotations.insert("mine".into(), Template::parse("{pod.name}").expect("template"));
    let plan = case.plan();
    assert_eq!(keys(&plan), ["mine", "ocid/container_type", "ocid/sandbox_id", "ocid/sandbox_name"]);
    let gone = ["app", "io.katacontainers.config.x/y", "io.kubernetes.cri-o.SandboxID", "run.oci.handler"];
    assert_eq!(plan.dropped, gone, "a dialect that it does not write is not its own");
}

#[test]
fn a_contradiction_that_is_dropped_too_counts_once() {
    let plan = dropping(&["io.kubernetes.cri-o.*"]).with("io.kubernetes.cri-o.SandboxID", "forged").plan();
    assert_eq!((plan.contradictions.len(), plan.dropped.len()), (1, 0));
}

#[test]
fn without_patterns_nothing_is_dropped_and_a_standalone_container_keeps_what_is_no_identity() {
    assert!(dropping(&[]).plan().dropped.is_empty());
    let mut case = dropping(&["*"]);
    case.role = Role::Standalone;
    let Verdict::Adjust(plan) = case.decide() else { panic!("cleaned") };
    assert!(plan.dropped.is_empty() && !plan.remove.contains("app"));
}
