//! Pods as controllers make them: what the engine made of their containers, and whether they work.

use super::holds::{assert_in_berth, assert_serves, assert_untouched};
use super::pod::Pod;
use super::scene::Scene;
use crate::rig::containerd::VM;
use crate::rig::provision::provision;

/// A Deployment of one pod with a server and a client; of this RuntimeClass, or of none.
fn deployment(name: &str, class: Option<&str>) -> String {
    let class = class.map(|class| format!("runtimeClassName: {class}")).unwrap_or_default();
    let image = &provision().image_busybox;
    format!(
        r#"apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      {class}
      containers:
      - name: server
        image: {image}
        command: [sh, -c, 'echo {name} serves; trap "exit 0" TERM; httpd -f -p 80 -h /www & wait']
        readinessProbe: {{httpGet: {{port: 80, path: /}}, periodSeconds: 1}}
      - name: client
        image: {image}
"#
    )
}

/// The pod of such a Deployment, ready.
pub(super) fn deploy(scene: &Scene<'_>, name: &str, class: Option<&str>) -> Pod {
    scene.apply(&deployment(name, class));
    scene.ready_pods(&format!("app={name}"), 1).remove(0)
}

/// Deletes the Deployment of this pod, and returns when the pod has gone.
#[track_caller]
pub(super) fn undeploy(scene: &Scene<'_>, name: &str, pod: &Pod) {
    scene.cluster.delete(&scene.object("deployment", name));
    scene.cluster.await_gone(&pod.object());
}

#[test]
fn a_deployments_pod_of_a_selected_class_is_in_berth_and_one_of_none_is_untouched() {
    let scene = Scene::with("plugin", "deployment");
    let selected = deploy(&scene, "selected", Some(VM));
    let plain = deploy(&scene, "plain", None);
    assert_in_berth(&scene, &selected);
    assert_untouched(&scene, &plain);
    assert_serves(&scene, &selected, "server", "selected serves");
    assert_serves(&scene, &plain, "server", "plain serves");
}

#[test]
fn without_berth_the_cluster_is_as_any_other() {
    let scene = Scene::bare("without");
    let pod = deploy(&scene, "web", Some(VM));
    assert_untouched(&scene, &pod);
    assert_serves(&scene, &pod, "server", "web serves");
}
