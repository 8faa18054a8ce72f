//! When a node's berth counts as ready.
