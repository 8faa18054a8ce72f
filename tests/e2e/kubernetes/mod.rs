//! berth in a cluster: the same tests for every way to get one.
//!
//! ```text
//! Scene ── Cluster ── Provider    where the cluster comes from: `local`, from plain programs, or `kind`
//!   │         ├─ kubectl          apply, get, wait, exec, logs
//!   │         └─ Place            its node, by the namespaces of its first process
//!   └─ Pod ── Bundle              what the engine really made of each container, read on the node
//! ```
#![allow(dead_code, reason = "one frame for tests of many subjects")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test expects and does not get fails it"
)]
#![allow(clippy::print_stderr, reason = "a failing test shows the logs")]

mod berth;
mod churn;
mod cluster;
mod desk;
mod holds;
mod image;
mod kind;
mod kubectl;
mod lasting;
mod local;
mod measure;
mod pod;
mod provider;
mod report;
mod scene;
mod shape;

mod away;
mod engine;
mod evicted;
mod forged;
mod host;
mod manifests;
mod many;
mod pods;
mod ready;
mod required;
mod skew;
mod update;
mod workloads;
mod wrapped;
