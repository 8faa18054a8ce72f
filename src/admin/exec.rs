//! `berth exec`: a command of this node in a pod's network namespace.

use super::AdminError;
use super::find::find;
use super::survey::{Entry, survey};
use crate::apply::State;
use crate::apply::{ApplyError, PROC, netns_id};
use crate::cli::Exec;
use crate::door::exec::search;
use crate::exit::Exit;
use crate::netns::{Netns, NetnsError, enter_mounts_of_node, show_own_sysfs};
use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Why the command was not run.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// There is a record and nothing to enter.
    #[error("pin {}: is {state}; `berth gc` says what becomes of it", path.display())]
    NoPin {
        /// Where it would be.
        path: PathBuf,
        /// How it is.
        state: &'static str,
    },
    /// The pin cannot be entered.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// There is no such command, or it cannot be executed.
    #[error("run {command:?}")]
    Command {
        /// The command.
        command: OsString,
        /// Why.
        source: io::Error,
    },
}

impl ExecError {
    /// The exit code, as of `ip netns exec` and shells.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Command { source, .. } if source.kind() == io::ErrorKind::NotFound => Exit::NotFound,
            Self::Command { .. } => Exit::NotExecutable,
            Self::NoPin { .. } | Self::Netns(_) => Exit::Failure,
        }
    }
}

/// Becomes the command, with environment, working directory and standard streams as they are, in the pod's network
/// namespace and with a `/sys` of it; from a container among the node's files, in `/`. Returns only if that failed; the
/// calling thread must not do anything else then.
///
/// # Errors
/// No pin or several are meant, or [`ExecError`].
pub fn exec(command: &Exec) -> Result<Infallible, AdminError> {
    let survey = survey(&command.directories)?;
    let netns = open(find(&survey.entries, &command.pod)?)?;
    let proc = &command.directories.host_proc;
    if proc != Path::new(PROC) {
        // In a container, which has neither the node's programs nor its files.
        enter_mounts_of_node(proc).map_err(ExecError::from)?;
    }
    netns.enter().map_err(ExecError::from)?;
    show_own_sysfs().map_err(ExecError::from)?;
    let source = search(&command.command);
    let name = command.command.first().cloned().unwrap_or_default();
    Err(ExecError::Command { command: name, source }.into())
}

/// The pin's namespace, verified on the descriptor, and that it is the one of the record.
fn open(entry: &Entry) -> Result<Netns, AdminError> {
    let no_pin = || ExecError::NoPin { path: entry.path.clone(), state: entry.state.as_str() };
    if matches!(entry.state, State::Gone | State::HalfMade | State::Foreign) {
        return Err(no_pin().into());
    }
    let netns = Netns::open(&entry.path).map_err(ApplyError::from)?;
    match &entry.record {
        Some(record) if netns_id(record.netns) != netns.id() => Err(no_pin().into()),
        _ => Ok(netns),
    }
}
