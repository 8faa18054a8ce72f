//! Open network namespaces: verified on the descriptor, so that nothing has to be believed about a path.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sched::CloneFlags;
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use nix::sys::statfs::{NSFS_MAGIC, PROC_SUPER_MAGIC, fstatfs};

use super::error::{NetnsError, OnPath, Result};
use crate::sys;

/// The calling thread's own network namespace. `/proc/self` would be the main thread's.
const OWN: &str = "/proc/thread-self/ns/net";

/// Device and inode of an nsfs file.
///
/// Two are comparable only while both namespaces are held (a descriptor, a pin, a task): the kernel gives the inode
/// number of a dead namespace to the next one at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetnsId {
    /// Device of the nsfs.
    pub dev: u64,
    /// Inode number of the namespace.
    pub ino: u64,
}

impl NetnsId {
    pub(super) fn of(stat: &FileStat) -> Self {
        Self { dev: stat.st_dev, ino: stat.st_ino }
    }
}

impl fmt::Display for NetnsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.dev, self.ino)
    }
}

/// An open network namespace. It lives at least as long as this value.
///
/// Holds: the descriptor is an nsfs file (fstatfs(2)) of a network namespace (NS_GET_NSTYPE, ioctl_ns(2)), is
/// close-on-exec, and `id` was read from it.
#[derive(Debug)]
pub struct Netns {
    fd: OwnedFd,
    id: NetnsId,
}

