//! Authors who write identity into their pods, on an engine that lets everything through.

use serde_json::json;

use super::cluster::Cluster;
use super::holds::{assert_in_berth, assert_sandbox_in_berth, assert_serves};
use super::local::Settings;
use super::scene::Scene;
use super::shape::{idle, server, template};
use crate::rig::containerd::{VM, WRAPPED};

const FORGED: [(&str, &str); 9] = [
    ("ocid/container_type", "sandbox"),
    ("ocid/sandbox_name", "another"),
    ("ocid/sandbox_id", "0123456789abcdef"),
    ("io.kubernetes.cri.container-type", "sandbox"),
    ("io.kubernetes.cri.sandbox-id", "0123456789abcdef"),
    ("io.kubernetes.cri.sandbox-name", "another"),
    ("io.kubernetes.cri-o.ContainerType", "sandbox"),
    ("io.kubernetes.cri-o.SandboxID", "0123456789abcdef"),
    ("example.com/mine", "stays"),
];

/// As those write it who need one annotation and do not list it. A `*` of containerd's stands for no slash.
fn lets_all_through(usual: String) -> String {
    [VM, WRAPPED].into_iter().fold(usual, |config, handler| {
        let table = format!("containerd.runtimes.{handler}]\n");
        assert!(config.contains(&table), "the usual configuration has {handler}:\n{config}");
        config.replace(
            &table,
            &format!("{table}  pod_annotations = ['*', '*/*']\n  container_annotations = ['*', '*/*']\n"),
        )
    })
}

#[test]
fn forged_identity_is_put_right_in_every_container() {
    let cluster = Cluster::own(&Settings { containerd: lets_all_through, ..Settings::default() });
    let scene = Scene::on(&cluster, "forged");
    cluster.apply_overlay("plugin");
    cluster.await_rollout(&super::berth::daemonset());
    for class in [VM, WRAPPED] {
        let spec = json!({"containers": [server("server", "mine"), idle("client")]});
        let mut template = template(class, class, &spec);
        for (key, value) in FORGED {
            template["metadata"]["annotations"][key] = value.into();
            template["metadata"]["labels"][key] = value.into();
        }
        let deployment = json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": class},
            "spec": {"selector": {"matchLabels": {"app": class}}, "template": template},
        });
        scene.apply(&deployment.to_string());
        let pod = scene.ready_pods(&format!("app={class}"), 1).remove(0);
        assert_in_berth(&scene, &pod);
        let sandbox = pod.sandbox(&cluster);
        if class == WRAPPED {
            assert_sandbox_in_berth(&scene, &pod);
        }
        for container in pod.containers.keys() {
            let annotations = pod.bundle(&cluster, container).annotations();
            let forged = FORGED.iter().filter(|(key, _)| key.starts_with("io.kubernetes.cri-o."));
            let left: Vec<_> = forged.filter(|(key, _)| annotations.contains_key(*key)).collect();
            assert!(left.is_empty(), "{container} of {class} has {left:?}");
            assert_eq!(
                annotations.get("example.com/mine").map(String::as_str),
                Some("stays"),
                "{container} of {class}"
            );
        }
        // That the engine does let it through is seen where nobody puts it right: in a sandbox that no interposer made.
        let claims = sandbox.annotations().get("ocid/sandbox_name").cloned();
        assert_eq!(claims.as_deref(), Some(if class == VM { "another" } else { &*pod.name }));
        assert_serves(&scene, &pod, "server", "mine");
    }
    let (_, metrics) = cluster.health("/metrics").expect("berth answers");
    for door in ["nri", "interpose"] {
        let none = format!("berth_identity_contradictions_total{{door=\"{door}\"}} 0\n");
        assert!(metrics.contains(&none[..none.len() - 2]) && !metrics.contains(&none), "{door}:\n{metrics}");
    }
}
