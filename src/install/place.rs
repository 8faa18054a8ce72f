//! Hosts that take no programs everywhere, or not at all.

use super::InstallError;
use crate::engine::Host;
use nix::sys::statvfs::{FsFlags, statvfs};
use std::path::{Path, PathBuf};

/// Hosts whose systems cannot be changed, by their ID in os-release, and what is possible there.
const IMMUTABLE: [(&str, &str); 2] = [
    (
        "talos",
        "The NRI plugin works there, as a DaemonSet. Interposers have to come with the image: berth as a system extension, \
         and the handler in /etc/cri/conf.d by the machine configuration",
    ),
    (
        "bottlerocket",
        "The NRI plugin works there, as a DaemonSet, where its containerd has NRI on. Interposers need a variant of the \
         image with berth and the handler in it",
    ),
];

/// The directory of programs in that of names, where it cannot be beside it.
const BELOW: &str = "berth.d";

/// Where hosts with a read-only /usr take programs.
const ELSEWHERE: [(&str, &str); 2] = [("flatcar", "/opt/bin"), ("cos", "/home/kubernetes/bin")];

/// Where programs of every version have a directory, if names may be put into `bin_dir` at all and be run: beside it,
/// `lib/berth`, and below it where that takes no programs, as on COS, where of /home that directory alone does.
///
/// # Errors
/// They may not; what to do instead is in it.
pub(super) fn programs(host: &Host, bin_dir: &Path) -> Result<PathBuf, InstallError> {
    let (id, name) = os(host);
    if let Some((_, instead)) = IMMUTABLE.iter().find(|(os, _)| *os == id) {
        return Err(InstallError::Immutable { os: name, instead });
    }
    let suggestion =
        ELSEWHERE.iter().find(|(os, _)| *os == id).map(|(_, dir)| *dir).filter(|dir| Path::new(dir) != bin_dir);
    check(host, bin_dir, suggestion)?;
    let beside = bin_dir.parent().unwrap_or(Path::new("/")).join("lib/berth");
    Ok(if check(host, &beside, None).is_ok() { beside } else { bin_dir.join(BELOW) })
}

fn check(host: &Host, dir: &Path, suggestion: Option<&'static str>) -> Result<(), InstallError> {
    match flags(host, dir) {
        Some((dir, flags)) if flags.contains(FsFlags::ST_RDONLY) => {
            Err(InstallError::ReadOnly { dir: dir.to_owned(), suggestion })
        }
        Some((dir, flags)) if flags.contains(FsFlags::ST_NOEXEC) => {
            Err(InstallError::NoExec { dir: dir.to_owned(), suggestion })
        }
        _ => Ok(()),
    }
}

/// How the file system is mounted that a directory is on, or would be.
fn flags<'a>(host: &Host, dir: &'a Path) -> Option<(&'a Path, FsFlags)> {
    dir.ancestors().find_map(|dir| Some((dir, statvfs(&host.path(dir).ok()?).ok()?.flags())))
}

/// ID and name of the host's system (os-release(5)).
fn os(host: &Host) -> (String, String) {
    let text =
        ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|path| host.read(Path::new(path)).ok().flatten());
    let text = text.unwrap_or_default();
    let value = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
    };
    let (id, name) = (value("ID"), value("NAME"));
    (id.clone(), if name.is_empty() { id } else { name })
}
