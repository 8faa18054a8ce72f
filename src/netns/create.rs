//! New network namespaces, made on a thread of their own.

use std::io;
use std::path::Path;
use std::thread;

use super::error::{NetnsError, OnPath, Result};
use super::handle::Netns;
use crate::sys;

/// What errors of this file are about: the namespace has no path yet.
const NEW: &str = "of a new network namespace";

impl Netns {
    /// A new network namespace with `lo` up and nothing else in it. Nothing but the returned value holds it.
    ///
    /// The work is done on a thread that ends with it: a thread that has moved must never run anything else, least of
    /// all as a worker of a pool, or as what becomes a runtime.
    ///
    /// # Errors
    /// [`NetnsError::Io`].
    pub fn create() -> Result<Self> {
        let path = Path::new(NEW);
        let worker = thread::Builder::new().name("berth-netns".into()).spawn(move || {
            sys::unshare_net().on("leave the network namespace in favour", path)?;
            sys::loopback_up().on("bring up the loopback interface", path)?;
            Self::current()
        });
        let joined = worker.on("start the thread", path)?.join();
        joined.unwrap_or_else(|_| Err(NetnsError::io("run the thread", path, io::Error::other("it panicked"))))
    }
}
