//! `/sys` of another network namespace. What sysfs shows of interfaces (`/sys/class/net`) is that of the namespace in
//! which it was mounted, whoever looks (sysfs(5)); a program that has moved is shown the old one's.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::statfs::{SYSFS_MAGIC, fstatfs};

use super::error::{OnPath, Result};
use super::mountinfo::{self, OWN_MOUNTS};
use crate::sys::{self, Submounts};

const SYS: &str = "/sys";

/// Gives the calling thread, and only it, mounts of its own with a `/sys` of its network namespace, as `ip netns exec`
/// does; other than there, what is mounted below it (cgroups, bpf, tracing) is still there.
///
/// Holds: nothing that is mounted or unmounted here is seen by others; what others mount and unmount is seen here, so that
/// no file system is kept from going away. Where `/sys` is no sysfs nothing changes. The thread must end afterwards, or
/// become another program.
///
/// # Errors
/// [`super::NetnsError::Io`].
pub fn show_own_sysfs() -> Result<()> {
    let path = Path::new(SYS);
    if !is_sysfs(path)? {
        return Ok(());
    }
    sys::follow_mounts().on("copy the mount namespace for a view of", path)?;
    let below = below(path)?;
    let Some(top) = directory(path)? else { return Ok(()) };
    sys::mount_sysfs(top.as_fd()).on("mount a sysfs on", path)?;
    for (point, mounted) in below {
        // Not there in the new one, or no directory: it has no place.
        if let Some(onto) = directory(&point)? {
            sys::bind(mounted.as_fd(), onto.as_fd(), Submounts::Take).on("keep the mount on", &point)?;
        }
    }
    Ok(())
}

fn is_sysfs(path: &Path) -> Result<bool> {
    let Some(found) = directory(path)? else { return Ok(false) };
    Ok(fstatfs(&found).on("find the file system of", path)?.filesystem_type() == SYSFS_MAGIC)
}

/// What is mounted on directories of the file system at `path`, open.
fn below(path: &Path) -> Result<Vec<(PathBuf, OwnedFd)>> {
    let text = fs::read(OWN_MOUNTS).on("read", Path::new(OWN_MOUNTS))?;
    let mounts = mountinfo::parse(&text);
    let Some(top) = mountinfo::covering(&mounts, path) else { return Ok(Vec::new()) };
    let mut points: Vec<_> =
        mounts.iter().filter(|mount| mount.parent == top.id && mount.point != path).map(|mount| &mount.point).collect();
    points.dedup();
    let mut found = Vec::new();
    for point in points {
        if let Some(mounted) = directory(point)? {
            found.push((point.clone(), mounted));
        }
    }
    Ok(found)
}

/// `None` where there is none.
fn directory(path: &Path) -> Result<Option<OwnedFd>> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    match open(path, flags, Mode::empty()) {
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
        opened => opened.map(Some).on("open", path),
    }
}
