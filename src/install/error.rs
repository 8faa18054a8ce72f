//! What can stand in the way of an install or uninstall, in words for an operator: what is in the way, and what to do.

use super::record::RecordError;
use super::restart::RestartError;
use crate::config::ConfigError;
use crate::engine::EngineError;
use crate::engine::edit::EditError;
use crate::exit::chain;
use crate::fsutil::FileError;
use std::io::ErrorKind;
use std::path::PathBuf;

/// Why it was not done. Unless it says otherwise, everything is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// The engine cannot be found or asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Its version decides where handlers go.
    #[error("the version of containerd is not known: {0}; name its program with --engine-program")]
    NoVersion(String),
    /// There is nothing that a configuration could be brought to.
    #[error("no install has ended well on this node: run it again, in a cluster by deleting this pod")]
    NotInstalled,
    /// Nothing can be planned.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// There is no such handler.
    #[error("there is no runtime handler {handler:?}; those that berth could stand beside: {}", or_none(known))]
    UnknownHandler {
        /// What was asked for.
        handler: String,
        /// What there is.
        known: String,
    },
    /// A handler's program is not there.
    #[error(
        "runtime handler {handler:?}: its program {} is not an executable file on the host: install it first, or give the \
         handler its path", program.display()
    )]
    NoDelegate {
        /// The handler.
        handler: String,
        /// The program.
        program: PathBuf,
    },
    /// A handler's program is berth.
    #[error("runtime handler {handler:?}: its program {} is berth already: name the handler behind it", delegate.display())]
    Recursion {
        /// The handler.
        handler: String,
        /// The program.
        delegate: PathBuf,
    },
    /// berth's configuration has to say what is behind a name, and is the operator's.
    #[error("{} has to say what is behind {name}; add this to it, then run this again:\n{entry}", path.display())]
    NeedsEntry {
        /// The file.
        path: PathBuf,
        /// The interposer.
        name: String,
        /// What to add.
        entry: String,
    },
    /// berth's configuration is broken.
    #[error(transparent)]
    Settings(#[from] ConfigError),
    /// A host that takes no programs.
    #[error("{os} takes no programs and no configuration of the engine from outside its image. {instead}")]
    Immutable {
        /// Its name.
        os: String,
        /// What is possible.
        instead: &'static str,
    },
    /// Nothing can be written there.
    #[error("{} is mounted read-only: choose another directory with --bin-dir{}", dir.display(), suggested(*suggestion))]
    ReadOnly {
        /// The directory.
        dir: PathBuf,
        /// Where this kind of host takes programs.
        suggestion: Option<&'static str>,
    },
    /// Nothing can be executed there.
    #[error("{} is mounted noexec: choose another directory with --bin-dir{}", dir.display(), suggested(*suggestion))]
    NoExec {
        /// The directory.
        dir: PathBuf,
        /// Where this kind of host takes programs.
        suggestion: Option<&'static str>,
    },
    /// Nobody would start the plugin.
    #[error("{engine} with {} has no NRI that is on, and would not start the plugin: {todo}", config.display())]
    NoNri {
        /// Its name.
        engine: &'static str,
        /// Its configuration.
        config: PathBuf,
        /// What to do.
        todo: &'static str,
    },
    /// Something is where berth's part should be.
    #[error("{}: is {what}, and berth did not put it there: move it away first", path.display())]
    InTheWay {
        /// The path.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// An earlier install chose other directories.
    #[error("berth is installed with --bin-dir {}: use that, or uninstall it first", .0.display())]
    OtherBinDir(PathBuf),
    /// The record is of another engine.
    #[error("berth is installed for {was}, and this is {is}: uninstall it first, naming that one")]
    OtherEngine {
        /// Of the record.
        was: String,
        /// What was found.
        is: String,
    },
    /// A file could not be read or written.
    #[error("{}{}", chain(.0), remedy(.0))]
    File(FileError),
    /// The record cannot be read.
    #[error("record {}", path.display())]
    Record {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: RecordError,
    },
    /// Another install is at it.
    #[error("another install or uninstall holds {} ({holder}): wait for it to end, then run this again", path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
        /// Who has it.
        holder: String,
    },
    /// One that stays is at it.
    #[error(
        "an install that stays holds {} ({holder}), and would put everything back: delete its DaemonSet, or end it, then \
         run this again", path.display()
    )]
    Stays {
        /// The lock.
        path: PathBuf,
        /// Who has it.
        holder: String,
    },
    /// The engine's own parser does not take what would be written.
    #[error("{engine} does not take the configuration that would be written; nothing was changed")]
    Refused {
        /// Its name.
        engine: &'static str,
        /// Its words.
        source: EngineError,
    },
    /// The engine would make something else of it than is meant.
    #[error("the configuration would not mean what it should; nothing was changed: {}", .0.join("; "))]
    Verify(Vec<String>),
    /// Somebody has changed what is berth's own.
    #[error(
        "{}: what berth wrote there was changed by hand since: put what is yours elsewhere, take the rest out, then run this \
         again", path.display()
    )]
    Edited {
        /// The file.
        path: PathBuf,
    },
    /// Handlers of somebody else's making need what is to be removed.
    #[error(
        "handlers that berth did not add lead through it: {}; take them out of the engine's configuration, then run this \
         again", .0.join(", ")
    )]
    StillConfigured(Vec<String>),
    /// Pods need what is to be removed.
    #[error(
        "pods still run on what is to be taken out; move them to another handler or remove them, then run this again:\n{}",
        .0.join("\n")
    )]
    InUse(Vec<String>),
    /// The engine's restart did not bring what it should.
    #[error(transparent)]
    Restart(#[from] RestartError),
    /// Something failed when parts were in place already.
    #[error("{}\n{}", chain(cause.as_ref()), taken_back(left))]
    RolledBack {
        /// What failed.
        cause: Box<InstallError>,
        /// What could not be taken back.
        left: Vec<String>,
    },
    /// The engine was restarted, did not come as it should, and did not come back with its earlier configuration either.
    #[error("{}\nwith its earlier configuration {}", chain(cause.as_ref()), chain(again))]
    Down {
        /// What failed.
        cause: Box<InstallError>,
        /// What failed then.
        again: RestartError,
    },
}

