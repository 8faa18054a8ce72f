//! An OCI archive of an image for two platforms, as buildx writes it: an index over both, and one entry that leads there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts a blob into the layout; its descriptor.
fn blob(layout: &Path, media: &str, bytes: &[u8]) -> Value {
    let digest = digest(bytes);
    fs::write(layout.join("blobs/sha256").join(&digest), bytes).unwrap();
    json!({ "mediaType": media, "digest": format!("sha256:{digest}"), "size": bytes.len() })
}

fn platform(layout: &Path, arch: &str, what: &str) -> Value {
    // An archive without members, and something behind its end: a layer that is as good as any.
    let mut layer = vec![0; 1024];
    layer.extend_from_slice(what.as_bytes());
    let config = json!({
        "architecture": arch, "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{}", digest(&layer))] },
    });
    let layer = blob(layout, "application/vnd.oci.image.layer.v1.tar", &layer);
    let config = blob(layout, "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes());
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
    let mut described = blob(layout, MANIFEST, manifest.to_string().as_bytes());
    described["platform"] = json!({ "os": "linux", "architecture": arch });
    described
}

/// Writes the archive `<dir>/image.tar`, another one for each `what`; the path and the digest of its index.
pub(crate) fn archive(dir: &Path, what: &str) -> (PathBuf, String) {
    let layout = dir.join("layout");
    fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
    let platforms = ["amd64", "arm64"].map(|arch| platform(&layout, arch, what));
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": platforms });
    let described = blob(&layout, INDEX, index.to_string().as_bytes());
    let digest = described["digest"].as_str().unwrap().to_owned();
    let entry = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [described] });
    fs::write(layout.join("index.json"), entry.to_string()).unwrap();
    fs::write(layout.join("oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }).to_string()).unwrap();
    let path = dir.join("image.tar");
    let tar = Command::new("tar")
        .arg("-cf")
        .arg(&path)
        .arg("-C")
        .arg(&layout)
        .args(["blobs", "index.json", "oci-layout"])
        .status();
    assert!(tar.unwrap().success());
    (path, digest)
}
