//! The container engine of a node.

pub mod edit;
