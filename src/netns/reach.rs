//! Does a mount made here reach the engine, or one made there reach this process? Decided from mountinfo by a pure
//! function; the rest only reads files.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::mountinfo::{self, Mount, OWN_MOUNTS};

/// The calling thread's mount namespace.
const OWN_NAMESPACE: &str = "/proc/thread-self/ns/mnt";

/// Which way mounts are to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the calling thread to the engine.
    There,
    /// From the engine to the calling thread.
    Here,
}

/// Whether a mount made in a directory by one of calling thread and engine is seen by the other at the same path. Said of
/// the way there:
///
/// With the engine's process known it is proven: same mount namespace, or the engine's mount that covers the directory
/// is a peer (`shared:N`) or a slave (`master:N`) of ours and shows the same directory there.
///
/// With the engine unknown, a shared mount is the best there is to see, and proves little: it must have been shared
/// before berth touched anything. So [`super::Store::ensure_shared`] must not have been called from this mount
/// namespace: a bind mount onto itself would be `shared:` with nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// The engine is in the same mount namespace.
    Same,
    /// Mounts propagate to the engine.
    Shared,
    /// The mount is shared, with whom is not to be seen.
    SharedUnproven,
    /// Mounts propagate from the engine.
    Receives,
    /// The mount receives others, from whom is not to be seen.
    ReceivesUnproven,
    /// They do not, or it cannot be shown. The sentence says why.
    No(String),
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("same mount namespace as the engine"),
            Self::Shared => f.write_str("mounts propagate to the engine"),
            Self::SharedUnproven => f.write_str("the mount is shared, the engine is not known"),
            Self::Receives => f.write_str("mounts propagate from the engine"),
            Self::ReceivesUnproven => f.write_str("the mount receives others, the engine is not known"),
            Self::No(why) => f.write_str(why),
        }
    }
}

/// [`Reach`] of `dir` (absolute, canonical) for the process `engine_pid` in the procfs at `proc`.
#[must_use]
pub fn reach(way: Way, dir: &Path, engine_pid: Option<u32>, proc: &Path) -> Reach {
    let own = match fs::read(OWN_MOUNTS) {
        Ok(text) => text,
        Err(error) => return unreadable(OWN_MOUNTS, &error),
    };
    let Some(pid) = engine_pid else {
        return judge(way, &own, None, dir);
    };
    let engine = proc.join(pid.to_string());
    // Who makes no mounts may well lack the right to look at the engine (CAP_SYS_PTRACE).
    let refused = |error: &io::Error| way == Way::Here && error.kind() == io::ErrorKind::PermissionDenied;
    match same_namespace(&engine.join("ns/mnt")) {
        Ok(true) => return Reach::Same,
        Ok(false) => {}
        Err(error) if refused(&error) => return judge(way, &own, None, dir),
        Err(error) => return unreadable(&engine.join("ns/mnt").display().to_string(), &error),
    }
    match fs::read(engine.join("mountinfo")) {
        Ok(text) => judge(way, &own, Some(&text), dir),
        Err(error) => unreadable(&engine.join("mountinfo").display().to_string(), &error),
    }
}

/// The answer for `dir`, given the mounts of both sides as mountinfo shows them. Pure.
///
/// Rules, in this order: 1. our mount must be shared, or, on the way here, receive; 2. without the engine's mounts that
/// is all there is to know; 3. the engine must see the same directory (device and place inside the file system) under the
/// path; 4. one of the two mounts must be in the peer group that gives, the other in it or receiving from it.
fn judge(way: Way, own: &[u8], engine: Option<&[u8]>, dir: &Path) -> Reach {
    let own = mountinfo::towards(own, dir);
    let Some(ours) = mountinfo::covering(&own, dir) else {
        return Reach::No(format!("no mount covers {} here", dir.display()));
    };
    let (ours_in, lacks, unproven, proven) = match way {
        Way::There => ([ours.shared, None], "is not shared", Reach::SharedUnproven, Reach::Shared),
        Way::Here => ([ours.shared, ours.master], "receives no mounts", Reach::ReceivesUnproven, Reach::Receives),
    };
    let Some(group) = ours_in.into_iter().flatten().next() else {
        let (point, dir) = (ours.point.display(), dir.display());
        return Reach::No(format!("the mount at {point}, which {dir} is on, {lacks}"));
    };
    let Some(engine) = engine else {
        return unproven;
    };
    let engine = mountinfo::towards(engine, dir);
    let Some(theirs) = mountinfo::covering(&engine, dir) else {
        return Reach::No(format!("no mount covers {} in the engine's mount namespace", dir.display()));
    };
    if place(ours, dir) != place(theirs, dir) {
        return Reach::No(format!("{} is another directory in the engine's mount namespace", dir.display()));
    }
    let theirs_in = |group: u64| match way {
        Way::There => theirs.shared == Some(group) || theirs.master == Some(group),
        Way::Here => theirs.shared == Some(group),
    };
    let point = theirs.point.display();
    match way {
        _ if ours_in.into_iter().flatten().any(theirs_in) => proven,
        Way::There => Reach::No(format!("the engine's mount at {point} does not receive from peer group {group}")),
        Way::Here => Reach::No(format!("the engine's mount at {point} does not give to peer group {group}")),
    }
}

/// Whether the mount that `dir` (absolute, canonical) is on is a shared one, in a mountinfo: then a container's mounts can
/// reach it by Bidirectional propagation. Pure.
#[must_use]
pub fn shared(mounts: &[u8], dir: &Path) -> bool {
    mountinfo::covering(&mountinfo::towards(mounts, dir), dir).is_some_and(|mount| mount.shared.is_some())
}

/// What identifies a directory across mount namespaces.
fn place<'a>(mount: &'a Mount, dir: &Path) -> (&'a str, Option<std::path::PathBuf>) {
    (&mount.device, mount.inside(dir))
}

fn same_namespace(theirs: &Path) -> io::Result<bool> {
    let (own, theirs) = (fs::metadata(OWN_NAMESPACE)?, fs::metadata(theirs)?);
    Ok((own.dev(), own.ino()) == (theirs.dev(), theirs.ino()))
}

fn unreadable(path: &str, error: &io::Error) -> Reach {
    Reach::No(format!("{path} cannot be read: {error}"))
}

#[cfg(test)]
mod tests;
