//! The cgroups of one rig's pods. The hierarchy is the host's, which no namespace of the rig hides, so they get a
//! parent of their own and it is removed when the rig has gone.

use std::path::Path;
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
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // cgroup v2 has one hierarchy, at the root; v1 has one below it for each controller.
        let hierarchies = std::fs::read_dir(ROOT).into_iter().flatten().flatten().map(|entry| entry.path());
        for hierarchy in std::iter::once(ROOT.into()).chain(hierarchies) {
            let group = hierarchy.join(&self.parent[1..]);
            // The kernel takes a moment to let go of processes that have ended.
            if within(Duration::from_secs(2), || remove(&group).then_some(())).is_none() {
                eprintln!("rig: {} is left behind", group.display());
            }
        }
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
