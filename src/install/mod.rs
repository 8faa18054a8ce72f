//! Putting berth on a node, and taking it away without a trace.
//!
//! ```text
//! site       what is there: the engine, its files, what it makes of them
//! choose     in front of what berth is to stand, and under which name        ┐
//! parts      which objects that needs                                        ├ plan
//! engine::edit   what the engine's configuration has to say                  ┘
//! candidate  that configuration, read by the engine's own parser before it goes live
//! work       objects put at their places in single steps, which can be taken back
//! record     what was done, written before it is
//! bring      berth's own configuration alone, where all is installed
//! restart    the engine with it, awaited; without success, the engine as before
//! users      pods that still need what would be removed
//! stay       an install that stays, beside which nothing is taken away
//! standing   what holds of it
//! ```
//!
//! Promised: without `--apply` nothing is written. A handler that is there is never changed, nor is the default one. What
//! an install has put is known by the record; what somebody has changed since stays. A kill at any moment leaves each file
//! as it was or as it was to be, and the next install or uninstall goes on from there.

mod apply;
mod attributes;
mod bring;
mod candidate;
mod choose;
mod cri;
mod error;
mod label;
mod lock;
mod object;
mod own;
mod parts;
mod place;
mod plan;
pub mod record;
mod render;
mod restart;
mod site;
mod standing;
mod stay;
mod uninstall;
mod users;
mod versions;
mod work;

pub use apply::install;
pub use bring::bring;
pub use choose::Asked;
pub use error::InstallError;
pub use object::Object;
pub use parts::BIN_DIR;
pub use plan::Wanted;
pub use restart::{How, PATIENCE, RestartError};
pub use standing::Standing;
pub use stay::Stay;
pub use uninstall::uninstall;

use crate::engine::Choice;
use std::path::PathBuf;
use std::time::Duration;

/// On which host, with which engine, and how far to go.
#[derive(Debug, Clone)]
pub struct Order {
    /// The host's root directory.
    pub host_root: PathBuf,
    /// The engine.
    pub choice: Choice,
    /// Whether anything is written.
    pub mode: Mode,
    /// Whether the engine is restarted, and how; `None`: it is not.
    pub restart: Option<Restart>,
    /// How long the engine is waited for.
    pub patience: Duration,
}

/// Whether anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is.
    Plan,
    /// It is.
    Apply,
}

/// A restart that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restart {
    /// By systemd.
    Systemd,
    /// By a line for the shell.
    Shell(String),
}

/// What is to be said: data for standard output, remarks for standard error.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The plan, or what was done.
    pub text: String,
    /// What else an operator should know.
    pub remarks: Vec<String>,
    /// What was to be done and is not, in a sentence that says what to do; `None`: all is.
    pub left: Option<String>,
}

/// This build, as records name it.
fn berth() -> String {
    format!("{} ({})", crate::VERSION, crate::COMMIT)
}
