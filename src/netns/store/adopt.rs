//! Making a pin: placeholder, lock, bind, verify. A kill between any two of them leaves a placeholder or a pin.

use std::fs::File;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{fstat, stat};

use super::share::lock_within;
use super::{Pin, Store};
use crate::netns::dir::{Dir, Probe};
use crate::netns::error::{NetnsError, OnPath, Result};
use crate::netns::handle::{Netns, NetnsId};
use crate::pin::PinName;
use crate::sys;

/// How often adopt starts over when others change the name under it. Each time, another process has got further.
const ATTEMPTS: u32 = 64;

/// An open placeholder: locked, and still what its name means.
#[derive(Debug)]
struct Placeholder {
    file: File,
    origin: Origin,
}

/// Who made a placeholder, which decides who may take it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// This call.
    Ours,
    /// A process before it, which was killed or is at it right now.
    Found,
}

impl Store {
    /// Pins the namespace `ns` under `name`.
    ///
    /// Holds: on Ok the path is a bind mount of `ns`, verified after the fact by its path. On Err the directory is as it
    /// was before, or the error is [`NetnsError::Undo`] and says what is left. Pinned already: Ok, nothing is done. A
    /// placeholder that a killed process left is completed. So a pin is healed by adopting again.
    ///
    /// Any number of processes may adopt at once: the placeholder is created with O_EXCL and locked (flock(2)), so the
    /// mount is made once. Works through descriptors; no name is resolved between check and mount.
    ///
    /// # Errors
    /// [`NetnsError::Forbidden`] for the namespaces in `forbidden`, [`NetnsError::OccupiedBy`] when another namespace is
    /// pinned under the name, [`NetnsError::Foreign`] when something else is there (both are left untouched),
    /// [`NetnsError::Covered`], [`NetnsError::Busy`], [`NetnsError::Contended`], [`NetnsError::Directory`], [`NetnsError::Io`].
    pub fn adopt(&self, name: &PinName, ns: &Netns, forbidden: &[NetnsId]) -> Result<Pin> {
        if forbidden.contains(&ns.id()) {
            return Err(NetnsError::Forbidden { path: self.path(name), id: ns.id() });
        }
        self.adopt_below(&self.dir()?, name, ns)
    }

    /// The same, in the directory as opened by the caller.
    pub(super) fn adopt_below(&self, dir: &Dir<'_>, name: &PinName, ns: &Netns) -> Result<Pin> {
        for _ in 0..ATTEMPTS {
            let found = match dir.probe(name.as_str())? {
                Probe::Pinned(there) => return self.settled(name, ns, &there),
                Probe::Foreign(what) => {
                    return Err(NetnsError::Foreign { path: self.path(name), what });
                }
                Probe::Absent => dir.create_placeholder(name)?.map(|fd| (fd, Origin::Ours)),
                Probe::Placeholder => dir.open_at(name.as_str(), OFlag::empty())?.map(|fd| (fd, Origin::Found)),
            };
            let Some((fd, origin)) = found else { continue };
            let placeholder = Placeholder { file: File::from(fd), origin };
            if let Some(pin) = self.complete(dir, name, ns, &placeholder)? {
                return Ok(pin);
            }
        }
        Err(NetnsError::Contended { path: self.path(name), tries: ATTEMPTS })
    }

    /// A pin is there already: this one, or another's.
    fn settled(&self, name: &PinName, ns: &Netns, there: &Netns) -> Result<Pin> {
        if there.id() == ns.id() {
            return Ok(Pin { name: name.clone(), id: ns.id() });
        }
        Err(NetnsError::OccupiedBy { path: self.path(name), by: there.id() })
    }

    /// Binds onto the placeholder. `None`: others were quicker, look again.
    fn complete(&self, dir: &Dir<'_>, name: &PinName, ns: &Netns, at: &Placeholder) -> Result<Option<Pin>> {
        let path = self.path(name);
        match lock_within(&at.file, &path).and_then(|()| is_current(dir, name, at)) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            // Somebody else is at it, and finishes it.
            Err(error @ NetnsError::Busy { .. }) => return Err(error),
            Err(error) => return Err(error.after(undo_placeholder(dir, name, at))),
        }
        match sys::bind(ns.as_fd(), at.file.as_fd(), sys::Submounts::Leave) {
            Ok(()) => {}
            Err(Errno::ENOENT) => return Ok(None), // released meanwhile
            Err(errno) => {
                let error = NetnsError::io("bind network namespace onto", &path, errno);
                return Err(error.after(undo_placeholder(dir, name, at)));
            }
        }
        // By its full path, not below `dir`: what counts is what others find there.
        if stat(&path).is_ok_and(|now| NetnsId::of(&now) == ns.id()) {
            return Ok(Some(Pin { name: name.clone(), id: ns.id() }));
        }
        // Either the pin was released meanwhile (and perhaps made again by a third: not ours to undo), or it stands below
        // `dir`, where its path does not lead. The number of the directory's mount tells the two apart.
        if Dir::open(self.dir_path())?.map(|now| now.mount_id()).transpose()? == Some(dir.mount_id()?) {
            return Ok(None);
        }
        Err(NetnsError::Covered { path }.after(undo_mount(dir, name, ns, at)))
    }
}

/// Whether the name still means the locked placeholder, with nothing mounted on it.
fn is_current(dir: &Dir<'_>, name: &PinName, at: &Placeholder) -> Result<bool> {
    let held = fstat(&at.file).on("stat", &dir.path_of(name))?;
    let now = dir.stat(name.as_str())?;
    Ok(held.st_dev == dir.dev() && now.is_some_and(|now| (now.st_dev, now.st_ino) == (held.st_dev, held.st_ino)))
}

/// Takes back the mount that this call has made below `dir`, then its placeholder.
fn undo_mount(dir: &Dir<'_>, name: &PinName, ns: &Netns, at: &Placeholder) -> Result<()> {
    match dir.probe(name.as_str())? {
        Probe::Pinned(ours) if ours.id() == ns.id() => match sys::detach(ours.as_fd()) {
            Ok(()) | Err(Errno::EINVAL) => {} // EINVAL: detached by others since
            Err(errno) => return Err(NetnsError::io("detach", &dir.path_of(name), errno)),
        },
        _ => {}
    }
    undo_placeholder(dir, name, at)
}

/// Takes back the placeholder, if this call has made it and it is still there. Its lock is held, or could not be had: who
/// is about to mount on it then finds that it was unlinked, and looks again.
fn undo_placeholder(dir: &Dir<'_>, name: &PinName, at: &Placeholder) -> Result<()> {
    if at.origin == Origin::Found || !is_current(dir, name, at)? {
        return Ok(());
    }
    match dir.unlink(name) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(NetnsError::io("remove placeholder", &dir.path_of(name), errno)),
    }
}
