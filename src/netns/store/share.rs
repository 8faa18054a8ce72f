//! The directory as a shared mount, made the way iproute2 makes it, so that a later `ip netns add` has nothing to do.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;

use super::Store;
use crate::netns::error::{NetnsError, OnPath, Result};
use crate::netns::sys::{self, Submounts};

/// The longest wait for a lock. Holders need microseconds.
const LOCK_WAIT: Duration = Duration::from_secs(1);
/// Between two tries.
const LOCK_PAUSE: Duration = Duration::from_micros(500);

/// What [`Store::ensure_shared`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// The directory was a mount point already; it is shared now, if it was not before.
    Already,
    /// It was bound onto itself and made shared.
    Made,
}

impl Store {
    /// Makes the directory a shared mount (bind onto itself if it is no mount point, then MS_SHARED | MS_REC), once.
    ///
    /// iproute2 does the same before its first namespace. Done after the pins, its bind onto itself would cover them with
    /// copies that do not follow; done before, there is nothing left for it to do. Under an exclusive flock(2) of
    /// `lock_file`, so that two processes do not stack two mounts, and (as far as it can be had) of the directory itself,
    /// which is iproute2's own lock for this.
    ///
    /// Must be called in the engine's mount namespace only. In a namespace of one's own the mount would be shared with
    /// nobody and still say `shared:` in mountinfo, and so fake what [`Store::reach`] looks for.
    ///
    /// # Errors
    /// [`NetnsError::Contended`] if the lock cannot be had within a second; [`NetnsError::Io`].
    pub fn ensure_shared(&self, lock_file: &Path) -> Result<Sharing> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let lock = options.open(lock_file).on("open lock file", lock_file)?;
        lock_within(&lock, lock_file)?;
        let _iproute2 = File::open(self.dir_path()).ok().filter(|dir| dir.try_lock().is_ok());
        let dir = self.dir()?;
        match sys::make_shared(dir.as_fd()) {
            Ok(()) => return Ok(Sharing::Already),
            Err(Errno::EINVAL) => {}
            Err(errno) => return Err(NetnsError::io("make shared", self.dir_path(), errno)),
        }
        sys::bind(dir.as_fd(), dir.as_fd(), Submounts::Take).on("bind onto itself", self.dir_path())?;
        // Opened again: `dir` is the covered directory now.
        sys::make_shared(self.dir()?.as_fd()).on("make shared", self.dir_path())?;
        Ok(Sharing::Made)
    }
}

/// Locks `file` exclusively, waiting for at most [`LOCK_WAIT`]. The lock goes when the file is closed.
pub(super) fn lock_within(file: &File, path: &Path) -> Result<()> {
    let deadline = Instant::now() + LOCK_WAIT;
    let mut tries = 0;
    loop {
        tries += 1;
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(NetnsError::io("lock", path, error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(NetnsError::Contended { path: path.into(), tries });
            }
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
        }
    }
}
