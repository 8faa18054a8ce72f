//! What tests say to the cluster, by kubectl: data in, data out.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::cluster::Cluster;

/// What anything in a cluster may take on a busy machine: images are there, but pods come up one by one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// A question costs a process.
const POLL: Duration = Duration::from_millis(150);

/// One object of the cluster, or several: what comes after `kubectl get`.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    args: Vec<String>,
}

impl Object {
    /// An object in a namespace: `pod`, `daemonset`, ...
    pub(crate) fn new(namespace: &str, kind: &str, name: &str) -> Self {
        Self { args: ["--namespace", namespace, kind, name].map(str::to_owned).to_vec() }
    }

    /// All objects of a kind in a namespace that have these labels.
    pub(crate) fn labelled(namespace: &str, kind: &str, selector: &str) -> Self {
        Self { args: ["--namespace", namespace, kind, "--selector", selector].map(str::to_owned).to_vec() }
    }

    /// All objects of a kind in a namespace.
    pub(crate) fn all(namespace: &str, kind: &str) -> Self {
        Self { args: ["--namespace", namespace, kind].map(str::to_owned).to_vec() }
    }

    /// An object without a namespace.
    pub(crate) fn of_cluster(kind: &str, name: &str) -> Self {
        Self { args: [kind, name].map(str::to_owned).to_vec() }
    }

    pub(super) fn namespace(&self) -> Option<&str> {
        let at = self.args.iter().position(|word| word == "--namespace")?;
        self.args.get(at + 1).map(String::as_str)
    }

    /// The words of a command of kubectl that is about it.
    pub(super) fn after<'a>(&'a self, words: &[&'a str]) -> Vec<&'a str> {
        words.iter().copied().chain(self.args.iter().map(String::as_str)).collect()
    }
}

impl Cluster {
    /// Runs kubectl; what it printed, or how it failed.
    pub(crate) fn kubectl(&self, args: &[&str]) -> Result<String, String> {
        self.kubectl_reading("", args)
    }

    /// The same with this on its standard input.
    pub(crate) fn kubectl_reading(&self, input: &str, args: &[&str]) -> Result<String, String> {
        let mut command = self.provider().kubectl();
        let command = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut kubectl = command.spawn().expect("kubectl runs");
        let mut stdin = kubectl.stdin.take().expect("stdin is piped");
        // It may end without having read it; what it says then is the reason.
        let written = stdin.write_all(input.as_bytes());
        drop(stdin);
        let done = kubectl.wait_with_output().expect("wait for kubectl");
        let [out, err] = [done.stdout, done.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        if done.status.success() {
            written.expect("kubectl reads its input");
            Ok(out)
        } else {
            Err(format!("kubectl {}: {}: {out}{err}", args.join(" "), done.status))
        }
    }

    /// Applies manifests, as YAML or JSON.
    #[track_caller]
    pub(crate) fn apply(&self, manifests: &str) {
        let done = self.kubectl_reading(manifests, &["apply", "--filename", "-"]);
        done.unwrap_or_else(|e| panic!("{e}\nof:\n{manifests}"));
    }

    /// Applies what kustomize makes of a directory.
    #[track_caller]
    pub(crate) fn apply_directory(&self, directory: &Path) {
        let directory = directory.to_str().expect("a path that is text");
        self.kubectl(&["apply", "--kustomize", directory]).unwrap_or_else(|e| panic!("{e}"));
    }

    /// Deletes an object and returns when it is gone; one that is not there is gone.
    #[track_caller]
    pub(crate) fn delete(&self, object: &Object) {
        let limit = format!("--timeout={}s", PATIENCE.as_secs());
        let done = self.kubectl(&object.after(&["delete", "--ignore-not-found", "--wait", &limit]));
        done.unwrap_or_else(|e| panic!("{e}\n{}", self.about(object)));
    }

    /// Returns when an object has gone that somebody else deletes; or all of several.
    #[track_caller]
    pub(crate) fn await_gone(&self, object: &Object) {
        let limit = format!("--timeout={}s", PATIENCE.as_secs());
        let done = self.kubectl(&object.after(&["wait", "--for=delete", &limit]));
        done.unwrap_or_else(|e| panic!("{e}\n{}", self.about(object)));
    }

    /// The object as it is, or the list; none if the API server does not have it.
    pub(crate) fn get(&self, object: &Object) -> Option<Value> {
        let answer = self.kubectl(&object.after(&["get", "--output=json", "--ignore-not-found"]));
        let text = answer.unwrap_or_else(|e| panic!("{e}"));
        if text.trim().is_empty() { None } else { Some(serde_json::from_str(&text).expect("kubectl prints JSON")) }
    }

    /// The objects of a list; none where there is none, for which kubectl prints nothing.
    pub(crate) fn items(&self, list: &Object) -> Vec<Value> {
        self.get(list).and_then(|list| list["items"].as_array().cloned()).unwrap_or_default()
    }

    /// What `find` finds in an object, waited for; panics with what is known of the object when that took too long.
    #[track_caller]
    pub(crate) fn eventually<T>(&self, what: &str, object: &Object, find: impl Fn(&Value) -> Option<T>) -> T {
        self.eventually_within(PATIENCE, what, object, find)
    }

    /// The same for what takes another time.
    #[track_caller]
    pub(crate) fn eventually_within<T>(
        &self,
        patience: Duration,
        what: &str,
        object: &Object,
        find: impl Fn(&Value) -> Option<T>,
    ) -> T {
        let end = Instant::now() + patience;
        loop {
            if let Some(found) = self.get(object).as_ref().and_then(&find) {
                return found;
            }
            assert!(Instant::now() < end, "waited {patience:?} in vain: {what}\n{}", self.about(object));
            std::thread::sleep(POLL);
        }
    }

    /// A DaemonSet, Deployment or StatefulSet has rolled out: all its pods are ready and none is of an earlier template.
    #[track_caller]
    pub(crate) fn await_rollout(&self, object: &Object) {
        let limit = format!("--timeout={}s", PATIENCE.as_secs());
        let done = self.kubectl(&object.after(&["rollout", "status", &limit]));
        done.unwrap_or_else(|e| panic!("{e}\n{}", self.about(object)));
    }
}
