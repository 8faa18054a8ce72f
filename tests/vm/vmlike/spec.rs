//! What `config.json` says, in the words that this runtime reads.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::report::{Result, Told};

/// A dialect: its name, and the keys of the container's type and of its sandbox's id.
const DIALECTS: [(&str, &str, &str); 2] = [
    ("ocid", "ocid/container_type", "ocid/sandbox_id"),
    ("containerd", "io.kubernetes.cri.container-type", "io.kubernetes.cri.sandbox-id"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Sandbox,
    Member,
}

#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) role: Role,
    pub(crate) sandbox: String,
    pub(crate) netns: PathBuf,
    pub(crate) args: Vec<String>,
    /// By which dialects it knows.
    pub(crate) dialects: String,
}

impl Spec {
    /// Reads the bundle's specification; refuses one that does not say who the container is, or says two things.
    pub(crate) fn read(bundle: &Path) -> Result<Self> {
        let path = bundle.join("config.json");
        let text = fs::read_to_string(&path).told(path.display())?;
        let spec: Value = serde_json::from_str(&text).told(path.display())?;
        let annotation = |key: &str| spec["annotations"][key].as_str();
        let told: Vec<_> = DIALECTS
            .iter()
            .filter_map(|&(name, role, sandbox)| Some((name, annotation(role)?, annotation(sandbox)?)))
            .collect();
        let &(_, role, sandbox) = told.first().ok_or("the annotations do not say whether this is a sandbox")?;
        if told.iter().any(|&(_, other_role, other)| (other_role, other) != (role, sandbox)) {
            return Err(format!("the annotations contradict each other: {told:?}"));
        }
        let names: Vec<_> = told.iter().map(|&(name, ..)| name).collect();
        Ok(Self {
            role: if role == "sandbox" { Role::Sandbox } else { Role::Member },
            sandbox: sandbox.to_owned(),
            netns: netns(&spec).ok_or("there is no network namespace with a path")?,
            args: serde_json::from_value(spec["process"]["args"].clone()).told("process.args")?,
            dialects: names.join(","),
        })
    }
}

fn netns(spec: &Value) -> Option<PathBuf> {
    let namespaces = spec["linux"]["namespaces"].as_array()?;
    let network = namespaces.iter().find(|entry| entry["type"] == "network")?;
    network["path"].as_str().map(PathBuf::from)
}
