//! `berth check`: whether a node is ready for berth, line by line.
//!
//! [`Node::look`] gathers what can be seen of a node; each check is a function of that, and gives at least one finding
//! under its name. A finding that is not good says in its hint which file and setting to change. Nothing is changed, nothing
//! waits without a limit, and what cannot be seen from here is said to be so.

mod config;
mod daemon;
mod doors;
mod drop_ins;
mod engine;
mod handlers;
mod netns;
mod node;
mod nri;
mod plugins;
mod privileges;
mod report;
mod restart;
mod state;
#[cfg(test)]
mod tests;
mod wrapped;

pub use node::{Node, Privileges, Request};
pub use report::{Form, Report};

use crate::finding::Finding;

/// One line or more of the answer.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// The name of its findings.
    pub name: &'static str,
    /// What it finds: at least one line.
    pub look: fn(&Node) -> Vec<Finding>,
}

/// All checks, in the order of their lines: from the engine to berth's own state, and what follows from all of it.
pub const CHECKS: [Check; 26] = [
    Check { name: engine::ENGINE, look: engine::engine },
    Check { name: engine::CONFIG, look: engine::config },
    Check { name: drop_ins::DROP_INS, look: drop_ins::drop_ins },
    Check { name: restart::RESTART, look: restart::restart },
    Check { name: nri::NRI, look: nri::enabled },
    Check { name: nri::SOCKET, look: nri::socket },
    Check { name: nri::LEVEL, look: nri::level },
    Check { name: nri::VALIDATOR, look: nri::validator },
    Check { name: nri::REQUIRED, look: nri::required },
    Check { name: plugins::DIRECTORY, look: plugins::directory },
    Check { name: plugins::OWN, look: plugins::own },
    Check { name: plugins::CONFLICT, look: plugins::conflict },
    Check { name: netns::DIRECTORY, look: netns::directory },
    Check { name: crate::door::nri::REACH, look: netns::reach },
    Check { name: handlers::PROGRAMS, look: handlers::programs },
    Check { name: handlers::DELEGATES, look: handlers::delegates },
    Check { name: handlers::RUNTIME_PATH, look: handlers::runtime_path },
    Check { name: handlers::INTERPOSERS, look: handlers::interposers },
    Check { name: config::CONFIG, look: config::config },
    Check { name: config::PUBLISHED_COPY, look: config::published },
    Check { name: privileges::PRIVILEGES, look: privileges::privileges },
    Check { name: state::DIRECTORY, look: state::directory },
    Check { name: state::LEFTOVERS, look: state::leftovers },
    Check { name: daemon::DAEMON, look: daemon::daemon },
    Check { name: daemon::READY, look: daemon::ready },
    Check { name: doors::DOORS, look: doors::doors },
];

/// Every finding of every check.
#[must_use]
pub fn run(node: &Node) -> Vec<Finding> {
    CHECKS.iter().flat_map(|check| (check.look)(node)).collect()
}
