//! Being in another network namespace: for a while on a thread that ends, or for good.

use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::thread;

use super::error::{NetnsError, OnPath, Result};
use super::handle::Netns;
use crate::sys;

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
