//! An image's archive, read as engines read it: the manifest says which files are the configuration and the layers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{NAME, printed};

/// An archive, unpacked.
pub(super) struct Archive {
    dir: TempDir,
    manifest: Value,
}

impl Archive {
    /// Panics if it is not an archive of one image under berth's name.
    #[track_caller]
    pub(super) fn open(path: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        printed(Command::new("tar").arg("-xf").arg(path).arg("-C").arg(dir.path()));
        let manifests: Value = json(&dir.path().join("manifest.json"));
        let [manifest] = manifests.as_array().unwrap().as_slice() else { panic!("not one image: {manifests}") };
        let names: Vec<_> =
            manifest["RepoTags"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        // docker leaves out what every engine adds.
        assert!(names == [NAME] || names == ["berth:dev"], "other names: {names:?}");
        Self { manifest: manifest.clone(), dir }
    }

    /// The image's configuration.
    pub(super) fn config(&self) -> Value {
        json(&self.config_path())
    }

    /// The digest of the configuration, which has the digests of the layers in it: same id, same image.
    pub(super) fn id(&self) -> String {
        sum(&self.config_path())
    }

    fn config_path(&self) -> PathBuf {
        self.dir.path().join(self.manifest["Config"].as_str().unwrap())
    }

    /// The one layer's archive.
    #[track_caller]
    pub(super) fn layer(&self) -> PathBuf {
        let layers = self.manifest["Layers"].as_array().unwrap();
        let [layer] = layers.as_slice() else { panic!("not one layer: {layers:?}") };
        self.dir.path().join(layer.as_str().unwrap())
    }

    /// The program in it, unpacked.
    pub(super) fn binary(&self) -> PathBuf {
        printed(Command::new("tar").arg("-xf").arg(self.layer()).arg("-C").arg(self.dir.path()).arg("berth"));
        self.dir.path().join("berth")
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A file's digest.
pub(super) fn sum(path: &Path) -> String {
    Sha256::digest(fs::read(path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
}
