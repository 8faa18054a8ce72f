//! Being in other namespaces: for a while on a thread that ends, or for good.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::thread;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::error::{NetnsError, OnPath, Result};
use super::handle::Netns;
use crate::sys;

/// Moves this process, which has one thread, among the files of the node whose procfs is at `proc`, for good: of a container
/// into the mount namespace of the node's first process. Its root and working directory are that one's then.
///
/// # Errors
/// [`NetnsError::Io`]; EPERM and EACCES where it lacks CAP_SYS_ADMIN, CAP_SYS_CHROOT or CAP_SYS_PTRACE.
pub fn enter_mounts_of_node(proc: &Path) -> Result<()> {
    let path = proc.join("1/ns/mnt");
    let mounts = open(&path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).on("open the node's mounts", &path)?;
    sys::enter_mounts(mounts.as_fd()).on("enter the node's mounts", &path)
}

impl Netns {
    /// Runs `work` in this namespace, on a thread that ends with it, for the reason that [`Netns::create`] gives.
    ///
    /// # Errors
    /// [`NetnsError::Io`]: `work` has not run, or has panicked.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let joined = thread::scope(|scope| {
            let builder = thread::Builder::new().name("berth-netns".into());
            builder.spawn_scoped(scope, || self.enter().map(|()| work())).map(thread::ScopedJoinHandle::join)
        });
        let panicked = || Err(NetnsError::io("run a thread in", &self.label(), io::Error::other("it panicked")));
        joined.on("start a thread for", &self.label())?.unwrap_or_else(|_| panicked())
    }

    /// Moves the calling thread, and only it, into this namespace, for good (setns(2)). For a process that is about to
    /// become another program; a thread that has moved must never run anything else.
    ///
    /// # Errors
    /// [`NetnsError::Io`].
    pub fn enter(&self) -> Result<()> {
        sys::enter_net(self.as_fd()).on("enter", &self.label())
    }

    /// What errors are about: an open namespace has no path, or many.
    fn label(&self) -> PathBuf {
        PathBuf::from(format!("network namespace {}", self.id()))
    }
}