impl InstallError {
    /// The engine was restarted, and did not come as it should: the same again would restart it again.
    #[must_use]
    pub fn is_of_restart(&self) -> bool {
        match self {
            Self::Restart(error) => !matches!(error, RestartError::Start { .. }),
            Self::Down { .. } => true,
            Self::RolledBack { cause, .. } => cause.is_of_restart(),
            _ => false,
        }
    }

    /// The operator's configuration is wrong: the same would be wrong again.
    #[must_use]
    pub fn is_of_settings(&self) -> bool {
        let wrong = |error: &ConfigError| !matches!(error, ConfigError::Io { .. });
        matches!(self, Self::NeedsEntry { .. }) || matches!(self, Self::Settings(error) if wrong(error))
    }
}

impl From<FileError> for InstallError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

fn or_none(known: &str) -> &str {
    if known.is_empty() { "none" } else { known }
}

fn suggested(dir: Option<&str>) -> String {
    dir.map(|dir| format!(" ({dir} on this host)")).unwrap_or_default()
}

fn taken_back(left: &[String]) -> String {
    if left.is_empty() {
        return "everything is as it was before".to_owned();
    }
    format!("what could not be taken back, and needs a look:\n{}", left.join("\n"))
}

/// What to do about an error of the file system.
fn remedy(error: &FileError) -> &'static str {
    match error.source.kind() {
        ErrorKind::ReadOnlyFilesystem => {
            "; choose a directory that can be written with --bin-dir, or make this one writable"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; free some space there, then run this again",
        ErrorKind::PermissionDenied => "; run this as root",
        _ => "",
    }
}
