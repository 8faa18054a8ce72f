//! What a test of the suite begins and ends with.

use serde_json::Value;

use super::berth::daemonset;
use super::cluster::{Cluster, Turn};
use super::kubectl::{Object, PATIENCE};
use super::pod::{Pod, statuses};
use crate::rig::wait::within;

/// A namespace of the test's own in a cluster. When it goes, the namespace and its pods have gone, and berth has nothing
/// left of them; the overlay stays for the next test. Of a test that fails it leaves a report.
#[derive(Debug)]
pub(crate) struct Scene<'cluster> {
    pub(crate) cluster: &'cluster Cluster,
    pub(crate) namespace: String,
    _turn: Option<Turn>,
}

impl Scene<'static> {
    /// In the cluster of this run, with nothing of berth in it.
    pub(crate) fn bare(test: &str) -> Self {
        let (cluster, turn) = Cluster::shared();
        let mut scene = Self::on(cluster, test);
        scene._turn = Some(turn);
        cluster.remove_overlay();
        scene
    }

    /// In the cluster of this run, with this overlay applied and ready.
    #[track_caller]
    pub(crate) fn with(overlay: &str, test: &str) -> Self {
        let (cluster, turn) = Cluster::shared();
        let mut scene = Self::on(cluster, test);
        scene._turn = Some(turn);
        cluster.apply_overlay(overlay);
        cluster.await_rollout(&daemonset());
        scene
    }
}

impl<'cluster> Scene<'cluster> {
    /// In a cluster of the test's own.
    pub(crate) fn on(cluster: &'cluster Cluster, test: &str) -> Self {
        let scene = Self { cluster, namespace: test.to_owned(), _turn: None };
        cluster.apply(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {test}}}}}"));
        // Pods without one are refused until its controller has made it.
        scene.await_object("the default service account", "serviceaccount", "default", |_| Some(()));
        scene
    }

    /// An object of the test's namespace.
    pub(crate) fn object(&self, kind: &str, name: &str) -> Object {
        Object::new(&self.namespace, kind, name)
    }

    /// Applies manifests of the test's namespace.
    #[track_caller]
    pub(crate) fn apply(&self, manifests: &str) {
        let done =
            self.cluster.kubectl_reading(manifests, &["apply", "--namespace", &self.namespace, "--filename", "-"]);
        done.unwrap_or_else(|e| panic!("{e}\nof:\n{manifests}"));
    }

    /// See [`Cluster::eventually`].
    #[track_caller]
    pub(crate) fn await_object<T>(&self, what: &str, kind: &str, name: &str, find: impl Fn(&Value) -> Option<T>) -> T {
        self.cluster.eventually(what, &self.object(kind, name), find)
    }

    /// The pod, when it is ready.
    #[track_caller]
    pub(crate) fn ready_pod(&self, name: &str) -> Pod {
        self.await_object(&format!("pod {name} is ready"), "pod", name, |pod| is_ready(pod).then(|| Pod::of(pod)))
    }

    /// The pod, when this container of it runs; an init or ephemeral container too.
    #[track_caller]
    pub(crate) fn pod_running(&self, name: &str, container: &str) -> Pod {
        let what = format!("container {container} of pod {name} runs");
        self.await_object(&what, "pod", name, |pod| is_running(pod, container).then(|| Pod::of(pod)))
    }

    /// The pods with these labels, when there are `count` and all are ready.
    #[track_caller]
    pub(crate) fn ready_pods(&self, selector: &str, count: usize) -> Vec<Pod> {
        let pods = Object::labelled(&self.namespace, "pods", selector);
        self.cluster.eventually(&format!("{count} pods of {selector} are ready"), &pods, |list| {
            let pods = list["items"].as_array()?;
            (pods.len() == count && pods.iter().all(is_ready)).then(|| pods.iter().map(Pod::of).collect())
        })
    }

    /// Runs a command in a container by `kubectl exec`; what it printed, or how it failed.
    pub(crate) fn exec(&self, pod: &Pod, container: &str, command: &[&str]) -> Result<String, String> {
        let words = ["exec", "--namespace", &pod.namespace, &pod.name, "--container", container, "--"];
        self.cluster.kubectl(&[&words, command].concat())
    }

    /// What a container has printed, by `kubectl logs`.
    pub(crate) fn logs(&self, pod: &Pod, container: &str) -> Result<String, String> {
        self.cluster.kubectl(&["logs", "--namespace", &pod.namespace, &pod.name, "--container", container])
    }

    /// The pods are gone, and berth has nothing of them.
    #[track_caller]
    fn leave(&self) {
        self.cluster.delete(&Object::of_cluster("namespace", &self.namespace));
        let node = self.cluster.node();
        let gone = within(PATIENCE, || node.left_of_pods().is_empty().then_some(()));
        assert!(gone.is_some(), "still there {PATIENCE:?} after the last pod: {:?}", node.left_of_pods());
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.cluster.report(&self.namespace);
            // The next test begins without its pods; what is wrong with berth is said already.
            let namespace = Object::of_cluster("namespace", &self.namespace);
            if let Err(e) = self.cluster.kubectl(&namespace.after(&["delete", "--wait", "--timeout=30s"])) {
                eprintln!("{e}");
            }
        } else {
            self.leave();
        }
    }
}

/// The container's state `running`.
fn is_running(pod: &Value, container: &str) -> bool {
    let mut statuses = statuses(pod);
    statuses.any(|status| status["name"] == container && status["state"]["running"].is_object())
}

/// The pod's condition `Ready`.
pub(crate) fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions.into_iter().flatten().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}
