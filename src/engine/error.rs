//! What can be wrong with an engine, in words for its operator.

use crate::fsutil::FileError;
use std::path::PathBuf;
use std::time::Duration;

/// Why nothing can be said of the engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is none.
    #[error("no container engine found: looked for a running containerd or crio, and for {}", .0.join(", "))]
    None(Vec<String>),
    /// There are several, and nobody has said which one is meant.
    #[error("several container engines found: {}; name one with --engine, or its file with --config-file", .0.join("; "))]
    Several(Vec<String>),
    /// The root directory of the host is not one.
    #[error("host root {}: {why}", path.display())]
    Root {
        /// The directory.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A file of it.
    #[error(transparent)]
    File(#[from] FileError),
    /// One of its programs.
    #[error(transparent)]
    Run(#[from] RunError),
    /// What it printed is not what was asked for.
    #[error("{command} printed no configuration: {why}")]
    Unreadable {
        /// The command.
        command: String,
        /// Why.
        why: String,
    },
}

impl EngineError {
    /// What `command` printed is no TOML. The line that is not is left out: an engine's configuration can have passwords
    /// in it.
    pub fn unreadable(command: impl Into<String>, error: &toml_edit::TomlError) -> Self {
        Self::Unreadable { command: command.into(), why: error.message().trim().to_owned() }
    }
}

/// Why a program of the host said nothing.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It is nowhere.
    #[error("{0}: not found as an executable file on the host")]
    NotFound(String),
    /// It could not be started.
    #[error("run {command}")]
    Start {
        /// The command.
        command: String,
        /// Why.
        source: std::io::Error,
    },
    /// What it printed could not be read to its end, or its end not be seen.
    #[error("follow {command} to its end")]
    Lost {
        /// The command.
        command: String,
        /// Why.
        source: std::io::Error,
    },
    /// It was ended.
    #[error("{command}: no answer within {} s", limit.as_secs())]
    Late {
        /// The command.
        command: String,
        /// How long was waited.
        limit: Duration,
    },
    /// It printed more than anybody wants to know.
    #[error("{command}: printed more than {limit} bytes")]
    TooMuch {
        /// The command.
        command: String,
        /// How much was read.
        limit: usize,
    },
    /// It says that it failed.
    #[error("{command}: {status}{}", quoted(said))]
    Failed {
        /// The command.
        command: String,
        /// Exit code or signal, in words.
        status: String,
        /// The last line of its standard error.
        said: String,
    },
}

fn quoted(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}
