//! Pods as controllers make them: what the engine made of their containers, and whether they work.

use super::scene::Scene;

fn deployment(name: &str, class: &str) -> String {
    format!(
        "apiVersion: apps/v1
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
        image: localhost/berth/busybox:1
        command: [sh, -c, 'echo {name} serves; trap \"exit 0\" TERM; httpd -f -p 80 -h /www & wait']
"
    )
}

#[test]
fn a_plain_pod_works() {
    let scene = Scene::bare("plain");
    scene.apply(&deployment("web", ""));
    let pod = scene.ready_pods("app=web", 1).remove(0);
    assert_eq!(scene.logs(&pod, "server").as_deref(), Ok("web serves\n"));
    assert_eq!(scene.exec(&pod, "server", &["cat", "/www/index.html"]).as_deref(), Ok("berth\n"));
    assert_eq!(scene.cluster.node().fetch_from_node(&format!("http://{}/", pod.address)).as_deref(), Ok("berth\n"));
    let sandbox = pod.sandbox(scene.cluster);
    let server = pod.bundle(scene.cluster, "server");
    assert_eq!(server.netns(), sandbox.netns());
}
