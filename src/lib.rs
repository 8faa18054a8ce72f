//! berth: a berth for every pod.

pub mod clock;
pub mod config;
pub mod decide;
pub mod dialect;
pub mod fsutil;
pub mod identity;
pub mod ledger;
pub mod lifecycle;
pub mod netns;
pub mod nri;
pub mod pin;
