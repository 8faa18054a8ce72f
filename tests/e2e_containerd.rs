//! berth on a real containerd: one test for each thing it promises a node. Each has an engine of its own; see `rig`.

mod e2e;
mod rig;
