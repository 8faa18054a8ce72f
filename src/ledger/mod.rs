//! berth's memory on disk: one record per pin. The pin is the truth; a record says what a mount cannot.
//!
//! ```text
//! <state dir>/              0700, the owner's alone
//!   sandboxes/<pin>.json    one record each, replaced whole; `.tmp-*` are those of a killed writer
//!   locks/<pin>             flock: held while a pin or its record changes, removed with them
//!   netns.lock              flock: held while the netns directory is made a shared mount
//!   daemon.lock             flock: held by the one daemon that registers
//! ```
//!
//! Owns that directory and nothing else. A record that cannot be read never hides the others.

mod owner;
pub mod record;
#[cfg(test)]
mod tests;

use crate::fsutil::{self, FileError, Lock, TEMP_PREFIX};
use crate::pin::PinName;
use owner::check_above;
pub use owner::check_owner;
use record::{Record, RecordError};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the state is kept unless told otherwise. It lives as long as the machine is up, like the pins.
pub const DEFAULT_DIR: &str = "/run/berth";

/// What is this old and was left by a process belongs to one that was killed.
pub const STALE: Duration = Duration::from_secs(60);

/// A record has a few hundred bytes.
const MAX_RECORD: u64 = 64 << 10;

const SUFFIX: &str = ".json";

/// Why the ledger did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A step on a file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The state directory can be written by others, who could then send berth after any path.
    #[error("state directory {0} {problem}; make it root's own: chown root {0} && chmod 700 {0}", path.display())]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A directory above it can, and so they could put another one in its place.
    #[error("state directory {}: {} above it {problem}; keep the state where root alone can write, as in {DEFAULT_DIR}", path.display(), above.display())]
    UnsafeAbove {
        /// The state directory.
        path: PathBuf,
        /// The one above it.
        above: PathBuf,
        /// What is wrong with that.
        problem: String,
    },
    /// A record that is not one, or not one of ours to read.
    #[error("record {}", path.display())]
    Record {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: RecordError,
    },
    /// A file that is not one of its own. It is left as it is.
    #[error("{}: not a file that berth makes", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Somebody else has held a sandbox's lock for as long as was waited.
    #[error("lock of {name} is held by another berth for more than {} ms", waited.as_millis())]
    Busy {
        /// Whose lock.
        name: PinName,
        /// How long was waited.
        waited: Duration,
    },
}

/// What a killed process left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stale {
    /// A file that was about to be renamed.
    Temp(PathBuf),
    /// The lock of a pin that was never made.
    Lock(PathBuf),
}

impl Stale {
    /// Its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Temp(path) | Self::Lock(path) => path,
        }
    }
}

/// All records, and what in the directory is none.
#[derive(Debug, Default)]
pub struct Listing {
    /// Readable records.
    pub records: Vec<(PinName, Record)>,
    /// Files that could not be read, each with its reason. They are left as they are.
    pub unreadable: Vec<LedgerError>,
}

impl Listing {
    /// How many records were made under a configuration other than the one of this hash. (Their pins stay: the lifecycle
    /// rule asks no configuration.)
    #[must_use]
    pub fn under_other_config(&self, hash: u64) -> usize {
        let this = record::config_name(hash);
        self.records.iter().filter(|(_, record)| record.config != this).count()
    }
}

/// The open ledger.
#[derive(Debug, Clone)]
pub struct Ledger {
    dir: PathBuf,
}

impl Ledger {
    /// Opens the ledger in `dir`, made with mode 0700 if absent.
    ///
    /// # Errors
    /// It cannot be made, is not a directory, can be written by anybody but its owner and root, or is in a directory in which
    /// others could put another one in its place.
    pub fn open(dir: &Path) -> Result<Self, LedgerError> {
        check_above(dir)?;
        for dir in [dir.to_owned(), dir.join("sandboxes"), dir.join("locks")] {
            match check_owner(&dir) {
                Err(LedgerError::File(error)) if error.is_not_found() => make(&dir)?,
                checked => checked?,
            }
        }
        Ok(Self { dir: dir.to_owned() })
    }

