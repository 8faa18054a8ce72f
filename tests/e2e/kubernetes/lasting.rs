//! Pods that are there while something happens to berth or to the engine.

use super::holds::{assert_in_berth, assert_serves};
use super::kubectl::PATIENCE;
use super::pod::Pod;
use super::scene::Scene;
use crate::rig::containerd::VM;
use crate::rig::provision::provision;
use crate::rig::read::NetnsId;
use crate::rig::wait::within;
use crate::rig::{IDLE, SERVE};

/// The pod's only container.
pub(crate) const SERVER: &str = "server";

/// A server as a pod of its own, of a selected class; as it was when it came up.
#[derive(Debug)]
pub(crate) struct Lasting {
    pub(crate) pod: Pod,
    pub(crate) sandbox: String,
    pin: NetnsId,
}

impl Lasting {
    /// One that is ready, and in berth.
    #[track_caller]
    pub(crate) fn start(scene: &Scene<'_>, name: &str) -> Self {
        let pod = serve(scene, name, VM);
        assert_in_berth(scene, &pod);
        let sandbox = pod.sandbox(scene.cluster).id;
        let pin = scene.cluster.node().pin(&sandbox).expect("a pod in berth is pinned");
        Self { pod, sandbox, pin }
    }

    /// It runs as it was started, with the same pin, and serves.
    #[track_caller]
    pub(crate) fn assert_undisturbed(&self, scene: &Scene<'_>) {
        let now = scene.ready_pod(&self.pod.name);
        assert_eq!((&now.uid, &now.containers), (&self.pod.uid, &self.pod.containers), "another pod, or a restart");
        assert_eq!(scene.cluster.node().pin(&self.sandbox), Some(self.pin), "the pin of {}", now.name);
        assert_in_berth(scene, &now);
        assert_serves(scene, &now, SERVER, &format!("{} serves", now.name));
    }

    /// Deletes it; after that, and nothing else, berth has nothing of it.
    #[track_caller]
    pub(crate) fn assert_leaves_nothing(&self, scene: &Scene<'_>) {
        scene.cluster.delete(&self.pod.object());
        assert_nothing_left_of(scene, &self.sandbox);
    }
}

/// A pod of one server, of this RuntimeClass; ready.
#[track_caller]
pub(crate) fn serve(scene: &Scene<'_>, name: &str, class: &str) -> Pod {
    let image = &provision().image_busybox;
    scene.apply(&format!(
        r#"apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  runtimeClassName: {class}
  containers:
  - name: {SERVER}
    image: {image}
    command: [sh, -c, "echo {name} serves; {SERVE}"]
    readinessProbe: {{httpGet: {{port: 80, path: /}}, periodSeconds: 1}}
"#
    ));
    scene.ready_pod(name)
}

/// The only container of [`idle_pods`].
pub(crate) const IDLER: &str = "main";

/// Pods of one container each that does nothing, of a selected class, with the label `app` of this name.
pub(crate) fn idle_pods(app: &str, number: usize) -> String {
    let image = &provision().image_busybox;
    let pod = |number| {
        format!(
            r#"apiVersion: v1
kind: Pod
metadata: {{name: {app}-{number}, labels: {{app: {app}}}}}
spec:
  runtimeClassName: {VM}
  terminationGracePeriodSeconds: 2
  containers:
  - name: {IDLER}
    image: {image}
    command: [sh, -c, "{IDLE}"]
---
"#
        )
    };
    (0..number).map(pod).collect()
}

/// Within the suite's patience berth has nothing of the sandbox.
#[track_caller]
pub(crate) fn assert_nothing_left_of(scene: &Scene<'_>, sandbox: &str) {
    let left = || {
        let all = scene.cluster.node().left_of_pods();
        all.into_iter().filter(|path| path.contains(sandbox)).collect::<Vec<_>>()
    };
    let gone = within(PATIENCE, || left().is_empty().then_some(()));
    assert!(gone.is_some(), "still there: {:?}", left());
}
