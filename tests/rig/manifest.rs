//! The manifests, rendered by kustomize.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_yaml::Value;

use super::provision;

/// The objects of a kustomization, by its directory below `manifests/`.
#[track_caller]
pub(crate) fn rendered(kustomization: &str) -> Vec<Value> {
    built(&Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests").join(kustomization))
}

/// The objects of the kustomization in a directory. kustomize has nothing to remark.
#[track_caller]
pub(crate) fn built(directory: &Path) -> Vec<Value> {
    let program = &provision::components(&["kustomize"])["BERTH_RIG_KUSTOMIZE"];
    let done = Command::new(program).arg("build").arg(directory).output().expect("kustomize runs");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.is_empty(), "kustomize build {}: {said}", directory.display());
    let text = String::from_utf8(done.stdout).expect("manifests are text");
    let documents = serde_yaml::Deserializer::from_str(&text);
    documents.map(|document| Value::deserialize(document).expect("manifests are YAML")).collect()
}

/// The one object of this kind.
#[track_caller]
pub(crate) fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let one = found.next().unwrap_or_else(|| panic!("there is no {kind}"));
    assert!(found.next().is_none(), "there are several objects of kind {kind}");
    one
}
