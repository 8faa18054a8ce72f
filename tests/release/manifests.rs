//! Manifests of a release.

use std::fs;
use std::process::Command;

use crate::provision::components;
use crate::tree::{Tree, image};

#[test]
fn every_overlay_is_rendered_with_the_image_by_its_digest_and_the_copy_renders_to_the_same() {
    let kustomize = components(&["kustomize"])["BERTH_RIG_KUSTOMIZE"].clone();
    let tree = Tree::new();
    let out = tree.path("out");
    tree.ok("pin-manifests", &[&image(), out.to_str().unwrap()]);
    let overlays = fs::read_dir(tree.path("manifests/overlays")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut applied: Vec<_> =
        overlays.map(|name| (format!("overlays/{}", name.display()), name.display().to_string())).collect();
    if tree.path("manifests/uninstall").exists() {
        applied.push(("uninstall".into(), "uninstall".into()));
    }
    assert!(applied.len() >= 2);
    for (directory, name) in applied {
        let rendered = tree.read(&format!("out/berth-{name}.yaml"));
        assert!(rendered.contains(&format!("image: {}\n", image())) && !rendered.contains("berth:dev"), "{rendered}");
        let again = Command::new(&kustomize).arg("build").arg(out.join("manifests").join(&directory)).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&again.stdout), rendered, "{directory}");
        let before =
            Command::new(&kustomize).arg("build").arg(tree.path("manifests").join(&directory)).output().unwrap();
        // The image, and nothing else, is what a release changes.
        assert_eq!(String::from_utf8_lossy(&before.stdout).replace("berth:dev", &image()), rendered, "{directory}");
    }
}

#[test]
fn an_image_that_could_change_and_a_directory_that_is_in_use_are_refused() {
    let tree = Tree::new();
    let out = tree.path("out");
    for loose in ["ghcr.io/owner/name:0.1.0", "ghcr.io/owner/name@sha256:0123", "ghcr.io/Owner/name:1"] {
        assert!(tree.refused("pin-manifests", &[loose, out.to_str().unwrap()]).contains("does not say a digest"));
    }
    fs::create_dir_all(out.join("manifests")).unwrap();
    assert!(tree.refused("pin-manifests", &[&image(), out.to_str().unwrap()]).contains("is there already"));
}

#[test]
fn an_image_that_is_not_berths_is_refused() {
    let tree = Tree::new();
    tree.edit("manifests/base/daemonset.yaml", "image: berth:dev", "image: other:dev");
    let said = tree.refused("pin-manifests", &[&image(), tree.path("out").to_str().unwrap()]);
    assert!(said.contains("other images") && said.contains("other:dev"), "{said}");
}
