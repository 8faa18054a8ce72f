//! The scripts by which a release is made, run for real, and the workflow's own steps around them. `make test-release`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]

#[path = "release/archives.rs"]
mod archives;
#[path = "release/crates.rs"]
mod crates;
#[path = "release/layout.rs"]
mod layout;
#[path = "release/manifests.rs"]
mod manifests;
#[path = "rig/provision.rs"]
#[allow(dead_code, reason = "one component is asked for, and no rig")]
mod provision;
#[path = "release/push.rs"]
mod push;
#[path = "release/steps.rs"]
mod steps;
#[path = "release/tree.rs"]
mod tree;
#[path = "release/versions.rs"]
mod versions;
#[path = "rig/wait.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod wait;
#[path = "repository/workflow.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod workflow;
