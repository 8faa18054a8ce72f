//! The directory of pins, opened, and what is at a name in it.
//!
//! Opened anew for every operation, never kept: a mount that others put over the directory (the first `ip netns add` of
//! a node does) would otherwise leave a long-lived process working in the covered one, where nobody looks.

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use super::error::{NetnsError, OnPath, Result};
use super::handle::{Netns, file_kind};
use crate::pin::PinName;
use crate::sys;

/// An open directory of pins that may be trusted.
///
/// Holds: it is a directory, not reached through a symbolic link as last component, owned by the effective user, and
/// writable by no one else.
#[derive(Debug)]
pub(super) struct Dir<'a> {
    fd: OwnedFd,
    dev: u64,
    path: &'a Path,
}

/// What is at a pin's name.
#[derive(Debug)]
pub(super) enum Probe {
    /// Nothing.
    Absent,
    /// An empty regular file of the directory's own file system: a pin half made or half released.
    Placeholder,
    /// A network namespace, held open through this very mount.
    Pinned(Netns),
    /// Something that pin operations never leave.
    Foreign(&'static str),
}

/// How often a file is looked at that is something else when it is opened than it was when it was looked at.
const PROBES: usize = 8;

impl<'a> Dir<'a> {
    /// Opens the directory at `path`. `None` when there is none.
    pub(super) fn open(path: &'a Path) -> Result<Option<Self>> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = match open(path, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::ENOENT) => return Ok(None),
            Err(Errno::ENOTDIR) => return Err(distrust(path, "is not a directory")),
            Err(errno) => return Err(NetnsError::io("open directory of pins", path, errno)),
        };
        let stat = fstat(&fd).on("stat directory of pins", path)?;
        if stat.st_uid != geteuid().as_raw() {
            return Err(distrust(path, "belongs to another user"));
        }
        if stat.st_mode & libc::S_IWOTH != 0 || (stat.st_mode & libc::S_IWGRP != 0 && stat.st_gid != 0) {
            return Err(distrust(path, "others may write to it"));
        }
        Ok(Some(Self { fd, dev: stat.st_dev, path }))
    }

    /// The same directory below the mount that is over it, where no path leads any more.
    pub(super) fn covered(&self) -> Result<Self> {
        let parent = self.path.parent().unwrap_or(self.path);
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let above = open(parent, flags, Mode::empty()).on("open", parent)?;
        let fd = sys::below(self.fd.as_fd(), above.as_fd()).on("look below the mount on", self.path)?;
        Ok(Self { fd, dev: self.dev, path: self.path })
    }

    /// The path that it was opened by.
    pub(super) fn path(&self) -> &'a Path {
        self.path
    }

    /// The full path of a pin.
    pub(super) fn path_of(&self, name: &PinName) -> PathBuf {
        self.path.join(name.as_str())
    }

    /// The file at `name` itself: no symbolic link is followed, a mount on it is.
    pub(super) fn stat(&self, name: &str) -> Result<Option<FileStat>> {
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(NetnsError::io("stat", &self.path.join(name), errno)),
        }
    }

    /// What is at `name`, one component: a pin's, or as read from the directory.
    ///
    /// One fstatat(2) decides; only a regular file of another file system, that is a pin, costs four calls more (open,
    /// fstatfs, NS_GET_NSTYPE, fstat), and comes back as the open namespace.
    pub(super) fn probe(&self, name: &str) -> Result<Probe> {
        let mut found = "";
        for _ in 0..PROBES {
            let Some(stat) = self.stat(name)? else {
                return Ok(Probe::Absent);
            };
            if !is_regular(&stat) {
                return Ok(Probe::Foreign(file_kind(stat.st_mode)));
            }
            if stat.st_dev == self.dev {
                let empty = stat.st_size == 0;
                return Ok(if empty { Probe::Placeholder } else { Probe::Foreign("file with content") });
            }
            let path = self.path.join(name);
            let Some(fd) = self.open_at(name, OFlag::empty())? else {
                return Ok(Probe::Absent);
            };
            match Netns::verify(fd, &path) {
                Ok(ns) => return Ok(Probe::Pinned(ns)),
                // Opened a moment after the stat: another berth may have detached the pin in between, and may even
                // have made it again by now. So it is looked at anew.
                Err(NetnsError::NotANamespace { found: kind, .. }) => found = kind,
                Err(NetnsError::OtherKind { .. }) => return Ok(Probe::Foreign("namespace of another type")),
                Err(error) => return Err(error),
            }
        }
        Ok(Probe::Foreign(found))
    }

    /// Opens the file at `name` for reading. `None` when there is none.
    ///
    /// O_NONBLOCK and O_NOCTTY: were the file swapped for a fifo or a terminal since it was looked at, the open would
    /// neither wait nor have an effect.
    pub(super) fn open_at(&self, name: &str, extra: OFlag) -> Result<Option<OwnedFd>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        match openat(&self.fd, name, flags | extra, Mode::S_IRUSR) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(NetnsError::io("open", &self.path.join(name), errno)),
        }
    }

    /// Creates the placeholder of `name`. `None` when there is something already.
    ///
    /// Mode 0400, not 0444: the adopter locks the file (flock(2) needs no more than an open), and nobody else should be
    /// able to keep it waiting. What the pin shows later is nsfs's own mode.
    pub(super) fn create_placeholder(&self, name: &PinName) -> Result<Option<OwnedFd>> {
        match self.open_at(name.as_str(), OFlag::O_CREAT | OFlag::O_EXCL) {
            Err(NetnsError::Io { source, .. }) if source.raw_os_error() == Some(libc::EEXIST) => Ok(None),
            other => other,
        }
    }

    /// Removes the file at `name`. EBUSY: something is mounted on it in this mount namespace.
    pub(super) fn unlink(&self, name: &PinName) -> Result<(), Errno> {
        unlinkat(&self.fd, name.as_str(), UnlinkatFlags::NoRemoveDir)
    }

    /// The number of the mount that the directory was opened on (proc_pid_fdinfo(5)). Two opens of one path differ in it
    /// when a mount has been put over the directory in between, even a bind mount of itself.
    pub(super) fn mount_id(&self) -> Result<u64> {
        let op = "find the mount of directory of pins";
        let info = fs::read_to_string(sys::fd_info_path(self.fd.as_fd())).on(op, self.path)?;
        let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok());
        id.ok_or_else(|| NetnsError::io(op, self.path, io::Error::from(io::ErrorKind::InvalidData)))
    }

    /// The device of the directory's own files.
    pub(super) fn dev(&self) -> u64 {
        self.dev
    }
}

impl AsFd for Dir<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn is_regular(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
}

fn distrust(path: &Path, why: &'static str) -> NetnsError {
    NetnsError::Directory { path: path.into(), why }
}
