//! The list of crates: what is in the program, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::tree::TIME;
use crate::workflow::{read, root};

fn list() -> String {
    let done = Command::new(root().join("scripts/release/sbom")).env("SOURCE_DATE_EPOCH", TIME).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// The checksums of the lock file.
fn locked() -> BTreeMap<String, String> {
    let text = read("Cargo.lock");
    let value = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(&format!("{key} = \"")));
        line.map(|rest| rest.trim_end_matches('"').to_owned())
    };
    let entry = |block| {
        let purl = format!("pkg:cargo/{}@{}", value(block, "name")?, value(block, "version")?);
        Some((purl, value(block, "checksum")?))
    };
    text.split("[[package]]").filter_map(entry).collect()
}

#[test]
fn it_names_what_is_linked_by_what_the_lock_file_pins_and_nothing_of_tests_and_builds() {
    let text = list();
    assert_eq!(text, list(), "the same commit gives the same list");
    let bom: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((bom["bomFormat"].as_str(), bom["specVersion"].as_str()), (Some("CycloneDX"), Some("1.5")));
    assert_eq!(bom["metadata"]["timestamp"], "2023-11-14T22:13:20Z");
    assert_eq!(bom["metadata"]["component"]["version"], env!("CARGO_PKG_VERSION"));
    let locked = locked();
    let mut names = BTreeSet::new();
    for component in bom["components"].as_array().unwrap() {
        let purl = component["purl"].as_str().unwrap();
        assert_eq!(component["hashes"][0]["content"].as_str(), locked.get(purl).map(String::as_str), "{purl}");
        assert!(
            component["licenses"][0]["expression"].as_str().is_some_and(|l| !l.is_empty() && !l.contains('/')),
            "{purl}"
        );
        names.insert(component["name"].as_str().unwrap());
    }
    for linked in ["clap", "hyper", "netlink-packet-route", "nix", "protobuf", "serde_yaml_ng", "tokio", "ttrpc"] {
        assert!(names.contains(linked), "{linked} is missing");
    }
    // Of dependencies of tests, of features that only those ask for, of the build, and procedural macros.
    for other in ["criterion", "insta", "tonic", "h2", "tracing", "ttrpc-codegen", "serde_derive", "berth"] {
        assert!(!names.contains(other), "{other} is not in the program");
    }
}
