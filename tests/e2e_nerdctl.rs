//! berth as the runtime of a real nerdctl. Run by `make test-engine-nerdctl`.

mod rig;
mod standalone;

/// What the containers are run by.
const TOOL: standalone::node::Tool = standalone::node::Tool::Nerdctl;
