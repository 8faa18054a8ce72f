//! What can go wrong with namespaces and pins. Each variant names the object; causes are in `source()`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;

use super::handle::NetnsId;

/// An operation of this module that did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetnsError {
    /// A system call failed.
    #[error("{op} {}", path.display())]
    Io {
        /// What was being done.
        op: &'static str,
        /// To which object.
        path: PathBuf,
        /// Why it did not work.
        source: io::Error,
    },
    /// There is nothing at the path.
    #[error("network namespace {}: does not exist", path.display())]
    Missing {
        /// Where the namespace was looked for.
        path: PathBuf,
    },
    /// The path leads to something that is no namespace at all.
    #[error("network namespace {}: is a {found}, not a namespace", path.display())]
    NotANamespace {
        /// What was opened.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// The path leads to a namespace of another type.
    #[error("network namespace {}: is a {kind} namespace", path.display())]
    OtherKind {
        /// What was opened.
        path: PathBuf,
        /// Its type.
        kind: &'static str,
    },
    /// The namespace is one of those that must never be pinned.
    #[error("pin {}: network namespace {id} is the host's own", path.display())]
    Forbidden {
        /// The pin that was asked for.
        path: PathBuf,
        /// The namespace.
        id: NetnsId,
    },
    /// Another namespace is pinned under this name. It was not touched.
    #[error("pin {}: is taken by network namespace {by}; `berth list -o wide` says whose it is", path.display())]
    OccupiedBy {
        /// The pin.
        path: PathBuf,
        /// The namespace that is there.
        by: NetnsId,
    },
    /// Something that no pin operation could have left is in the pin's place. It was not touched.
    #[error("pin {}: its place is taken by a {what}", path.display())]
    Foreign {
        /// The pin.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// The pin is mounted, but what its path means is something else: another mount covers the directory.
    #[error("pin {}: another mount covers the directory", path.display())]
    Covered {
        /// The pin.
        path: PathBuf,
    },
    /// Another process has held a lock for as long as was waited.
    #[error("lock {} is held by another process for more than {} ms", path.display(), waited.as_millis())]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// Others kept changing or holding the object; nothing was left behind.
    #[error("pin {}: still held or changed by others after {tries} attempts", path.display())]
    Contended {
        /// The pin.
        path: PathBuf,
        /// How often it was tried.
        tries: u32,
    },
    /// The pin's directory cannot be trusted.
    #[error("directory of pins {}: {why}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The reason.
        why: &'static str,
    },
    /// An operation did not succeed and undoing its first half did not either.
    #[error("{first}; undo: {undo}")]
    Undo {
        /// Why the operation was given up.
        #[source]
        first: Box<NetnsError>,
        /// What stays behind.
        undo: Box<NetnsError>,
    },
}

/// Results of this module.
pub(super) type Result<T, E = NetnsError> = std::result::Result<T, E>;

impl NetnsError {
    /// Whether the caller lacks the right: CAP_SYS_PTRACE for files of another process, or a security module refuses it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied)
    }

    /// The error of a system call on `path`.
    pub(super) fn io(op: &'static str, path: &Path, source: impl Into<io::Error>) -> Self {
        Self::Io { op, path: path.to_path_buf(), source: source.into() }
    }

    /// This error, and `undo`'s if that is one as well.
    pub(super) fn after(self, undo: Result<()>) -> Self {
        match undo {
            Ok(()) => self,
            Err(undo) => Self::Undo { first: Box::new(self), undo: Box::new(undo) },
        }
    }
}

/// Adds operation and object to the bare number of a system call.
pub(super) trait OnPath<T> {
    /// Names the operation and the object.
    fn on(self, op: &'static str, path: &Path) -> Result<T>;
}

impl<T> OnPath<T> for std::result::Result<T, Errno> {
    fn on(self, op: &'static str, path: &Path) -> Result<T> {
        self.map_err(|errno| NetnsError::io(op, path, errno))
    }
}

impl<T> OnPath<T> for io::Result<T> {
    fn on(self, op: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| NetnsError::io(op, path, source))
    }
}
