//! The directory as a shared mount, made the way iproute2 makes it, so that a later `ip netns add` has nothing to do.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;

use super::Store;
use crate::netns::dir::{Dir, Probe};
use crate::netns::error::{NetnsError, OnPath, Result};
use crate::netns::mountinfo::{self, Mount, OWN_MOUNTS};
use crate::sys::{self, Submounts};

/// The longest wait for a lock. Holders need microseconds.
const LOCK_WAIT: Duration = Duration::from_secs(1);
/// What the lock file says while covered mounts may be left.
const UNCOVERING: &[u8] = b"uncovering\n";
/// Between two tries.
const LOCK_PAUSE: Duration = Duration::from_micros(500);

/// What [`Store::ensure_shared`] found. In each case the directory is a shared mount now.
#[derive(Debug)]
pub enum Sharing {
    /// It was a mount point already.
    Already,
    /// It was bound onto itself.
    Made,
    /// It was a mount point already, and what a killed process has left covered by it could not be uncovered. No pin
    /// depends on that, but the engine may not be able to remove those of its files. The next call tries again.
    Covered(NetnsError),
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
    /// Where mounts have to be uncovered, the lock file says so from before until after: what a killed process has left is
    /// finished by the next call. Where that lacks CAP_DAC_READ_SEARCH, by [`Store::finish_sharing`] or by the next that has it.
    ///
    /// # Errors
    /// [`NetnsError::Busy`] if the lock cannot be had within a second; [`NetnsError::Io`].
    pub fn ensure_shared(&self, lock_file: &Path) -> Result<Sharing> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let mut lock = options.open(lock_file).on("open lock file", lock_file)?;
        lock_within(&lock, lock_file)?;
        let unfinished = lock.metadata().on("look at lock file", lock_file)?.len() > 0;
        let _iproute2 = File::open(self.dir_path()).ok().filter(|dir| dir.try_lock().is_ok());
        let dir = self.dir()?;
        match sys::make_shared(dir.as_fd()) {
            Ok(()) if unfinished => {
                if let Err(error) = self.uncover_all(&dir) {
                    return Ok(Sharing::Covered(error));
                }
                lock.set_len(0).on("shorten lock file", lock_file)?;
                return Ok(Sharing::Already);
            }
            Ok(()) => return Ok(Sharing::Already),
            Err(Errno::EINVAL) => {}
            Err(errno) => return Err(NetnsError::io("make shared", self.dir_path(), errno)),
        }
        let origin = propagation(self.dir_path())?;
        if origin == Propagation::Private {
            lock.write_all(UNCOVERING).on("write lock file", lock_file)?;
        }
        sys::bind(dir.as_fd(), dir.as_fd(), Submounts::Take).on("bind onto itself", self.dir_path())?;
        // Opened again: `dir` is the covered directory now.
        let top = self.dir()?;
        if origin == Propagation::Private {
            self.uncover(&dir, &top)?;
        }
        sys::make_shared(top.as_fd()).on("make shared", self.dir_path())?;
        lock.set_len(0).on("shorten lock file", lock_file)?;
        Ok(Sharing::Made)
    }

    /// Finishes what a process that was killed in [`Store::ensure_shared`] has left covered, if one was; changes nothing else,
    /// the directory's propagation included. Needs CAP_DAC_READ_SEARCH where there is something to finish.
    ///
    /// # Errors
    /// As [`Store::ensure_shared`]; the next call tries again.
    pub fn finish_sharing(&self, lock_file: &Path) -> Result<()> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NOFOLLOW);
        let lock = match options.open(lock_file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            opened => opened.on("open lock file", lock_file)?,
        };
        let unfinished = || Ok(lock.metadata().on("look at lock file", lock_file)?.len() > 0);
        if !unfinished()? {
            return Ok(());
        }
        lock_within(&lock, lock_file)?;
        // Where it was killed before the bind, what is mounted in the directory is what paths lead to.
        if unfinished()? && is_mount_point(self.dir_path())? {
            self.uncover_all(&self.dir()?)?;
            lock.set_len(0).on("shorten lock file", lock_file)?;
        }
        Ok(())
    }

    /// As [`Store::uncover`], after the process that was at it has been killed. Whatever is still mounted in the covered
    /// directory is an original: whoever has unmounted the copy since was done with both.
    fn uncover_all(&self, top: &Dir<'_>) -> Result<()> {
        let covered = top.covered()?;
        for file in self.names(&covered)? {
            if let Probe::Pinned(original) = covered.probe(&file)? {
                sys::detach(original.as_fd()).on("detach", &self.dir_path().join(&file))?;
            }
        }
        Ok(())
    }

    /// Detaches the covered originals of the namespaces that the bind has copied into `top`.
    ///
    /// Nothing leads to them any more, but each would make the unlink of its file answer EBUSY, the
    /// engine's own files included. (Where the parent is shared, the new mount is its peer, and the
    /// two go together.) An original without a copy was mounted a moment ago by someone who had
    /// opened the directory before; it stays.
    fn uncover(&self, covered: &Dir<'_>, top: &Dir<'_>) -> Result<()> {
        for file in self.names(covered)? {
            let (Probe::Pinned(original), Probe::Pinned(copy)) = (covered.probe(&file)?, top.probe(&file)?) else {
                continue;
            };
            if original.id() == copy.id() {
                sys::detach(original.as_fd()).on("detach", &self.dir_path().join(&file))?;
            }
        }
        Ok(())
    }
}

/// Whether mounts below a directory propagate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Propagation {
    Shared,
    Private,
}

fn propagation(dir: &Path) -> Result<Propagation> {
    let shared = on_mount(dir, |mount| mount.shared.is_some())?;
    Ok(if shared { Propagation::Shared } else { Propagation::Private })
}

fn is_mount_point(dir: &Path) -> Result<bool> {
    on_mount(dir, |mount| mount.point == dir)
}

/// Whether the mount that `dir` is on is so.
fn on_mount(dir: &Path, is: impl FnOnce(&Mount) -> bool) -> Result<bool> {
    let text = fs::read(OWN_MOUNTS).on("read", Path::new(OWN_MOUNTS))?;
    let mounts = mountinfo::towards(&text, dir);
    Ok(mountinfo::covering(&mounts, dir).is_some_and(is))
}

/// Locks `file` exclusively, waiting for at most [`LOCK_WAIT`]. The lock goes when the file is closed.
pub(super) fn lock_within(file: &File, path: &Path) -> Result<()> {
    let deadline = Instant::now() + LOCK_WAIT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(NetnsError::io("lock", path, error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(NetnsError::Busy { path: path.into(), waited: LOCK_WAIT });
            }
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
        }
    }
}
