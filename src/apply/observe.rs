//! Looking at what the lifecycle rule asks about: pins, sources, tasks. Changes nothing.

use super::{ApplyError, Keeper, file_id, id_of};
use crate::clock::Boottime;
use crate::ledger::record::{Origin, Record};
use crate::lifecycle::{Facts, Pin, Source, Tasks};
use crate::netns::{InUse, Netns, NetnsError, NetnsId, Occupancy, PinState, host_ids, in_use};
use crate::pin::PinName;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What can be seen and done from here.
#[derive(Debug, Clone)]
pub struct Sight {
    /// The procfs to look at.
    pub proc: PathBuf,
    /// It is known to show every task that can be in a pod of this node.
    pub all: bool,
    /// Else: the pid namespace it shows, by inode; records that name the same one can be judged by it.
    pub pid_ns: Option<u64>,
    /// Pins seen here are the node's, so one that is not seen does not stand, and one made here is seen there.
    pub mounts: bool,
    /// All files seen here are the node's, so a bundle that is not seen is not there. A container that pins reach has
    /// file systems of its own elsewhere.
    pub files: bool,
    /// Namespaces that must not be pinned: the host's.
    pub host: Vec<NetnsId>,
}

/// The host's procfs, unless this process is in a container without the host's pid namespace.
pub const PROC: &str = "/proc";

/// The inode of the initial pid namespace (PROC_PID_INIT_INO, include/linux/proc_ns.h): it shows every task there is.
const INITIAL_PID_NS: u64 = 0xEFFF_FFFC;

/// The pid namespace of this process, by inode.
#[must_use]
pub fn pid_namespace() -> Option<u64> {
    inode(Path::new("/proc/self/ns/pid"))
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|data| data.ino())
}

/// Whether the procfs at `proc` shows every task there is, as far as this process can tell. One of a pid namespace around
/// its own shows it under another number (fs/proc/self.c), and is taken for the host's; its own must be the initial one.
/// A directory that is no procfs shows nothing.
fn shows_all(proc: &Path, own: Option<u64>) -> bool {
    let shown = std::fs::read_link(proc.join("self")).ok();
    let number: Option<u32> = shown.and_then(|link| link.to_str().and_then(|text| text.parse().ok()));
    number.is_some_and(|number| number != std::process::id() || own == Some(INITIAL_PID_NS))
}

impl Sight {
    /// What this process can see by itself. `proc` is where the host's procfs is said to be; it is believed where it shows
    /// to be one.
    #[must_use]
    pub fn here(proc: &Path) -> Self {
        let (pid_ns, proc) = (pid_namespace(), proc.to_owned());
        let own = inode(Path::new("/proc/thread-self/ns/mnt"));
        let is_nodes = own.is_some() && own == inode(&proc.join("1/ns/mnt"));
        Self {
            all: shows_all(&proc, pid_ns),
            pid_ns,
            mounts: is_nodes,
            files: is_nodes,
            host: host_ids(&proc, None),
            proc,
        }
    }

    /// Whether the tasks of this record's pod can be seen.
    #[must_use]
    pub fn covers(&self, record: &Record) -> bool {
        self.all || (self.pid_ns.is_some() && self.pid_ns == record.pid_ns)
    }
}

impl Keeper {
    /// Everything the rule asks about one record but its tasks, now. `seen`: this process has seen the source at its
    /// path before; `files`: as in [`Sight`].
    ///
    /// # Errors
    /// What is in the pin's place cannot be looked at.
    pub(super) fn look(&self, name: &PinName, record: &Record, seen: bool, files: bool) -> Result<Facts, ApplyError> {
        let now = Boottime::now();
        let (pin, source) = if self.stands(name, record) {
            (Pin::Held, Source::Present)
        } else {
            let pin = self.look_at_pin(name, record)?;
            (pin, look_at_source(record, pin, seen, files))
        };
        Ok(Facts {
            pin,
            source,
            tasks: Tasks::Unknown,
            gone_for: record.gone.map(|at| now.since(at)),
            removed_for: record.removed.map(|at| now.since(at)),
        })
    }

