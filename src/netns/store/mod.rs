//! The pins of one directory. `adopt` and `release` are in files of their own, `share` makes the directory a shared
//! mount.

mod adopt;
mod release;
mod share;
mod unbury;

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::dir::{Dir, Probe};
use super::error::{NetnsError, OnPath, Result};
use super::handle::{Netns, NetnsId};
use super::{Reach, Way, mountinfo, reach};
use crate::pin::{self, PinName};
use crate::sys;

pub use release::Released;
pub use share::Sharing;

/// The pins below one directory.
///
/// Holds no descriptor and no state: the pins themselves are the truth, and each operation opens the directory anew (see
/// `dir` for why). Any number of values and processes may work on one directory.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
}

/// A pin that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// Its name.
    pub name: PinName,
    /// The network namespace that it keeps.
    pub id: NetnsId,
}

/// What is at a pin's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinState {
    /// Nothing.
    Absent,
    /// A pin half made or half released: an empty file without a mount. Adopt and release both finish it.
    Placeholder,
    /// A network namespace.
    Pinned(NetnsId),
    /// Something that is no pin, in words. No operation touches it.
    Foreign(&'static str),
}

/// What is in the directory under berth's names.
#[derive(Debug, Default)]
pub struct Listing {
    /// Names and states, sorted by name.
    pub pins: Vec<(PinName, PinState)>,
    /// Files that begin like a pin but that berth cannot have made, for the report.
    pub junk: Vec<String>,
}

