//! Nodes whose engine refuses containers while berth is away: NRI's default validator, which containerd has from 2.2 on.

mod boot;
mod host;
mod named;

use serde_json::{Value, json};

use super::cluster::Cluster;
use super::kubectl::Object;
use super::local::Settings;
use crate::rig::IDLE;
use crate::rig::provision::provision;

/// What the validator says of a container whose plugin is away.
const AWAY: &str = r#"required plugin "berth" not present"#;

/// By this the manifests of berth let its own containers through, if the engine's configuration names it.
const TOLERATE: &str = "tolerate-missing-nri-plugins.noderesource.dev";

/// The validator is on, and holds pods to what they themselves require.
fn validating(usual: String) -> String {
    usual + "\n[plugins.'io.containerd.nri.v1.nri'.default_validator]\n  enable = true\n"
}

/// The same, and berth is required of every container but those of pods that tolerate.
fn requiring(usual: String) -> String {
    let tolerating = format!("  tolerate_missing_plugins_annotation = '{TOLERATE}'\n");
    validating(usual) + "  required_plugins = ['berth']\n" + &tolerating
}

/// A pod whose container idles, of this RuntimeClass and with this annotation, or without.
fn pod(name: &str, class: Option<&str>, annotation: Option<(&str, &str)>) -> Value {
    let annotations: serde_json::Map<_, _> =
        annotation.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
    let container = json!({"name": "main", "image": provision().image_busybox, "command": ["sh", "-c", IDLE]});
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"runtimeClassName": class, "containers": [container], "terminationGracePeriodSeconds": 5},
    })
}

/// What the cluster has of a pod that the node has from a file.
fn mirror(name: &str) -> Object {
    Object::new("default", "pod", &format!("{name}-node"))
}

/// A cluster whose engine requires berth from its first start, and these static pods with it: one that tolerates that
/// berth is away, on the node's network as those of a control plane are, and one of this RuntimeClass that does not.
fn requiring_cluster(class: &str) -> Cluster {
    let mut tolerant = pod("tolerant", None, Some((TOLERATE, "true")));
    tolerant["spec"]["hostNetwork"] = true.into();
    let strict = pod("strict", Some(class), None);
    let file = |name: &str, pod: &Value| (format!("{name}.json"), pod.to_string());
    let static_pods = vec![file("tolerant", &tolerant), file("strict", &strict)];
    Cluster::own(&Settings { containerd: requiring, static_pods, ..Settings::default() })
}

/// Why the pod's container was not created, if it was not: what its status says.
fn refusal(pod: &Value) -> Option<&str> {
    let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
    (waiting["reason"] == "CreateContainerError").then(|| waiting["message"].as_str())?
}

/// The pod's container is refused because berth is away, and `kubectl describe` says so.
#[track_caller]
fn assert_refused(cluster: &Cluster, pod: &Object) {
    cluster.eventually("the container is refused", pod, |pod| {
        refusal(pod).filter(|message| message.contains(AWAY)).map(|_| ())
    });
    let described = cluster.kubectl(&pod.after(&["describe"])).expect("the pod is there");
    assert!(described.contains(AWAY), "{described}");
    assert!(described.contains("CreateContainerError"), "{described}");
}
