//! Pods of every kind that Kubernetes has, of a selected RuntimeClass: each of their containers is in berth.

use serde_json::json;

use super::holds::{assert_container_in_berth, assert_in_berth, assert_serves, assert_unpinned};
use super::kubectl::Object;
use super::pod::Pod;
use super::scene::{Scene, is_ready};
use super::shape::{LET_GO, container, held, idle, pod, server, template};
use crate::rig::containerd::VM;
use crate::rig::provision::provision;

/// Lets a container go that waits for it.
#[track_caller]
fn let_go(scene: &Scene<'_>, pod: &Pod, container: &str) {
    scene.exec(pod, container, &["touch", LET_GO]).expect("kubectl exec");
}

#[test]
fn a_pod_of_a_statefulset_is_in_berth_and_so_is_the_next_one_of_its_name() {
    let scene = Scene::with("plugin", "statefulset");
    let spec = json!({"containers": [server("server", "here"), idle("client")]});
    scene.apply(
        &json!({
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "db"},
            "spec": {"selector": {"matchLabels": {"app": "db"}}, "template": template("db", VM, &spec)},
        })
        .to_string(),
    );
    let first = scene.ready_pod("db-0");
    assert_in_berth(&scene, &first);
    assert_serves(&scene, &first, "server", "here");

    scene.cluster.delete(&first.object());
    let next = scene.await_object("the next pod is ready", "pod", "db-0", |pod| {
        is_ready(pod).then(|| Pod::of(pod)).filter(|pod| pod.uid != first.uid)
    });
    assert_in_berth(&scene, &next);
    assert_serves(&scene, &next, "server", "here");
}

#[test]
fn a_job_is_in_berth_while_it_runs_and_completes() {
    let scene = Scene::with("plugin", "job");
    let spec = json!({"restartPolicy": "Never", "containers": [held("work", "at work")]});
    scene.apply(
        &json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": "once"},
            "spec": {"backoffLimit": 0, "template": template("once", VM, &spec)},
        })
        .to_string(),
    );
    let pod = scene.ready_pods("app=once", 1).remove(0);
    assert_in_berth(&scene, &pod);
    let_go(&scene, &pod, "work");
    scene.await_object("the Job completes", "job", "once", |job| (job["status"]["succeeded"] == 1).then_some(()));
    assert_eq!(scene.logs(&pod, "work"), Ok("at work\n".to_owned()));
}

#[test]
fn init_containers_sidecars_and_debug_containers_are_in_berth() {
    let scene = Scene::with("plugin", "containers");
    let mut sidecar = server("sidecar", "beside");
    sidecar["restartPolicy"] = "Always".into();
    let spec = json!({"initContainers": [held("init", "first"), sidecar], "containers": [idle("main")]});
    scene.apply(&pod("all", VM, &spec).to_string());

    let begun = scene.pod_running("all", "init");
    assert_eq!(begun.containers.len(), 1, "more than the first container has been made: {begun:?}");
    assert_in_berth(&scene, &begun);
    assert_eq!(scene.logs(&begun, "init"), Ok("first\n".to_owned()));
    let_go(&scene, &begun, "init");

    let ready = scene.ready_pod("all");
    for container in ["sidecar", "main"] {
        assert_container_in_berth(&scene, &ready, container);
    }
    assert_serves(&scene, &ready, "sidecar", "beside");

    let image = format!("--image={}", provision().image_busybox);
    let debug = ["debug", "--namespace", &scene.namespace, "all", &image, "--container=debug", "--profile=general"];
    let serve_nothing = ["--", "sh", "-c", crate::rig::IDLE];
    scene.cluster.kubectl(&[&debug[..], &serve_nothing].concat()).expect("kubectl debug");
    let debugged = scene.pod_running("all", "debug");
    assert_container_in_berth(&scene, &debugged, "debug");
    let page = scene.exec(&debugged, "debug", &["wget", "-q", "-O", "-", "http://127.0.0.1/"]);
    assert_eq!(page.as_deref(), Ok("berth\n"), "the debug container is not beside the pod's server");
}

#[test]
fn a_pod_of_the_nodes_network_gets_identity_and_is_never_pinned() {
    let scene = Scene::with("plugin", "hostnetwork");
    let spec =
        json!({"hostNetwork": true, "containers": [container("main", &format!("echo here; {}", crate::rig::IDLE))]});
    scene.apply(&pod("host", VM, &spec).to_string());
    let pod = scene.ready_pod("host");
    assert_unpinned(&scene, &pod);
    let sandbox = pod.sandbox(scene.cluster);
    assert_eq!(sandbox.netns(), scene.cluster.node().netns_of_node());
    let left = scene.cluster.node().left_of_pods().into_iter().filter(|path| path.contains(&sandbox.id));
    assert_eq!(left.collect::<Vec<_>>(), Vec::<String>::new());
    assert_eq!(scene.exec(&pod, "main", &["echo", "said"]).as_deref(), Ok("said\n"));
    assert_eq!(scene.logs(&pod, "main").as_deref(), Ok("here\n"));
}

/// A file of the kubelet's, which goes with this value.
struct StaticPod<'scene, 'cluster> {
    scene: &'scene Scene<'cluster>,
    file: String,
}

impl<'scene, 'cluster> StaticPod<'scene, 'cluster> {
    /// Has the kubelet run it. It is in the test's namespace.
    fn put(scene: &'scene Scene<'cluster>, name: &str, class: &str, spec: &serde_json::Value) -> Self {
        let mut manifest = pod(name, class, spec);
        manifest["metadata"]["namespace"] = scene.namespace.as_str().into();
        let file = format!("/etc/kubernetes/manifests/{name}.json");
        scene.cluster.node().write(&file, &manifest.to_string());
        Self { scene, file }
    }
}

impl Drop for StaticPod<'_, '_> {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_file(self.scene.cluster.node().path(&self.file)) {
            eprintln!("remove {}: {e}", self.file);
        }
    }
}

#[test]
fn a_static_pod_is_in_berth_under_the_id_that_the_kubelet_gave_it() {
    let scene = Scene::with("plugin", "static");
    let spec = json!({"containers": [server("server", "of the node"), idle("client")]});
    let file = StaticPod::put(&scene, "static", VM, &spec);
    // The API server's mirror of it has the node's name in its own, and an id of its own.
    let pods = Object::all(&scene.namespace, "pods");
    let (pod, uid_of_mirror) = scene.cluster.eventually("the static pod is ready", &pods, |list| {
        let mirror = list["items"].as_array()?.first()?;
        is_ready(mirror).then(|| (Pod::of(mirror), mirror["metadata"]["uid"].clone()))
    });
    assert_ne!(uid_of_mirror, pod.uid);
    assert_in_berth(&scene, &pod);
    assert_serves(&scene, &pod, "server", "of the node");
    drop(file);
}
