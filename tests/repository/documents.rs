//! The documents at the top: versions that agree, links that lead somewhere.

use std::path::Path;
use std::process::Command;

use crate::workflow::{files, read, root};

#[test]
fn all_that_says_berths_version_says_the_same() {
    let done = Command::new(root().join("scripts/release/check-version")).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), env!("CARGO_PKG_VERSION"));
    let changes = read("CHANGELOG.md");
    let newest = changes.lines().find_map(|line| line.strip_prefix("## [")).unwrap();
    assert_eq!(newest.split(']').next(), Some(env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_version_says_first_what_becomes_of_configurations() {
    let changes = read("CHANGELOG.md");
    for version in changes.split("\n## [").skip(1) {
        let first = version.lines().find_map(|line| line.strip_prefix("### "));
        assert_eq!(first, Some("Configuration"), "{}", version.lines().next().unwrap());
    }
}

/// The targets of a document's links.
fn links(text: &str) -> Vec<&str> {
    text.match_indices("](").map(|(at, _)| text[at + 2..].split(')').next().unwrap()).collect()
}

#[test]
fn links_lead_to_files_of_this_repository_and_to_headings_that_they_have() {
    let documents = ["CHANGELOG.md", "CONTRIBUTING.md", "README.md", "SECURITY.md", ".github/PULL_REQUEST_TEMPLATE.md"];
    let documents = documents.into_iter().map(|path| Path::new(path).to_owned()).chain(files("docs"));
    let mut checked = 0;
    for document in documents {
        let text = read(&document);
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (path, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
            assert!(root().join(&target).exists(), "{}: {link}", document.display());
            assert!(
                heading.is_empty() || headings(&read(target)).contains(&heading.to_owned()),
                "{}: {link}",
                document.display()
            );
            checked += 1;
        }
    }
    assert!(checked > 20);
}

/// The headings of a document as links name them.
fn headings(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.starts_with('#'));
    let name = |line: &str| {
        let kept = line.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || "-_ ".contains(*c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    lines.map(name).collect()
}
