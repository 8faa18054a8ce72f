//! Removing a pin's file whose mount has been covered.
//!
//! Who binds the directory onto itself with all that is mounted in it (iproute2 does before its first namespace) leaves,
//! where the parent is not shared, two mounts on each pin's file: the copy, which paths lead to, and the original, which
//! they do not. As long as a file is a mount point anywhere in the caller's mount namespace, unlink(2) answers EBUSY.
//! Since Linux 3.18 that is all: unlinked from a mount namespace in which it is *not* a mount point, the file goes and
//! the kernel detaches whatever other namespaces have mounted on it. So that is done from a private copy.

use std::os::fd::AsFd;
use std::thread;

use nix::errno::Errno;
use nix::sys::stat::FileStat;

use crate::netns::dir::{Dir, Probe};
use crate::netns::error::{NetnsError, OnPath, Result};
use crate::pin::PinName;
use crate::sys;

/// The most mounts that are taken off the directory.
const LAYERS: u32 = 64;

/// Unlinks the placeholder `name` of `dir`, even though a namespace is mounted on it where no path leads.
///
/// Holds: Ok also when nothing could be done; the caller looks again. In the caller's mount namespace nothing but mounts
/// on this very file (device and inode) can have gone, and only if all that are reachable were network namespaces.
///
/// # Errors
/// [`NetnsError::Io`] when the private mount namespace cannot be had.
pub(super) fn unlink_covered(dir: &Dir<'_>, name: &PinName) -> Result<()> {
    let Some(file) = dir.stat(name.as_str())? else {
        return Ok(());
    };
    let path = dir.path_of(name);
    // A thread of its own, for it changes its mount namespace, and ends.
    let joined = thread::scope(|scope| {
        let worker = thread::Builder::new().name("berth-unbury".into());
        worker.spawn_scoped(scope, || peel(dir, name, &file)).map(thread::ScopedJoinHandle::join)
    });
    match joined.on("start the thread to release", &path)? {
        Ok(done) => done,
        Err(_) => Err(NetnsError::io("release", &path, std::io::Error::other("the thread panicked"))),
    }
}

/// In a private mount namespace: takes mount after mount off the directory until the file can be unlinked.
fn peel(dir: &Dir<'_>, name: &PinName, file: &FileStat) -> Result<()> {
    sys::unshare_mounts().on("copy the mount namespace to release", &dir.path_of(name))?;
    for _ in 0..LAYERS {
        let Some(layer) = Dir::open(dir.path())? else {
            return Ok(());
        };
        match layer.probe(name.as_str())? {
            // Detached in this namespace only: the original goes with the unlink.
            Probe::Pinned(ns) => sys::detach(ns.as_fd()).on("detach", &dir.path_of(name))?,
            Probe::Placeholder if is(&layer, name, file)? && layer.unlink(name).is_ok() => {
                return Ok(());
            }
            Probe::Placeholder | Probe::Foreign(_) | Probe::Absent => {
                match sys::detach(layer.as_fd()) {
                    Ok(()) => {}
                    Err(Errno::EINVAL) => return Ok(()), // no mount on the directory any more
                    Err(errno) => return Err(NetnsError::io("uncover", dir.path(), errno)),
                }
            }
        }
    }
    Ok(())
}

fn is(layer: &Dir<'_>, name: &PinName, file: &FileStat) -> Result<bool> {
    let now = layer.stat(name.as_str())?;
    Ok(now.is_some_and(|now| (now.st_dev, now.st_ino) == (file.st_dev, file.st_ino)))
}
