//! Who could write to the state directory, or put another one in its place.

use super::LedgerError;
use crate::fsutil::FileError;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whether nobody but root, or whoever this process is, can write to `dir`.
///
/// # Errors
/// [`LedgerError::Unsafe`]; [`LedgerError::File`] if it cannot be looked at.
pub fn check_owner(dir: &Path) -> Result<(), LedgerError> {
    let data = std::fs::symlink_metadata(dir).map_err(FileError::new("look at", dir))?;
    match problem(&data) {
        Some(problem) => Err(LedgerError::Unsafe { path: dir.to_owned(), problem }),
        None => Ok(()),
    }
}

/// Whether nobody else can rename or remove `dir`, or a directory or link on the way to it: each directory above it, where
/// its path leads to and where its links lead to, is root's or this process's own and nobody else's to write. One with the
/// sticky bit, as `/tmp`, will do: whose file it is may rename and remove it there, and nobody else (inode(7)).
///
/// What is not there yet is made by this process.
///
/// # Errors
/// [`LedgerError::UnsafeAbove`]; [`LedgerError::File`] if one cannot be looked at.
pub(super) fn check_above(dir: &Path) -> Result<(), LedgerError> {
    let mut linked = false;
    for above in dir.ancestors().skip(1) {
        linked |= check_one_above(dir, above)?;
    }
    // By links that are safe themselves, to where that may be.
    let real = linked.then(|| dir.parent().and_then(|parent| parent.canonicalize().ok())).flatten();
    for above in real.iter().flat_map(|real| real.ancestors()) {
        check_one_above(dir, above)?;
    }
    Ok(())
}

/// Returns whether it is a link.
fn check_one_above(dir: &Path, above: &Path) -> Result<bool, LedgerError> {
    let data = match std::fs::symlink_metadata(above) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        data => data.map_err(FileError::new("look at", above))?,
    };
    let unsafe_above = |problem| LedgerError::UnsafeAbove { path: dir.to_owned(), above: above.to_owned(), problem };
    let sticky = data.mode() & STICKY != 0 && is_trusted(data.uid());
    match problem(&data) {
        // Its mode says nothing, and who may exchange it is said by the directory that it is in.
        _ if data.is_symlink() => Ok(true),
        Some(problem) if !(sticky && data.is_dir()) => Err(unsafe_above(problem)),
        _ => Ok(false),
    }
}

/// `S_ISVTX` (inode(7)).
const STICKY: u32 = 0o1000;

fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == nix::unistd::geteuid().as_raw()
}

/// Why it is no directory that nobody else can write to.
fn problem(data: &Metadata) -> Option<String> {
    if !data.is_dir() {
        Some("is not a directory".to_owned())
    } else if !is_trusted(data.uid()) {
        Some(format!("belongs to uid {}", data.uid()))
    } else if data.mode() & 0o022 != 0 {
        Some(format!("can be written by others (mode {:o})", data.mode() & 0o7777))
    } else {
        None
    }
}
