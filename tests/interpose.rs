//! The berth binary as an interposer, in front of delegates that write down how they were run: what they see of it,
//! what becomes of the bundle, and what the engine is told when it fails. Each test in namespaces of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]

#[path = "common/isolated.rs"]
mod isolated;
#[path = "rig/provision.rs"]
#[allow(dead_code, reason = "one component is asked for, and no rig")]
mod provision;
#[path = "interpose/stage.rs"]
mod stage;

#[path = "interpose/bad_input.rs"]
mod bad_input;
#[path = "interpose/bundles.rs"]
mod bundles;
#[path = "interpose/cost.rs"]
mod cost;
#[path = "interpose/creation.rs"]
mod creation;
#[path = "interpose/delegates.rs"]
mod delegates;
#[path = "interpose/made.rs"]
mod made;
#[path = "interpose/passing.rs"]
mod passing;
