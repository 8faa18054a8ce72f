//! Pods by the thousand that come and go while everything that can be killed is killed: what is left of them afterwards,
//! what they never lost while they lived, and what the daemon weighs. On a fake runtime, and on a real containerd.
//!
//! The plan is made from a seed alone, and printed with it when a step fails. `BERTH_SEED=N` runs that plan again;
//! `BERTH_CHURN=N` and `BERTH_CHURN_REAL=N` say how many pods; `BERTH_BIN` names the binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]
#![allow(clippy::print_stderr, reason = "it says what it saw, and with which seed")]

#[path = "common/fake_runtime.rs"]
mod fake_runtime;
#[path = "common/isolated.rs"]
mod isolated;
mod rig;

#[path = "churn/ambush.rs"]
mod ambush;
#[path = "churn/engine.rs"]
mod engine;
#[path = "churn/fake.rs"]
mod fake;
#[path = "churn/interposer.rs"]
mod interposer;
#[path = "churn/left.rs"]
mod left;
#[path = "churn/node.rs"]
mod node;
#[path = "churn/plan.rs"]
mod plan;
#[path = "churn/real.rs"]
mod real;
#[path = "churn/real_node.rs"]
mod real_node;
#[path = "churn/real_rest.rs"]
mod real_rest;
#[path = "churn/run.rs"]
mod run;
#[path = "churn/space.rs"]
mod space;
#[path = "churn/vitals.rs"]
mod vitals;
#[path = "churn/vows.rs"]
mod vows;