    /// Opens the ledger in `dir` to read it, and makes nothing: where there is none, it reads as an empty one.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn existing(dir: &Path) -> Result<Self, LedgerError> {
        check_above(dir)?;
        for dir in [dir.to_owned(), dir.join("sandboxes")] {
            match check_owner(&dir) {
                Err(LedgerError::File(error)) if error.is_not_found() => {}
                checked => checked?,
            }
        }
        Ok(Self { dir: dir.to_owned() })
    }

    /// The state directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn path(&self, name: &PinName) -> PathBuf {
        self.dir.join("sandboxes").join(format!("{name}{SUFFIX}"))
    }

    /// The record of `name`; `Ok(None)` if there is none.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn get(&self, name: &PinName) -> Result<Option<Record>, LedgerError> {
        read(&self.path(name))
    }

    /// Writes the record of `name`, in one step. The caller holds the lock of `name`.
    ///
    /// # Errors
    /// The record is then as it was before.
    pub fn put(&self, name: &PinName, record: &Record) -> Result<(), LedgerError> {
        let path = self.path(name);
        let bytes = record.encode().map_err(|source| LedgerError::Record { path: path.clone(), source })?;
        Ok(fsutil::replace_file(&path, &bytes)?)
    }

    /// Removes the record of `name`. `Ok(false)` if there was none. The caller holds the lock of `name`.
    ///
    /// # Errors
    /// It is there and cannot be removed.
    pub fn remove(&self, name: &PinName) -> Result<bool, LedgerError> {
        Ok(fsutil::remove_file(&self.path(name))?)
    }

    /// Up to `at_most` of the pins that have a record, from the `from`th on and round and round, without reading one. In
    /// the directory's own order, and no other name is looked at than those: this is for passers-by.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn some(&self, from: usize, at_most: usize) -> Result<Vec<PinName>, LedgerError> {
        let mut files = self.files("sandboxes")?;
        files.retain(|file| file.as_bytes().ends_with(SUFFIX.as_bytes()));
        let from = from.checked_rem(files.len()).unwrap_or_default();
        let turn = files.iter().cycle().skip(from).take(files.len().min(at_most));
        let name = |file: &OsString| PinName::parse(file.to_str()?.strip_suffix(SUFFIX)?).ok();
        Ok(turn.filter_map(name).collect())
    }

    /// Every record there is.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn list(&self) -> Result<Listing, LedgerError> {
        let mut listing = Listing::default();
        for file in self.files("sandboxes")? {
            let path = self.dir.join("sandboxes").join(&file);
            let name = file.to_str().and_then(|file| file.strip_suffix(SUFFIX)).map(PinName::parse);
            match name {
                Some(Ok(name)) => match read(&path) {
                    Ok(Some(record)) => listing.records.push((name, record)),
                    Ok(None) => {} // removed since it was listed
                    Err(error) => listing.unreadable.push(error),
                },
                _ if file.to_string_lossy().starts_with(TEMP_PREFIX) => {}
                _ => listing.unreadable.push(LedgerError::Foreign { path }),
            }
        }
        listing.records.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(listing)
    }

    /// Takes the lock of `name`, waiting at most `patience`.
    ///
    /// # Errors
    /// [`LedgerError::Busy`] when somebody else holds it all that time.
    pub fn lock(&self, name: &PinName, patience: Duration) -> Result<Lock, LedgerError> {
        Lock::take(&self.lock_path(name), patience)?
            .ok_or_else(|| LedgerError::Busy { name: name.clone(), waited: patience })
    }

    /// Takes the lock that makes its holder the node's one daemon; `Ok(None)` if another one is.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn lock_daemon(&self) -> Result<Option<Lock>, LedgerError> {
        Ok(Lock::take(&self.dir.join("daemon.lock"), Duration::ZERO)?)
    }

    /// The lock under which the netns directory is made a shared mount.
    #[must_use]
    pub fn netns_lock(&self) -> PathBuf {
        self.dir.join("netns.lock")
    }

    /// What killed processes left and nobody will look for: temporary files older than `age`, and locks of pins without a
    /// record.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn stale(&self, age: Duration) -> Result<Vec<Stale>, LedgerError> {
        let mut stale = Vec::new();
        for dir in ["", "sandboxes"] {
            let temps = self.files(dir)?.into_iter().filter(|file| file.to_string_lossy().starts_with(TEMP_PREFIX));
            stale.extend(temps.map(|file| Stale::Temp(self.dir.join(dir).join(file))));
        }
        let names = self.files("locks")?.into_iter().filter_map(|file| PinName::parse(file.to_str()?).ok());
        stale.extend(names.filter(|name| !self.path(name).exists()).map(|name| Stale::Lock(self.lock_path(&name))));
        stale.retain(|stale| is_old(stale.path(), age));
        Ok(stale)
    }

    /// Removes one of those. `Ok(false)` if it is gone already, or somebody holds the lock or has written its record.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove_stale(&self, stale: &Stale) -> Result<bool, LedgerError> {
        match stale {
            Stale::Temp(path) => Ok(fsutil::remove_file(path)?),
            Stale::Lock(path) => {
                let name = path.file_name().and_then(|name| PinName::parse(name.to_str()?).ok());
                let Some((name, lock)) = name.zip(Lock::take(path, Duration::ZERO)?) else { return Ok(false) };
                if self.path(&name).exists() {
                    return Ok(false);
                }
                lock.remove()?;
                Ok(true)
            }
        }
    }

    /// Removes all of those. Returns how many.
    ///
    /// # Errors
    /// As [`Ledger::stale`] and [`Ledger::remove_stale`].
    pub fn sweep(&self, age: Duration) -> Result<usize, LedgerError> {
        let mut swept = 0;
        for stale in self.stale(age)? {
            swept += usize::from(self.remove_stale(&stale)?);
        }
        Ok(swept)
    }

    fn lock_path(&self, name: &PinName) -> PathBuf {
        self.dir.join("locks").join(name.as_str())
    }

    /// The names in one of its directories; none where that is not there.
    fn files(&self, dir: &str) -> Result<Vec<OsString>, LedgerError> {
        let dir = self.dir.join(dir);
        let entries = match std::fs::read_dir(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(FileError::new("list", &dir))?,
        };
        let names: io::Result<Vec<_>> = entries.map(|entry| entry.map(|entry| entry.file_name())).collect();
        Ok(names.map_err(FileError::new("list", &dir))?)
    }
}

/// Whether the file at `path` was last written at least `age` ago; one that is gone was not.
fn is_old(path: &Path, age: Duration) -> bool {
    let written = std::fs::symlink_metadata(path).and_then(|data| data.modified());
    written.is_ok_and(|at| at.elapsed().is_ok_and(|since| since >= age))
}

fn read(path: &Path) -> Result<Option<Record>, LedgerError> {
    match fsutil::read_bounded(path, MAX_RECORD) {
        Ok(bytes) => {
            Record::decode(&bytes).map(Some).map_err(|source| LedgerError::Record { path: path.to_owned(), source })
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn make(dir: &Path) -> Result<(), LedgerError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir).map_err(FileError::new("make the directory", dir))?;
    check_owner(dir)
}
