//! berth: a berth for every pod.

pub mod netns;
pub mod nri;
