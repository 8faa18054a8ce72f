//! The cgroups of one rig's pods. The hierarchy is the host's, which no namespace of the rig hides, so they get a
//! parent of their own and it is removed when the rig has gone.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::wait::within;

const ROOT: &str = "/sys/fs/cgroup";

#[derive(Debug)]
pub(crate) struct Cgroup {
    parent: String,
}

impl Cgroup {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self { parent: format!("/berth-rig-{}-{number}", std::process::id()) }
    }

    /// One that an engine makes by a name of its own.
    pub(crate) fn of_engine(parent: &str) -> Self {
        Self { parent: parent.to_owned() }
    }

    pub(crate) fn parent(&self) -> &str {
        &self.parent
    }

    /// Makes it in every hierarchy: a kubelet wants its root to be there.
    pub(super) fn make(&self) {
        let v2 = is_hierarchy(Path::new(ROOT));
        if v2 {
            enable_controllers();
        }
        for hierarchy in hierarchies().into_iter().filter(|path| if v2 { path == ROOT } else { is_hierarchy(path) }) {
            let group = hierarchy.join(&self.parent[1..]);
            // `cpu` and `cpuacct` may be two names of one hierarchy.
            std::fs::create_dir_all(&group).unwrap_or_else(|e| panic!("make {}: {e}", group.display()));
        }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for hierarchy in hierarchies() {
            let group = hierarchy.join(&self.parent[1..]);
            // The kernel takes a moment to let go of processes that have ended.
            if within(Duration::from_secs(2), || remove(&group).then_some(())).is_none() {
                eprintln!("rig: {} is left behind", group.display());
            }
        }
    }
}

/// cgroup v2 has one hierarchy, at the root; v1 has one below it for each controller.
fn hierarchies() -> Vec<PathBuf> {
    let below = std::fs::read_dir(ROOT).into_iter().flatten().flatten().map(|entry| entry.path());
    std::iter::once(PathBuf::from(ROOT)).chain(below).collect()
}

fn is_hierarchy(path: &Path) -> bool {
    path.join("cgroup.procs").exists()
}

/// Has groups below the root of cgroup v2 have all controllers that there are.
fn enable_controllers() {
    let controllers = std::fs::read_to_string(format!("{ROOT}/cgroup.controllers")).unwrap_or_default();
    for controller in controllers.split_whitespace() {
        let enabled = std::fs::write(format!("{ROOT}/cgroup.subtree_control"), format!("+{controller}"));
        enabled.unwrap_or_else(|e| eprintln!("rig: enable the controller {controller}: {e}"));
    }
}

/// Removes a cgroup and those below it; says whether it is gone.
fn remove(group: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(group) else { return true };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove(&entry.path());
    }
    std::fs::remove_dir(group).is_ok()
}
