//! Undoing a pin: detach, however often it is mounted, then unlink.

use std::os::fd::AsFd;

use nix::errno::Errno;

use super::{Store, unbury};
use crate::netns::dir::{Dir, Probe};
use crate::netns::error::{NetnsError, Result};
use crate::pin::PinName;
use crate::sys;

/// The most steps of one release. Mounts can be stacked (by others: every propagated copy counts), not endlessly.
const STEPS: u32 = 1024;
/// How often in a row a step may have no effect before it is an error.
const IDLE_STEPS: u32 = 16;

/// What a release found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// There was a pin or a placeholder; it is gone now.
    Yes,
    /// There was nothing.
    WasGone,
}

impl Store {
    /// Undoes the pin: the mounts on it are detached (MNT_DETACH, umount2(2)), its file is removed.
    ///
    /// Holds: on Ok the name is free. Detaching is right for nsfs: it has no data to write, and whoever has the
    /// namespace open keeps it, but nobody finds it here any more. Each mount is detached through a descriptor on that
    /// very mount, verified to be a network namespace, so a swapped name cannot make it another's.
    ///
    /// A pin that was made before others bound the directory onto itself has a second mount below the visible one, which
    /// no path leads to and which makes unlink answer EBUSY. That is undone as well, see `unbury`.
    ///
    /// # Errors
    /// [`NetnsError::Foreign`]: what is there is no pin; untouched. [`NetnsError::Io`] with EBUSY: something else is
    /// mounted on the file, out of sight; the visible pin is gone.
    pub fn release(&self, name: &PinName) -> Result<Released> {
        let Some(dir) = Dir::open(self.dir_path())? else {
            return Ok(Released::WasGone);
        };
        let mut released = Released::WasGone;
        let mut idle = 0;
        for _ in 0..STEPS {
            let step = match dir.probe(name.as_str())? {
                Probe::Absent => return Ok(released),
                Probe::Foreign(what) => {
                    return Err(NetnsError::Foreign { path: self.path(name), what });
                }
                Probe::Pinned(ns) => sys::detach(ns.as_fd()).map_err(|errno| ("detach", errno)),
                Probe::Placeholder => match dir.unlink(name) {
                    Ok(()) => return Ok(Released::Yes),
                    Err(errno) => Err(("remove", errno)),
                },
            };
            match step {
                Ok(()) => (released, idle) = (Released::Yes, 0),
                // Others detached it, mounted it or removed it since it was looked at: look again.
                Err((_, Errno::EBUSY)) if idle == IDLE_STEPS / 2 => {
                    unbury::unlink_covered(&dir, name)?;
                    idle += 1;
                }
                Err((_, Errno::EINVAL | Errno::EBUSY | Errno::ENOENT)) if idle < IDLE_STEPS => idle += 1,
                Err((op, errno)) => return Err(NetnsError::io(op, &self.path(name), errno)),
            }
        }
        Err(NetnsError::Contended { path: self.path(name), tries: STEPS })
    }
}
