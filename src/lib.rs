//! berth: a berth for every pod.

pub mod address;
pub mod admin;
pub mod apply;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod confine;
pub mod daemon;
pub mod decide;
pub mod dialect;
pub mod door;
pub mod engine;
pub mod exit;
pub mod finding;
pub mod fsutil;
pub mod http;
pub mod identity;
pub mod install;
pub mod installer;
pub mod ledger;
pub mod lifecycle;
pub mod logging;
pub mod metrics;
pub mod netlink;
pub mod netns;
pub mod nri;
pub mod oci;
pub mod pin;
pub mod streams;
pub mod sys;
pub mod unix;

/// The version of this build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit it was built from, or `unknown`.
pub const COMMIT: &str = env!("BERTH_COMMIT");
