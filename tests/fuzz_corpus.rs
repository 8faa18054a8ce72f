//! What the fuzzers have found worth keeping, once more: every file of `fuzz/corpus` through its target. The targets are
//! the fuzzers' own; `scripts/fuzz` runs these.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "fuzz/argv.rs"]
mod argv;
#[path = "fuzz/config_json.rs"]
mod config_json;
#[path = "fuzz/door.rs"]
mod door;
#[path = "fuzz/engine_config.rs"]
mod engine_config;
#[path = "fuzz/frames.rs"]
mod frames;
#[path = "common/isolated.rs"]
mod isolated;
#[path = "fuzz/records.rs"]
mod records;
#[path = "fuzz/session.rs"]
mod session;
#[path = "fuzz/yaml.rs"]
mod yaml;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Every file of a target's corpus; what fails is named.
fn replay(target: &str, run: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files: Vec<_> = fs::read_dir(&corpus).expect("a corpus").map(|entry| entry.expect("a file").path()).collect();
    assert!(files.len() > 10, "the corpus of {target} was found");
    for file in files {
        let data = fs::read(&file).expect("a file");
        if catch_unwind(AssertUnwindSafe(|| run(&data))).is_err() {
            panic!("{target} fails on {}", file.display());
        }
    }
}

#[test]
fn frames() {
    replay("frames", frames::run);
}

#[test]
fn config_json() {
    replay("config_json", config_json::run);
}

#[test]
fn argv() {
    replay("argv", argv::run);
}

#[test]
fn yaml() {
    replay("yaml", yaml::run);
}

#[test]
fn records() {
    replay("records", records::run);
}

#[test]
fn engine_config() {
    replay("engine_config", engine_config::run);
}

isolated! {
    fn door() {
        replay("door", door::run);
    }
}
