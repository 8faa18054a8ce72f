//! berth among the runtimes of a real docker. Run by `make test-engine-docker-20.10` and its like.

mod rig;
mod standalone;

/// What the containers are run by.
const TOOL: standalone::node::Tool = standalone::node::Tool::Docker;
