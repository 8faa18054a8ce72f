//! Carrying out what was decided: the only module that sees pins and records together.
//!
//! Order of a pin: record, then mount. Order of a release: mount, then record, then lock. So whatever a killed
//! process leaves has a record that says what it is, and the next occasion finishes it. Pinning stops at the
//! first error and takes back what it did; settling goes on past errors and returns them all.
//!
//! Each change to a sandbox is made under that sandbox's lock, which is never held over a scan of `/proc`.

mod mark;
mod observe;
mod pin;
mod pins_by;
mod settle;
mod state;
#[cfg(test)]
mod tests;

pub use observe::{PROC, Sight, is_bundle, pid_namespace};
pub use pin::{Pinned, Wanted};
pub use pins_by::PinsBy;
pub use settle::{Mode, Outcome, Settled, Settlement, Which};
pub use state::State;

use crate::ledger::record::FileId;
use crate::ledger::{Ledger, LedgerError};
use crate::netns::{NetnsError, NetnsId, Store};
use crate::pin::PinName;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// How long a door waits for a sandbox's lock before its failure policy speaks.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Why something was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A pin.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// A record.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// What was seen before the lock was taken is not of what is there now.
    #[error("{name} has changed while it was looked at")]
    Changed {
        /// What was looked at.
        name: PinName,
    },
    /// A step, and the removal of the lock that was made for it.
    #[error("{first}; and {undo}")]
    Unlock {
        /// Why it was given up.
        #[source]
        first: Box<ApplyError>,
        /// Why the lock's file stays, until the next sweep.
        undo: crate::fsutil::FileError,
    },
    /// A step and the taking back of an earlier one.
    #[error("{first}; and taking back the record of {name}: {undo}")]
    Undo {
        /// Whose.
        name: PinName,
        /// Why it was given up.
        #[source]
        first: Box<ApplyError>,
        /// Why a part of it stays.
        undo: LedgerError,
    },
}

impl ApplyError {
    /// The step that did not succeed, in a word for counters.
    #[must_use]
    pub fn step(&self) -> &'static str {
        match self {
            Self::Netns(
                NetnsError::Missing { .. } | NetnsError::NotANamespace { .. } | NetnsError::OtherKind { .. },
            ) => "source",
            Self::Netns(NetnsError::Busy { .. }) | Self::Ledger(LedgerError::Busy { .. }) | Self::Changed { .. } => {
                "lock"
            }
            Self::Netns(_) => "mount",
            Self::Ledger(_) => "record",
            Self::Unlock { first, .. } | Self::Undo { first, .. } => first.step(),
        }
    }

    /// Whether it may well go if tried again: another berth is at the same sandbox.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Ledger(LedgerError::Busy { .. }) | Self::Changed { .. })
    }
}

/// Pins and their records. Any number of keepers, in any number of processes, may work on the same directories.
#[derive(Debug, Clone)]
pub struct Keeper {
    /// The pins.
    pub store: Store,
    /// The records.
    pub ledger: Ledger,
}

impl ApplyError {
    /// Whether it is about a record that a newer berth has written, and that is left to it: no failure of this one.
    #[must_use]
    pub fn is_newer_record(&self) -> bool {
        matches!(self, Self::Ledger(LedgerError::Record { source, .. }) if source.is_newer())
    }
}

impl Keeper {
    /// Opens both, made if absent.
    ///
    /// # Errors
    /// A directory that cannot be made or must not be trusted.
    pub fn open(state_dir: &Path, netns_dir: &Path) -> Result<Self, ApplyError> {
        Ok(Self { ledger: Ledger::open(state_dir)?, store: Store::open(netns_dir)? })
    }

    /// As [`Keeper::open`], but makes nothing: a directory that is not there reads as an empty one. To look, and no more.
    ///
    /// # Errors
    /// A directory that cannot be looked at or must not be trusted.
    pub fn existing(state_dir: &Path, netns_dir: &Path) -> Result<Self, ApplyError> {
        Ok(Self { ledger: Ledger::existing(state_dir)?, store: Store::existing(netns_dir)? })
    }

    /// See [`Store::finish_sharing`]. For a process that still has all of root.
    ///
    /// # Errors
    /// As there; the next call tries again.
    pub fn finish_sharing(&self) -> Result<(), ApplyError> {
        Ok(self.store.finish_sharing(&self.ledger.netns_lock())?)
    }
}

/// The namespace a record names.
#[must_use]
pub fn netns_id(file: FileId) -> NetnsId {
    NetnsId { dev: file.dev, ino: file.ino }
}

fn file_id(id: NetnsId) -> FileId {
    FileId { dev: id.dev, ino: id.ino }
}

/// The file that was looked at.
fn id_of(data: &std::fs::Metadata) -> FileId {
    FileId { dev: data.dev(), ino: data.ino() }
}
