//! Who still needs an interposer: pods of its handler, by the engine's word and by the bundles that are left.

use super::cri;
use super::record::{Handler, Record};
use crate::engine::{Engine, Host, Kind};
use crate::fsutil::FileError;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long the engine is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where containerd has the bundles of its tasks, below its state directory, by namespace and id.
const TASKS: &str = "io.containerd.runtime.v2.task";
/// Where the containers of CRI-O have theirs, below a directory for the storage driver.
const STORAGE: &str = "/run/containers/storage";

/// The pods that were made through a handler of the record, or still have a bundle that leads through its interposer;
/// each with its handler, by namespace and name, or by its id where that is all that is known.
///
/// The engine is asked if it answers. Whether or not it does, bundles count: containerd uses the path in them when it
/// starts and cleans up.
///
/// # Errors
/// A directory of bundles cannot be read.
pub(super) fn pods(host: &Host, engine: &Engine, state: &Path, record: &Record) -> Result<Vec<String>, FileError> {
    let mut found = BTreeMap::new();
    let socket = host.path(&engine.socket).map_err(FileError::new("look at", &engine.socket))?;
    for pod in cri::pods(&socket, PATIENCE).unwrap_or_default() {
        if record.handlers.iter().any(|handler| handler.name == pod.handler) {
            found.insert(pod.id, format!("{} ({})", pod.name, pod.handler));
        }
    }
    let bundles = match engine.kind {
        Kind::Containerd => containerd(host, state)?,
        Kind::CriO => crio(host)?,
    };
    for bundle in bundles {
        if let Some(handler) = record.handlers.iter().find(|handler| leads_through(host, &bundle, handler)) {
            let (id, pod) = pod(host, &bundle);
            let text = format!("{} ({})", pod.unwrap_or_else(|| id.clone()), handler.name);
            found.entry(id).or_insert(text);
        }
    }
    let mut pods: Vec<_> = found.into_values().collect();
    pods.sort();
    pods.dedup();
    Ok(pods)
}

fn containerd(host: &Host, state: &Path) -> Result<Vec<PathBuf>, FileError> {
    let tasks = state.join(TASKS);
    let mut bundles = Vec::new();
    for namespace in host.list(&tasks)?.unwrap_or_default() {
        let dir = tasks.join(namespace);
        bundles.extend(host.list(&dir)?.unwrap_or_default().into_iter().map(|id| dir.join(id)));
    }
    Ok(bundles)
}

fn crio(host: &Host) -> Result<Vec<PathBuf>, FileError> {
    let mut bundles = Vec::new();
    let drivers = host.list(Path::new(STORAGE))?.unwrap_or_default();
    for driver in drivers.into_iter().filter(|name| name.ends_with("-containers")) {
        let dir = Path::new(STORAGE).join(driver);
        bundles.extend(host.list(&dir)?.unwrap_or_default().into_iter().map(|id| dir.join(id).join("userdata")));
    }
    Ok(bundles)
}

/// containerd writes the shim's path into the bundle (`core/runtime/v2/binary.go`), its runc shim the OCI runtime's
/// (`cmd/containerd-shim-runc-v2/runc/container.go`); CRI-O the handler into the annotations.
fn leads_through(host: &Host, bundle: &Path, handler: &Handler) -> bool {
    let says = |file: &str| host.read(&bundle.join(file)).ok().flatten();
    let path = |file: &str| says(file).is_some_and(|text| Path::new(text.trim()) == handler.interposer);
    let annotation = || annotations(host, bundle).get("io.kubernetes.cri-o.RuntimeHandler") == Some(&handler.name);
    path("shim-binary-path") || path("runtime") || annotation()
}

/// The sandbox of a bundle, and its pod.
fn pod(host: &Host, bundle: &Path) -> (String, Option<String>) {
    let own = bundle.iter().rev().find(|part| *part != "userdata");
    let told = annotations(host, bundle);
    let first = |keys: [&str; 2]| keys.iter().find_map(|key| told.get(*key)).cloned();
    let id = first(["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"]);
    let name = first(["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"]);
    let namespace = first(["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"]);
    let id = id.unwrap_or_else(|| own.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default());
    (id, namespace.zip(name).map(|(namespace, name)| format!("{namespace}/{name}")))
}

fn annotations(host: &Host, bundle: &Path) -> BTreeMap<String, String> {
    let text = host.read(&bundle.join("config.json")).ok().flatten().unwrap_or_default();
    let spec: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    spec.get("annotations").and_then(|map| serde_json::from_value(map.clone()).ok()).unwrap_or_default()
}
