//! berth in a cluster: its overlays, its DaemonSet, and what it says of itself.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::PoisonError;

use serde_json::Value;

use super::cluster::Cluster;
use super::kubectl::Object;
use super::pod::Pod;

/// The namespace that the overlays put berth into.
pub(crate) const NAMESPACE: &str = "berth-system";

/// The labels of its pods.
pub(crate) const SELECTOR: &str = "app.kubernetes.io/name=berth";

impl Cluster {
    /// What berth on the node answers to `GET` of a path: the status and the body. None if nobody answers.
    pub(crate) fn health(&self, path: &str) -> Option<(u16, String)> {
        let mut ask = self.node().in_network("busybox");
        let ask = ask.args(["nc", "-w", "5", "127.0.0.1", "9464"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut nc = ask.stderr(Stdio::null()).spawn().expect("nsenter (util-linux) runs");
        let mut stdin = nc.stdin.take().expect("stdin is piped");
        // Where nobody listens it has ended by now.
        let asked = write!(stdin, "GET {path} HTTP/1.1\r\nHost: berth\r\nConnection: close\r\n\r\n");
        let answer = nc.wait_with_output().expect("wait for nc").stdout;
        asked.ok()?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// berth's pods that are not about to end, as the API server has them.
    pub(crate) fn berths(&self) -> Vec<Value> {
        let pods = self.items(&Object::labelled(NAMESPACE, "pods", SELECTOR));
        pods.into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null()).collect()
    }

    /// The only berth there is, which has been started.
    #[track_caller]
    pub(crate) fn berth(&self) -> Pod {
        let pods = self.berths();
        assert_eq!(pods.len(), 1, "not one berth but {pods:?}");
        Pod::of(&pods[0])
    }

    /// Applies an overlay of `manifests/overlays`; another one that was applied before is removed first.
    #[track_caller]
    pub(crate) fn apply_overlay(&self, overlay: &str) {
        let mut applied = self.overlay.lock().unwrap_or_else(PoisonError::into_inner);
        // One that a failed test has left is not known here.
        if applied.as_deref() != Some(overlay) {
            self.delete(&Object::of_cluster("namespace", NAMESPACE));
        }
        self.apply_directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/overlays").join(overlay));
        *applied = Some(overlay.to_owned());
    }

    /// Removes the namespace that overlays put berth into, with everything in it.
    #[track_caller]
    pub(crate) fn remove_overlay(&self) {
        let mut applied = self.overlay.lock().unwrap_or_else(PoisonError::into_inner);
        self.delete(&Object::of_cluster("namespace", NAMESPACE));
        *applied = None;
    }
}

/// berth's DaemonSet.
pub(crate) fn daemonset() -> Object {
    Object::new(NAMESPACE, "daemonset", "berth")
}
