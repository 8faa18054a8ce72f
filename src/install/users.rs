//! Who still needs an interposer: pods of its handler, by the engine's word and by the bundles that are left.

use super::cri;
use super::record::{Handler, Record};
use crate::engine::{Engine, Host, Kind};
use crate::fsutil::FileError;
use std::collections::BTreeMap;
use std::io::ErrorKind;
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
/// The engine is there and does not say, or a bundle cannot be read: pods must not be lost sight of.
pub(super) fn pods(host: &Host, engine: &Engine, state: &Path, record: &Record) -> Result<Vec<String>, FileError> {
    let mut found = BTreeMap::new();
    let socket = host.path(&engine.socket).map_err(FileError::new("look at", &engine.socket))?;
    let asked = match cri::pods(&socket, PATIENCE) {
        // Nobody is there to ask.
        Err(error) if [ErrorKind::NotFound, ErrorKind::ConnectionRefused].contains(&error.kind()) => Vec::new(),
        asked => asked.map_err(FileError::new("ask for pods at", &engine.socket))?,
    };
    for pod in asked {
        if record.handlers.iter().any(|handler| handler.name == pod.handler) {
            found.insert(pod.id, format!("{} ({})", pod.name, pod.handler));
        }
    }
    let bundles = match engine.kind {
        Kind::Containerd => containerd(host, state)?,
        Kind::CriO => crio(host)?,
    };
    for bundle in bundles {
        if let Some(handler) = leading(host, &bundle, &record.handlers)? {
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

/// The handler through whose interposer a bundle's container was made. containerd writes the shim's path into the bundle
/// (`core/runtime/v2/binary.go`), its runc shim the OCI runtime's (`cmd/containerd-shim-runc-v2/runc/container.go`); CRI-O
/// the handler into the annotations.
fn leading<'a>(host: &Host, bundle: &Path, handlers: &'a [Handler]) -> Result<Option<&'a Handler>, FileError> {
    let says = |file: &str| host.read(&bundle.join(file));
    let paths = [says("shim-binary-path")?, says("runtime")?];
    let annotations = annotations(host, bundle);
    Ok(handlers.iter().find(|handler| {
        paths.iter().flatten().any(|text| Path::new(text.trim()) == handler.interposer)
            || annotations.get("io.kubernetes.cri-o.RuntimeHandler") == Some(&handler.name)
    }))
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
