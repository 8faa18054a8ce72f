//! berth: a berth for every pod.

pub mod config;
pub mod decide;
pub mod dialect;
pub mod identity;
pub mod lifecycle;
pub mod netns;
pub mod nri;
