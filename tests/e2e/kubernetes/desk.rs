//! An operator's directory: the manifests as they come, and kustomizations on top of them.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::cluster::Cluster;
use crate::rig::place::outcome;

/// The directory; it goes with this value.
#[derive(Debug)]
pub(crate) struct Desk(TempDir);

impl Desk {
    /// With a copy of `manifests`.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("make a directory");
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
        outcome(Command::new("cp").arg("-R").arg(manifests).arg(directory.path()), "cp").expect("copy the manifests");
        Self(directory)
    }

    /// A kustomization beside the manifests, which names them as `../manifests/...`; its directory.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let place = self.0.path().join(name);
        std::fs::create_dir(&place).expect("make a directory");
        std::fs::write(place.join("kustomization.yaml"), text).expect("write a kustomization");
        place
    }

    /// Runs a line of shell in the directory, with `kubectl` that is the cluster's; what it printed, or how it failed.
    pub(crate) fn shell(&self, cluster: &Cluster, line: &str) -> Result<String, String> {
        let kubectl = cluster.kubectl_command();
        let words = std::iter::once(kubectl.get_program()).chain(kubectl.get_args());
        let words: Vec<_> = words.map(|word| format!("'{}'", word.to_str().expect("a word that is text"))).collect();
        let script = format!("kubectl() {{ command {} \"$@\"; }}\n{line}", words.join(" "));
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", &script]).current_dir(self.0.path());
        shell.envs(kubectl.get_envs().filter_map(|(name, value)| Some((name, value?))));
        outcome(&mut shell, line)
    }
}
