//! Pods that require berth themselves, where nobody else does.

use super::super::cluster::Cluster;
use super::super::holds::{assert_in_berth, assert_untouched};
use super::super::local::Settings;
use super::super::scene::Scene;
use super::{assert_refused, pod, refusal, validating};
use crate::rig::containerd::VM;

/// On a pod or, behind a slash, on one of its containers: plugins that are to be there, as a list in YAML.
const REQUIRED: &str = "required-plugins.noderesource.dev";

#[test]
fn a_pod_that_requires_berth_is_refused_without_it_and_runs_with_it() {
    let cluster = Cluster::own(&Settings { containerd: validating, ..Settings::default() });
    let scene = Scene::on(&cluster, "named");
    let by_container = format!("{REQUIRED}/container.main");
    for (name, class, annotation) in [
        ("plain", None, None),
        ("selected", Some(VM), None),
        ("by-name", Some(VM), Some((REQUIRED, "[berth]"))),
        ("by-index", Some(VM), Some((&*by_container, r#"["90-berth"]"#))),
        ("other-index", Some(VM), Some((REQUIRED, "[10-berth]"))),
        ("not-selected", None, Some((REQUIRED, "[berth]"))),
    ] {
        scene.apply(&pod(name, class, annotation).to_string());
    }
    for name in ["plain", "selected"] {
        assert_untouched(&scene, &scene.ready_pod(name));
    }
    for name in ["by-name", "not-selected"] {
        assert_refused(&cluster, &scene.object("pod", name));
    }
    for (name, missing) in [("by-index", r#""90-berth" not present"#), ("other-index", r#""10-berth" not present"#)] {
        scene.await_object(&format!("{name} is refused"), "pod", name, |pod| {
            refusal(pod).filter(|message| message.contains(missing)).map(|_| ())
        });
    }

    cluster.apply_overlay("plugin");
    cluster.await_rollout(&super::super::berth::daemonset());
    for name in ["by-name", "by-index"] {
        assert_in_berth(&scene, &scene.ready_pod(name));
    }
    assert_untouched(&scene, &scene.ready_pod("not-selected"));
    let other = cluster.get(&scene.object("pod", "other-index")).expect("the pod is there");
    assert!(refusal(&other).is_some_and(|message| message.contains("10-berth")), "{other:#}");

    cluster.remove_overlay();
    scene.apply(&pod("late", Some(VM), Some((REQUIRED, "[berth]"))).to_string());
    assert_refused(&cluster, &scene.object("pod", "late"));
    assert_in_berth(&scene, &scene.ready_pod("by-name"));
    // What stays of it goes with the next berth.
    cluster.apply_overlay("plugin");
    assert_in_berth(&scene, &scene.ready_pod("late"));
}