    /// Whether pin and source both are the namespace of the record, which they keep alive, so that its number means it. So
    /// it is nearly always, and two system calls show it.
    fn stands(&self, name: &PinName, record: &Record) -> bool {
        let is_it = |path: &Path| std::fs::symlink_metadata(path).is_ok_and(|data| id_of(&data) == record.netns);
        record.origin == Origin::Adopted && is_it(&self.store.path(name)) && is_it(&record.source.path)
    }

    fn look_at_pin(&self, name: &PinName, record: &Record) -> Result<Pin, ApplyError> {
        Ok(match self.store.state(name)? {
            PinState::Pinned(id) if file_id(id) == record.netns => Pin::Held,
            PinState::Absent | PinState::Placeholder => Pin::Missing,
            // Another namespace or another thing: not ours to touch.
            PinState::Pinned(_) | PinState::Foreign(_) => Pin::Foreign,
        })
    }
}

/// Two scans of the tasks, where they can be seen.
pub(super) struct Scans([Option<InUse>; 2]);

impl Scans {
    /// Scans twice; an error is given to `report`, and means that nothing is known of tasks.
    pub(super) fn take(sight: &Sight, mut report: impl FnMut(ApplyError)) -> Self {
        if !sight.all && sight.pid_ns.is_none() {
            return Self([None, None]);
        }
        Self([(); 2].map(|()| match in_use(&sight.proc) {
            Ok(tasks) => Some(tasks),
            Err(error) => {
                report(error.into());
                None
            }
        }))
    }

    pub(super) fn of(&self, id: NetnsId, visible: bool) -> Tasks {
        let [Some(first), Some(second)] = &self.0 else { return Tasks::Unknown };
        if !visible {
            return Tasks::Unknown;
        }
        match (first.of(id), second.of(id)) {
            (_, Occupancy::Held(pids)) | (Occupancy::Held(pids), _) => Tasks::Some(pids.len()),
            (Occupancy::Free, Occupancy::Free) => Tasks::None,
            (Occupancy::Unknown(_), _) | (_, Occupancy::Unknown(_)) => Tasks::Unknown,
        }
    }
}

fn look_at_source(record: &Record, pin: Pin, seen: bool, files: bool) -> Source {
    match record.origin {
        Origin::Adopted => look_at_file(record, pin, seen),
        Origin::Created => match is_bundle_there(record) {
            Ok(true) => Source::Present,
            // A bundle is a directory, which no mount brings and takes. Its parent often goes with it.
            Ok(false) if files => Source::Gone,
            Ok(false) => gone(record, seen),
            Err(_) => Source::Unobservable,
        },
    }
}

fn is_bundle_there(record: &Record) -> std::io::Result<bool> {
    match std::fs::symlink_metadata(&record.source.path) {
        Ok(data) => Ok(is_it(record, &data)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the network namespace of this record was made for the bundle at `path`.
#[must_use]
pub fn is_bundle(record: &Record, path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|data| is_it(record, &data))
}

/// A record that an earlier build has written again has lost which bundle it was: then it is the one at its path.
fn is_it(record: &Record, bundle: &std::fs::Metadata) -> bool {
    record.source.bundle.is_none_or(|own| own == id_of(bundle))
}

fn look_at_file(record: &Record, pin: Pin, seen: bool) -> Source {
    match Netns::open(&record.source.path) {
        Ok(found) if pin == Pin::Held && file_id(found.id()) != record.netns => gone(record, seen),
        Ok(_) => Source::Present,
        Err(NetnsError::Missing { .. }) => gone(record, seen),
        // A plain file: unmounted and not yet removed, or a mount that does not reach this mount namespace.
        Err(_) => Source::Unobservable,
    }
}

/// "Not there" counts as gone only where it was, or would have been, seen.
fn gone(record: &Record, seen: bool) -> Source {
    let parent = record.source.path.parent().unwrap_or(Path::new("/"));
    let same = std::fs::metadata(parent).is_ok_and(|data| id_of(&data) == record.source.parent);
    if same || seen { Source::Gone } else { Source::Unobservable }
}
