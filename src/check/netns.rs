//! The directory of the pins: there, berth's to write, and the same one that the engine sees.

use super::Node;
use crate::decide::facts::Swap;
use crate::door::nri::{REACH, reaches};
use crate::exit::chain;
use crate::finding::Finding;
use crate::netns::{self, Reach, Way, shared};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub(super) const DIRECTORY: &str = "netns-directory";

/// It is a directory in which only root makes files.
pub(super) fn directory(node: &Node) -> Vec<Finding> {
    let dir = node.netns_dir.as_path();
    let shown = dir.display();
    let one = match node.host.look(dir) {
        Ok(None) if parent_is_there(node, dir) => {
            Finding::pass(DIRECTORY, format!("{shown} is not there yet; it is made for the first pin"))
        }
        Ok(None) => Finding::fail(
            DIRECTORY,
            format!("{shown}: neither it nor the directory above it is there"),
            format!("mkdir -p {shown}, or name another one with --netns-dir"),
        ),
        Ok(Some(data)) if !data.is_dir() => Finding::fail(
            DIRECTORY,
            format!("{shown} is not a directory"),
            format!("remove it, or name another directory with --netns-dir; the engine uses {shown}, too"),
        ),
        Ok(Some(data)) if data.uid() != 0 || data.mode() & 0o022 != 0 => Finding::fail(
            DIRECTORY,
            format!(
                "{shown}: others than root can put files there (uid {}, mode {:o})",
                data.uid(),
                data.mode() & 0o7777
            ),
            format!("chown root {shown} && chmod 755 {shown}"),
        ),
        Ok(Some(_)) => Finding::pass(DIRECTORY, format!("{shown} is a directory of root's")),
        Err(error) if !node.privileges.root => Finding::skip(DIRECTORY, format!("{}; run as root", chain(&error))),
        Err(error) => Finding::fail(DIRECTORY, chain(&error), format!("make {shown} a directory that root can read")),
    };
    vec![one]
}

fn parent_is_there(node: &Node, dir: &Path) -> bool {
    dir.parent().is_some_and(|parent| node.host.look(parent).is_ok_and(|data| data.is_some_and(|data| data.is_dir())))
}

/// What is mounted in it is seen by the engine.
pub(super) fn reach(node: &Node) -> Vec<Finding> {
    let Some(pid) = node.engine().and_then(|engine| engine.running.as_ref()).map(|process| process.pid) else {
        return vec![Finding::skip(REACH, "no engine runs")];
    };
    let dir = node.netns_dir.as_path();
    let one = if node.host.is_here() { from_here(node, dir, pid) } else { from_a_container(node, dir, pid) };
    vec![one]
}

/// This process is where berth is to be, so a mount of its own is the question. Of a directory that is still to be made,
/// the one in which it will be.
fn from_here(node: &Node, dir: &Path, pid: u32) -> Finding {
    let Some(dir) = dir.ancestors().find_map(|dir| dir.canonicalize().ok()) else {
        return Finding::skip(REACH, format!("{} cannot be looked at", dir.display()));
    };
    let reach = netns::reach(Way::There, &dir, Some(pid), &node.host.proc());
    match reach {
        Reach::Same | Reach::Shared | Reach::Receives => reaches(Swap::Possible, &reach.to_string()),
        Reach::No(why) if !node.privileges.root => Finding::skip(REACH, format!("{why}; run as root")),
        Reach::SharedUnproven | Reach::ReceivesUnproven => {
            let dir = dir.display();
            let hint =
                format!("run berth in the node's mount namespace, or mount {dir} with Bidirectional propagation");
            Finding::warn(REACH, reach.to_string(), hint)
        }
        Reach::No(why) => reaches(Swap::PinsDoNotReach, &why),
    }
}

/// The daemon will be in another container; whether one can be made for it is the question.
fn from_a_container(node: &Node, dir: &Path, pid: u32) -> Finding {
    let path = node.host.proc().join(pid.to_string()).join("mountinfo");
    let mounts = match std::fs::read(&path) {
        Ok(mounts) => mounts,
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            return Finding::skip(REACH, format!("{}: {error}; CAP_SYS_PTRACE is needed", path.display()));
        }
        Err(error) => return Finding::skip(REACH, format!("{}: {error}", path.display())),
    };
    let dir = node.host.resolve(dir).unwrap_or_else(|_| dir.to_owned());
    let shown = dir.display();
    if shared(&mounts, &dir) {
        Finding::pass(
            REACH,
            format!(
                "{shown} is on a shared mount of the engine's: a pod reaches it with mountPropagation: Bidirectional"
            ),
        )
    } else {
        Finding::fail(
            REACH,
            format!("{shown} is on a private mount of the engine's: no pod's pins can reach it"),
            "mount --make-rshared / on the node (systemd does so; MountFlags= and PrivateMounts= in the engine's unit undo it)",
        )
    }
}
