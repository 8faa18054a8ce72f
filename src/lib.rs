//! berth: a berth for every pod.

pub mod apply;
pub mod clock;
pub mod config;
pub mod decide;
pub mod dialect;
pub mod exit;
pub mod fsutil;
pub mod identity;
pub mod ledger;
pub mod lifecycle;
pub mod logging;
pub mod metrics;
pub mod netns;
pub mod nri;
pub mod pin;
