//! The bundle's directory: `config.json` read up to a limit and replaced in one step.

use super::scan::ScanError;
use crate::fsutil::{self, FileError};
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The specification's file in a bundle.
pub const CONFIG: &str = "config.json";

/// The largest `config.json` that is read. Real ones have tens of kilobytes; containerd's own limit for a message
/// that carries one is 16 MiB.
pub const MAX_CONFIG: u64 = 16 << 20;

/// Why a bundle cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A step on a file.
    #[error(transparent)]
    File(#[from] FileError),
    /// What is called `config.json` is no file.
    #[error("{}: is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// It has more than [`MAX_CONFIG`] bytes; nothing of it was read.
    #[error("{}: has {size} bytes, at most {MAX_CONFIG} are read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        size: u64,
    },
    /// It is no specification.
    #[error("{}", path.display())]
    Scan {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ScanError,
    },
}

/// A bundle whose `config.json` has been read.
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
    file: File,
    bytes: Vec<u8>,
}

impl Bundle {
    /// Reads the bundle in `dir`, which may be relative; `Ok(None)` if it has no `config.json`. A symbolic link in that
    /// file's place is refused, one in the path of `dir` is the caller's own way to it.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn open(dir: &Path) -> Result<Option<Self>, BundleError> {
        let path = dir.join(CONFIG);
        // Not blocking: a fifo in its place must not hold a container's start up.
        let flags = (nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK).bits();
        let opened = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(&path);
        let file = match opened.map_err(FileError::new("open", &path)) {
            Ok(file) => file,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let data = file.metadata().map_err(FileError::new("look at", &path))?;
        if !data.is_file() {
            return Err(BundleError::NotAFile(path));
        }
        if data.len() > MAX_CONFIG {
            return Err(BundleError::TooLarge { path, size: data.len() });
        }
        let bytes = fsutil::read_open(&file, &path, data.len(), MAX_CONFIG)?;
        Ok(Some(Self { path, file, bytes }))
    }

    /// The file's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says.
    ///
    /// # Errors
    /// [`BundleError::Scan`].
    pub fn scan(&self) -> Result<super::Scan<'_>, BundleError> {
        super::scan(&self.bytes).map_err(|source| BundleError::Scan { path: self.path.clone(), source })
    }

    /// Puts `text` in the file's place in one step, with the old one's mode, owner, group and security context.
    ///
    /// # Errors
    /// The step that failed; the old file is then in place and no temporary one is left.
    pub fn replace(&self, text: &str) -> Result<(), BundleError> {
        Ok(fsutil::replace_file_as(&self.path, text.as_bytes(), &self.file)?)
    }
}