impl Netns {
    /// Opens a namespace's bind mount. The path's last component is not followed if it is a symbolic link.
    ///
    /// Never waits and has no effect on devices: the path is opened with O_PATH, looked at, and only a file of nsfs is
    /// then opened for good, through the first descriptor.
    ///
    /// # Errors
    /// [`NetnsError::Missing`], [`NetnsError::NotANamespace`], [`NetnsError::OtherKind`], or [`NetnsError::Io`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::reopen(&open_path(path, OFlag::O_NOFOLLOW)?, path)
    }

    /// Opens a magic link of proc(5), such as `/proc/<pid>/ns/net`, which is a symbolic link by its type.
    ///
    /// # Errors
    /// As [`Netns::open`]; a link that is not one of procfs is [`NetnsError::NotANamespace`].
    pub fn open_proc(path: &Path) -> Result<Self> {
        let link = open_path(path, OFlag::O_NOFOLLOW)?;
        let fs = fstatfs(&link).on("find the file system of", path)?;
        if fs.filesystem_type() != PROC_SUPER_MAGIC {
            return Err(NetnsError::NotANamespace { path: path.into(), found: "file outside of procfs" });
        }
        Self::reopen(&open_path(path, OFlag::empty())?, path)
    }

    /// The calling thread's network namespace.
    ///
    /// # Errors
    /// [`NetnsError::Io`] or [`NetnsError::Missing`] where procfs is not to be had.
    pub fn current() -> Result<Self> {
        Self::open_proc(Path::new(OWN))
    }

    /// Which namespace it is.
    #[must_use]
    pub fn id(&self) -> NetnsId {
        self.id
    }

    /// Verifies an opened nsfs candidate. `path` is for the error alone.
    pub(super) fn verify(fd: OwnedFd, path: &Path) -> Result<Self> {
        let fs = fstatfs(&fd).on("find the file system of", path)?;
        if fs.filesystem_type() != NSFS_MAGIC {
            let stat = fstat(&fd).on("stat", path)?;
            return Err(NetnsError::NotANamespace { path: path.into(), found: file_kind(stat.st_mode) });
        }
        Self::of_nsfs(fd, path)
    }

    /// Verifies the type of an open file of nsfs.
    fn of_nsfs(fd: OwnedFd, path: &Path) -> Result<Self> {
        let kind = sys::namespace_type(fd.as_fd()).on("ask for the type of namespace", path)?;
        if kind != CloneFlags::CLONE_NEWNET {
            return Err(NetnsError::OtherKind { path: path.into(), kind: kind_name(kind) });
        }
        let id = NetnsId::of(&fstat(&fd).on("stat", path)?);
        Ok(Self { fd, id })
    }

    fn reopen(found: &OwnedFd, path: &Path) -> Result<Self> {
        let fs = fstatfs(found).on("find the file system of", path)?;
        if fs.filesystem_type() != NSFS_MAGIC {
            let stat = fstat(found).on("stat", path)?;
            return Err(NetnsError::NotANamespace { path: path.into(), found: file_kind(stat.st_mode) });
        }
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let fd =
            openat(AT_FDCWD, &sys::fd_path(found.as_fd()), flags, Mode::empty()).on("open network namespace", path)?;
        Self::of_nsfs(fd, path)
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The id of the namespace that a magic link such as `/proc/<pid>/ns/net` leads to now.
///
/// The namespace is not held: see [`NetnsId`] for what the answer is worth afterwards.
///
/// # Errors
/// As [`Netns::open_proc`].
pub fn id_of(path: &Path) -> Result<NetnsId> {
    Netns::open_proc(path).map(|ns| ns.id())
}

/// What a path leads to now, of whatever kind, held so that its number means it and nothing else. For comparing with
/// namespaces only: nothing is verified, nothing can be done with it.
#[derive(Debug)]
pub struct Peek {
    _held: OwnedFd,
    id: NetnsId,
}

impl Peek {
    /// Follows `path`, symbolic and magic links included, without opening what it leads to (O_PATH, open(2)).
    ///
    /// # Errors
    /// [`NetnsError::Missing`] or [`NetnsError::Io`].
    pub fn at(path: &Path) -> Result<Self> {
        let held = open_path(path, OFlag::empty())?;
        let id = NetnsId::of(&fstat(&held).on("stat", path)?);
        Ok(Self { _held: held, id })
    }

    /// Equal to a namespace's id only if it is that namespace. One of another device is no namespace at all: all
    /// namespaces are files of one nsfs.
    #[must_use]
    pub fn id(&self) -> NetnsId {
        self.id
    }
}

/// The network namespaces that count as the host's own: the calling thread's, that of process 1 and the engine's in the
/// procfs at `proc`. Each once; those that cannot be read are left out.
#[must_use]
pub fn host_ids(proc: &Path, engine_pid: Option<u32>) -> Vec<NetnsId> {
    let mut paths = vec![PathBuf::from(OWN), proc.join("1/ns/net")];
    paths.extend(engine_pid.map(|pid| proc.join(format!("{pid}/ns/net"))));
    let mut ids: Vec<_> = paths.iter().filter_map(|path| id_of(path).ok()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn open_path(path: &Path, extra: OFlag) -> Result<OwnedFd> {
    // By way of openat(2): musl follows up an open(2) with a call that sets close-on-exec once more.
    match openat(AT_FDCWD, path, OFlag::O_PATH | OFlag::O_CLOEXEC | extra, Mode::empty()) {
        // ESRCH: the process behind a path of procfs is being reaped.
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ESRCH) => Err(NetnsError::Missing { path: path.into() }),
        other => other.on("open network namespace", path),
    }
}

/// What a mode says a file is, in words.
pub(super) fn file_kind(mode: nix::libc::mode_t) -> &'static str {
    match SFlag::from_bits_truncate(mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => "regular file",
        SFlag::S_IFDIR => "directory",
        SFlag::S_IFLNK => "symbolic link",
        SFlag::S_IFIFO => "fifo",
        SFlag::S_IFSOCK => "socket",
        SFlag::S_IFCHR | SFlag::S_IFBLK => "device",
        _ => "file of unknown type",
    }
}

fn kind_name(kind: CloneFlags) -> &'static str {
    const CLONE_NEWTIME: CloneFlags = CloneFlags::from_bits_retain(0x80);
    match kind {
        CloneFlags::CLONE_NEWUTS => "uts",
        CloneFlags::CLONE_NEWIPC => "ipc",
        CloneFlags::CLONE_NEWPID => "pid",
        CloneFlags::CLONE_NEWNS => "mount",
        CloneFlags::CLONE_NEWUSER => "user",
        CloneFlags::CLONE_NEWCGROUP => "cgroup",
        CLONE_NEWTIME => "time",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests;
