//! The overlay `host`, and the Job that takes it away again, as a cluster's administrator applies them.

use std::path::{Path, PathBuf};

use super::berth::{NAMESPACE, daemonset};
use super::cluster::Cluster;
use super::holds::assert_in_berth;
use super::kubectl::Object;
use super::scene::{Scene, is_ready};
use crate::rig::containerd::VM;
use crate::rig::provision::provision;

/// The wrapped handler, and its RuntimeClass.
const NEW: &str = "vm-berth";

/// A kustomization on top of one of the repository's, as a user has it.
fn on_top(of: &str, rest: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("kustomize-{}-host", std::process::id()));
    std::fs::create_dir_all(&directory).expect("make a directory");
    // kustomize takes no absolute paths.
    let up = "../".repeat(directory.components().count() - 1);
    let base = format!("{up}{}/manifests/{of}", env!("CARGO_MANIFEST_DIR").trim_start_matches('/'));
    std::fs::write(directory.join("kustomization.yaml"), format!("resources: ['{base}']\n{rest}")).expect("write");
    directory
}

/// What the Job's loop applies for the node: the kustomization with the node in it.
fn uninstall(cluster: &Cluster) {
    let list = cluster.kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.uid} {.items[0].metadata.name}"]);
    let list = list.expect("there is a node");
    let (uid, node) = list.split_once(' ').expect("uid and name");
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/uninstall");
    let manifests = cluster.kubectl(&["kustomize", directory.to_str().expect("text")]).expect("it renders");
    cluster.apply(&manifests.replace("node-uid", uid).replace("node-name", node));
}

/// The Job's pods, newest last: their phase, and what `kubectl describe` shows of how they ended.
fn tries(cluster: &Cluster) -> Vec<(String, String)> {
    let pods = Object::labelled(NAMESPACE, "pods", "app.kubernetes.io/component=uninstall");
    let list = cluster.get(&pods).expect("a list");
    let mut items = list["items"].as_array().cloned().unwrap_or_default();
    items.sort_by_key(|pod| pod["metadata"]["creationTimestamp"].as_str().unwrap_or_default().to_owned());
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    items
        .iter()
        .map(|pod| {
            let ended = &pod["status"]["containerStatuses"][0]["state"]["terminated"];
            (text(&pod["status"]["phase"]), text(&ended["message"]))
        })
        .collect()
}

#[track_caller]
fn await_try(cluster: &Cluster, phase: &str, says: &str) {
    let jobs = Object::labelled(NAMESPACE, "jobs", "app.kubernetes.io/component=uninstall");
    cluster.eventually(&format!("a try has {phase}, saying {says:?}"), &jobs, |_| {
        tries(cluster).iter().any(|(found, message)| found == phase && message.contains(says)).then_some(())
    });
}

fn remove_jobs(cluster: &Cluster) {
    cluster.delete(&Object::labelled(NAMESPACE, "jobs", "app.kubernetes.io/component=uninstall"));
}

fn is_there(cluster: &Cluster, path: &str) -> bool {
    std::fs::symlink_metadata(cluster.node().path(path)).is_ok()
}

#[test]
fn the_overlay_host_puts_berth_on_the_node_and_its_job_takes_it_away() {
    let scene = Scene::bare("host");
    let cluster = scene.cluster;
    let paths =
        ["/usr/local/bin/berth", "/usr/local/lib/berth", "/etc/berth/config.yaml", "/var/lib/berth/install.json"];
    assert!(paths.iter().all(|path| !is_there(cluster, path)));

    let handler = format!(
        "patches:\n- target: {{kind: DaemonSet, name: berth}}\n  patch: |-\n    - {{op: add, path: /spec/template/spec/containers/0/args/-, value: --handler={VM}}}\n"
    );
    cluster.apply_directory(&on_top("overlays/host", &handler));
    let body = cluster.eventually("the installer waits for the engine's restart", &daemonset(), |_| {
        cluster
            .health("/readyz")
            .filter(|(status, body)| *status == 503 && body.contains("does not know"))
            .map(|page| page.1)
    });
    assert!(body.contains("restart containerd on this node"), "{body}");
    assert!(paths.iter().all(|path| is_there(cluster, path)), "{body}");
    let pod = cluster.get(&cluster.berth().object()).expect("the installer's pod");
    assert!(!is_ready(&pod));
    cluster.restart_engine();
    cluster.await_rollout(&daemonset());

    cluster.apply(&format!(
        "{{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {{name: {NEW}}}, handler: {NEW}}}"
    ));
    let image = &provision().image_busybox;
    scene.apply(&format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: web}}, spec: {{runtimeClassName: {NEW}, terminationGracePeriodSeconds: 0, containers: [{{name: main, image: {image}, command: [sleep, '3600']}}]}}}}"
    ));
    assert_in_berth(&scene, &scene.ready_pod("web"));

    // In the wrong order, and too early.
    uninstall(cluster);
    await_try(cluster, "Failed", "delete its DaemonSet");
    remove_jobs(cluster);
    cluster.delete(&daemonset());
    assert_in_berth(&scene, &scene.ready_pod("web"));
    uninstall(cluster);
    await_try(cluster, "Failed", "host/web (vm-berth)");
    cluster.delete(&scene.object("pod", "web"));
    cluster.node().run("/usr/local/bin/berth", &["gc"]).expect("clear up");
    // Without the component the engine's restart is somebody's decision.
    await_try(cluster, "Failed", "restart containerd (containerd), then run this again");
    cluster.restart_engine();
    await_try(cluster, "Succeeded", "");
    assert!(paths.iter().all(|path| !is_there(cluster, path)));
    cluster.delete(&Object::of_cluster("runtimeclass", NEW));
    remove_jobs(cluster);
    cluster.delete(&Object::of_cluster("namespace", NAMESPACE));
}