impl Store {
    /// The store of the pins in `dir`, which is created (mode 0755, its parent must be there) if it is absent.
    ///
    /// The path is made canonical once (`/var/run` is a symbolic link to `/run`); afterwards its last component is never
    /// followed.
    ///
    /// # Errors
    /// [`NetnsError::Directory`] if it is no directory, belongs to another user or others may write to it.
    pub fn open(dir: &Path) -> Result<Self> {
        match DirBuilder::new().mode(0o755).create(dir) {
            // Whatever mask the process was given: others keep theirs there, too.
            Ok(()) => {
                fs::set_permissions(dir, Permissions::from_mode(0o755)).on("set the mode of directory of pins", dir)?
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(NetnsError::io("create directory of pins", dir, error)),
        }
        let path = dir.canonicalize().on("resolve directory of pins", dir)?;
        let store = Self { path };
        store.dir()?;
        Ok(store)
    }

    /// The store of the pins in `dir`, to look at: nothing is made, and a directory that is not there has no pins.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn existing(dir: &Path) -> Result<Self> {
        let path = match dir.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => dir.to_owned(),
            path => path.on("resolve directory of pins", dir)?,
        };
        let store = Self { path };
        Dir::open(&store.path)?;
        Ok(store)
    }

    /// The canonical path of the directory.
    #[must_use]
    pub fn dir_path(&self) -> &Path {
        &self.path
    }

    /// The path of a pin, there or not.
    #[must_use]
    pub fn path(&self, name: &PinName) -> PathBuf {
        self.path.join(name.as_str())
    }

    /// What is at a pin's name now.
    ///
    /// Costs open and fstat of the directory and one fstatat(2); for a pin also open, fstatfs, NS_GET_NSTYPE and fstat
    /// of it. Takes no lock.
    ///
    /// # Errors
    /// [`NetnsError::Io`], [`NetnsError::Directory`].
    pub fn state(&self, name: &PinName) -> Result<PinState> {
        Ok(match Dir::open(&self.path)? {
            None => PinState::Absent,
            Some(dir) => dir.probe(name.as_str())?.into(),
        })
    }

    /// Whether the path of `name` leads to the namespace `id`, which somebody must be holding (the pin itself does).
    ///
    /// One system call: for what is asked on every container. The path is resolved as the runtime will do it.
    #[must_use]
    pub fn leads_to(&self, name: &PinName, id: NetnsId) -> bool {
        self.at(name) == Some(id)
    }

    /// The number of what the path of `name` leads to, a network namespace or not; `None` if to nothing. One system call.
    #[must_use]
    pub fn at(&self, name: &PinName) -> Option<NetnsId> {
        nix::sys::stat::stat(&self.path(name)).ok().map(|stat| NetnsId::of(&stat))
    }

    /// All pins, and what merely looks like one. One bad file hides no other.
    ///
    /// # Errors
    /// [`NetnsError::Io`], [`NetnsError::Directory`].
    pub fn list(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        let Some(dir) = Dir::open(&self.path)? else {
            return Ok(listing);
        };
        for file in self.names(&dir)?.into_iter().filter(|file| pin::claims(file)) {
            match PinName::parse(&file) {
                Err(_) => listing.junk.push(file),
                Ok(name) => match dir.probe(name.as_str())?.into() {
                    PinState::Absent => {} // went away since the directory was read
                    state => listing.pins.push((name, state)),
                },
            }
        }
        listing.pins.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(listing)
    }

    /// Where else the namespace `id` is mounted, pins of this directory excepted: while it is somewhere, whoever mounted
    /// it there (the engine) still holds the namespace. Asks the calling thread's mountinfo, in which the root of a mount
    /// of nsfs reads `net:[<inode>]` (proc_pid_mountinfo(5)).
    ///
    /// # Errors
    /// [`NetnsError::Io`].
    pub fn others(&self, id: NetnsId) -> Result<Vec<PathBuf>> {
        let text = fs::read(mountinfo::OWN_MOUNTS).on("read", Path::new(mountinfo::OWN_MOUNTS))?;
        let root = format!("net:[{}]", id.ino);
        // A container has the directory mounted at /run/netns and at /var/run/netns: it is the same, and so are its pins.
        let file = |path: &Path| fs::metadata(path).ok().map(|data| (data.dev(), data.ino()));
        let here = |dir: &Path| dir == self.path || (file(dir).is_some() && file(dir) == file(&self.path));
        let elsewhere = |point: &Path| {
            let name = point.file_name().is_some_and(|name| pin::claims(&name.to_string_lossy()));
            !(name && point.parent().is_some_and(here))
        };
        let mounts = mountinfo::parse(&text).into_iter().filter(|mount| mount.root == Path::new(&root));
        Ok(mounts.map(|mount| mount.point).filter(|point| elsewhere(point)).collect())
    }

    /// Creates a network namespace with `lo` up and pins it.
    ///
    /// Holds: on Err neither pin nor namespace is left.
    ///
    /// # Errors
    /// [`NetnsError::OccupiedBy`] if the name has a pin already; else as [`Store::adopt`].
    pub fn create(&self, name: &PinName) -> Result<Pin> {
        if let PinState::Pinned(by) = self.state(name)? {
            return Err(NetnsError::OccupiedBy { path: self.path(name), by });
        }
        self.adopt(name, &Netns::create()?, &[])
    }

    /// Whether a mount made in the directory can be seen by the engine, or one of the engine's side here. See [`Reach`].
    #[must_use]
    pub fn reach(&self, way: Way, engine_pid: Option<u32>, proc: &Path) -> Reach {
        reach::reach(way, &self.path, engine_pid, proc)
    }

    /// The directory, which must be there.
    fn dir(&self) -> Result<Dir<'_>> {
        Dir::open(&self.path)?.ok_or_else(|| NetnsError::Directory { path: self.path.clone(), why: "does not exist" })
    }

    fn names(&self, dir: &Dir<'_>) -> Result<Vec<String>> {
        use std::os::fd::AsFd;
        let op = "read directory of pins";
        let entries = fs::read_dir(sys::fd_path(dir.as_fd())).on(op, &self.path)?;
        entries.map(|entry| Ok(entry.on(op, &self.path)?.file_name().to_string_lossy().into_owned())).collect()
    }
}

impl From<Probe> for PinState {
    fn from(probe: Probe) -> Self {
        match probe {
            Probe::Absent => Self::Absent,
            Probe::Placeholder => Self::Placeholder,
            Probe::Pinned(ns) => Self::Pinned(ns.id()),
            Probe::Foreign(what) => Self::Foreign(what),
        }
    }
}

#[cfg(test)]
mod tests;
