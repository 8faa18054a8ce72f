//! The version that is released is one.

use crate::tree::{Tree, image};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn tag() -> String {
    format!("v{VERSION}")
}

/// A tree whose newest section has a day, as that of a release.
fn dated() -> Tree {
    let tree = Tree::new();
    let changes = tree.read("CHANGELOG.md");
    let heading = changes.lines().find(|line| line.starts_with("## ")).unwrap();
    tree.edit("CHANGELOG.md", heading, &format!("## [{VERSION}] - 2026-11-22"));
    tree
}

#[test]
fn a_release_of_what_agrees_passes() {
    assert_eq!(dated().ok("check-version", &[&tag()]).trim(), VERSION);
}

#[test]
fn each_mismatch_is_refused_and_named() {
    let base = "manifests/base/kustomization.yaml";
    let version = format!("version = \"{VERSION}\"");
    let cases = [
        ("Cargo.toml", version.clone(), "version = \"9.9.9\"".to_owned(), "Cargo.lock"),
        (
            "Cargo.lock",
            format!("name = \"berth\"\n{version}"),
            "name = \"berth\"\nversion = \"9.9.9\"".into(),
            "Cargo.lock",
        ),
        ("CHANGELOG.md", format!("## [{VERSION}]"), "## [9.9.9]".into(), "CHANGELOG.md"),
        ("CHANGELOG.md", " - 2026-11-22".to_owned(), " - unreleased".into(), "YYYY-MM-DD"),
        (base, format!("version: {VERSION}"), "version: \"9.9.9\"".into(), base),
        (base, format!("app.kubernetes.io/version: {VERSION}"), "other: x".into(), "manifests"),
    ];
    for (file, from, to, named) in cases {
        let tree = dated();
        tree.edit(file, &from, &to);
        let said = tree.refused("check-version", &[&tag()]);
        assert!(said.contains(named), "{file}: {said}");
    }
    for other in [VERSION.to_owned(), format!("v{VERSION}-rc.1"), "v9.9.9".to_owned()] {
        assert!(dated().refused("check-version", &[&other]).contains(&other));
    }
}

#[test]
fn an_argument_of_the_image_is_held_to_it_too() {
    let tree = dated();
    let dockerfile = tree.read("Dockerfile");
    let lines: Vec<_> = dockerfile.lines().filter(|line| !line.starts_with("ARG BERTH_VERSION=")).collect();
    std::fs::write(tree.path("Dockerfile"), lines.join("\n") + "\nARG BERTH_VERSION=9.9.9\n").unwrap();
    assert!(tree.refused("check-version", &[]).contains("Dockerfile: 9.9.9"));
}

#[test]
fn the_notes_are_the_newest_section_and_how_to_verify_it() {
    let tree = dated();
    let older = "\n## [0.0.1] - 2026-01-01\n\n### Configuration\n\nthe older one\n";
    std::fs::write(tree.path("CHANGELOG.md"), tree.read("CHANGELOG.md") + older).unwrap();
    let notes = tree.ok("notes", &["owner/name", &image()]);
    let at = |heading: &str| notes.find(heading).unwrap_or_else(|| panic!("{heading} is missing: {notes}"));
    assert!(at("### Configuration") < at("### Added") && at("### Added") < at("### Verify"), "{notes}");
    assert!(!notes.contains("the older one") && !notes.contains("## ["), "{notes}");
    assert!(notes.contains(&format!("cosign verify {}", image())), "{notes}");
    let identity = format!("https://github.com/owner/name/.github/workflows/release.yml@refs/tags/v{VERSION}");
    assert_eq!(notes.matches(&identity).count(), 2, "{notes}");
}

#[test]
fn a_release_without_changes_is_refused() {
    let tree = dated();
    let changes = tree.read("CHANGELOG.md");
    let heading = changes.lines().find(|line| line.starts_with("## ")).unwrap();
    std::fs::write(tree.path("CHANGELOG.md"), format!("# Changes\n\n{heading}\n\n")).unwrap();
    assert!(tree.refused("notes", &["owner/name", &image()]).contains("is empty"));
}
