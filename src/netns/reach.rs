//! Does a mount made here reach the engine? Decided from mountinfo by a pure function; the rest only reads files.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::mountinfo::{self, Mount, OWN_MOUNTS};

/// The calling thread's mount namespace.
const OWN_NAMESPACE: &str = "/proc/thread-self/ns/mnt";

/// Whether a mount made in a directory by the calling thread is seen by the engine at the same path.
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
    /// They do not, or it cannot be shown. The sentence says why.
    No(String),
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("same mount namespace as the engine"),
            Self::Shared => f.write_str("mounts propagate to the engine"),
            Self::SharedUnproven => f.write_str("the mount is shared, the engine is not known"),
            Self::No(why) => f.write_str(why),
        }
    }
}

/// [`Reach`] of `dir` (absolute, canonical) for the process `engine_pid` in the procfs at `proc`.
#[must_use]
pub fn reach(dir: &Path, engine_pid: Option<u32>, proc: &Path) -> Reach {
    let own = match fs::read(OWN_MOUNTS) {
        Ok(text) => text,
        Err(error) => return unreadable(OWN_MOUNTS, &error),
    };
    let Some(pid) = engine_pid else {
        return judge(&own, None, dir);
    };
    let engine = proc.join(pid.to_string());
    match same_namespace(&engine.join("ns/mnt")) {
        Ok(true) => return Reach::Same,
        Ok(false) => {}
        Err(error) => return unreadable(&engine.join("ns/mnt").display().to_string(), &error),
    }
    match fs::read(engine.join("mountinfo")) {
        Ok(text) => judge(&own, Some(&text), dir),
        Err(error) => unreadable(&engine.join("mountinfo").display().to_string(), &error),
    }
}

/// The answer for `dir`, given the mounts of both sides as mountinfo shows them. Pure.
///
/// Rules, in this order: 1. our mount must be shared; 2. without the engine's mounts that is all there is to know;
/// 3. the engine must see the same directory (device and place inside the file system) under the path; 4. its mount
/// there must be in our peer group or receive from it.
fn judge(own: &[u8], engine: Option<&[u8]>, dir: &Path) -> Reach {
    let own = mountinfo::parse(own);
    let Some(ours) = mountinfo::covering(&own, dir) else {
        return Reach::No(format!("no mount covers {} here", dir.display()));
    };
    let Some(group) = ours.shared else {
        return Reach::No(format!(
            "the mount at {}, which {} is on, is not shared",
            ours.point.display(),
            dir.display()
        ));
    };
    let Some(engine) = engine else {
        return Reach::SharedUnproven;
    };
    let engine = mountinfo::parse(engine);
    let Some(theirs) = mountinfo::covering(&engine, dir) else {
        return Reach::No(format!("no mount covers {} in the engine's mount namespace", dir.display()));
    };
    if place(ours, dir) != place(theirs, dir) {
        return Reach::No(format!("{} is another directory in the engine's mount namespace", dir.display()));
    }
    if theirs.shared == Some(group) || theirs.master == Some(group) {
        return Reach::Shared;
    }
    Reach::No(format!("the engine's mount at {} does not receive from peer group {group}", theirs.point.display()))
}

/// Whether the mount that `dir` (absolute, canonical) is on is a shared one, in a mountinfo: then a container's mounts can
/// reach it by Bidirectional propagation. Pure.
#[must_use]
pub fn shared(mounts: &[u8], dir: &Path) -> bool {
    mountinfo::covering(&mountinfo::parse(mounts), dir).is_some_and(|mount| mount.shared.is_some())
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
