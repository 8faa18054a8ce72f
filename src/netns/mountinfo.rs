//! `/proc/<pid>/mountinfo` (proc_pid_mountinfo(5)), read. Pure: text in, mounts out.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The calling thread's mounts. `/proc/self` would be the main thread's.
pub(super) const OWN_MOUNTS: &str = "/proc/thread-self/mountinfo";

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Number of the mount.
    pub(super) id: u64,
    /// Number of the mount that it is mounted on.
    pub(super) parent: u64,
    /// `major:minor` of its file system.
    pub(super) device: String,
    /// The directory of the file system that is its root.
    pub(super) root: PathBuf,
    /// Where it is mounted, seen from the process's root directory.
    pub(super) point: PathBuf,
    /// Its peer group, if it is shared.
    pub(super) shared: Option<u64>,
    /// The peer group that it receives from, if it is a slave.
    pub(super) master: Option<u64>,
}

/// The mounts in the text. Lines that are not understood are left out.
pub(super) fn parse(text: &[u8]) -> Vec<Mount> {
    text.split(|&byte| byte == b'\n').filter_map(line).collect()
}

/// Those mounts in the text that `path` (absolute, canonical) leads through: all that [`covering`] looks at. A node has
/// thousands of others, of which nothing is made.
pub(super) fn towards(text: &[u8], path: &Path) -> Vec<Mount> {
    let path = path.as_os_str().as_bytes();
    text.split(|&byte| byte == b'\n').filter(|text| may_lead(text, path)).filter_map(line).collect()
}

/// Whether the line's mount point is `path` or above it, as far as can be told without undoing escapes.
fn may_lead(line: &[u8], path: &[u8]) -> bool {
    let Some(point) = line.split(|&byte| byte == b' ').nth(4) else { return false };
    let is_above = |rest: &[u8]| point == b"/" || rest.first().is_none_or(|&byte| byte == b'/');
    point.contains(&b'\\') || path.strip_prefix(point).is_some_and(is_above)
}

/// The mount that `path` (absolute, canonical) is on.
///
/// Descends from the root along the mounts' parents, the way the kernel resolves a path. The longest mount point would
/// be wrong where a mount has been covered by another one further up; of those stacked on one point, the last is it.
pub(super) fn covering<'a>(mounts: &'a [Mount], path: &Path) -> Option<&'a Mount> {
    let slash = Path::new("/");
    let known = |id| mounts.iter().any(|mount| mount.point == slash && mount.id == id);
    let root =
        mounts.iter().find(|mount| mount.point == slash && (mount.parent == mount.id || !known(mount.parent)))?;
    let mut current = top(mounts, root, slash);
    let mut prefixes: Vec<_> = path.ancestors().filter(|prefix| *prefix != slash).collect();
    prefixes.reverse();
    for prefix in prefixes {
        current = top(mounts, current, prefix);
    }
    Some(current)
}

/// The last of the mounts stacked on `point`, beginning with one that is mounted on `base`; `base` if there is none.
fn top<'a>(mounts: &'a [Mount], base: &'a Mount, point: &Path) -> &'a Mount {
    let mut current = base;
    // At most one step per mount: text that goes round in circles ends, too.
    for _ in 0..mounts.len() {
        let above = |mount: &&Mount| mount.parent == current.id && mount.id != current.id && mount.point == point;
        match mounts.iter().rev().find(above) {
            Some(next) => current = next,
            None => break,
        }
    }
    current
}

impl Mount {
    /// Where `path`, which this mount covers, is inside the mount's file system.
    pub(super) fn inside(&self, path: &Path) -> Option<PathBuf> {
        path.strip_prefix(&self.point).ok().map(|rest| self.root.join(rest))
    }
}

/// `36 35 98:0 /root /point rw,noatime shared:1 master:2 - ext3 /dev/root rw`
fn line(text: &[u8]) -> Option<Mount> {
    let mut fields = text.split(|&byte| byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let device = std::str::from_utf8(fields.next()?).ok()?.to_owned();
    let root = unescape(fields.next()?);
    let point = unescape(fields.next()?);
    fields.next()?; // per-mount options
    let (mut shared, mut master) = (None, None);
    for tag in fields.take_while(|&field| field != b"-") {
        if let Some(group) = tag.strip_prefix(b"shared:") {
            shared = number(group);
        } else if let Some(group) = tag.strip_prefix(b"master:") {
            master = number(group);
        }
    }
    Some(Mount { id, parent, device, root, point, shared, master })
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Undoes the kernel's `\ooo` for space, tab, newline, backslash (and `#`).
fn unescape(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        match octal(rest) {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[4..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

fn octal(text: &[u8]) -> Option<u8> {
    let [b'\\', digits @ ..] = text.get(..4)? else {
        return None;
    };
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests;
