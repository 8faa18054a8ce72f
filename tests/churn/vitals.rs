//! What a process weighs and holds.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// A process at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vitals {
    /// Resident memory in kilobytes (`VmRSS`).
    pub(crate) resident: u64,
    /// Of it what is no file's (`RssAnon`): the rest is pages of the program that were used once.
    pub(crate) own: u64,
    pub(crate) threads: u64,
    pub(crate) descriptors: usize,
    /// Watches of its inotify instances.
    pub(crate) watches: usize,
}

/// How often a process is looked at, and with what time between: a look at all tasks of the node takes less.
const LOOKS: usize = 10;
const BETWEEN: Duration = Duration::from_millis(20);

impl Vitals {
    /// What it holds; what it opens for a moment, to look at the node, it does not.
    pub(crate) fn at_rest(proc: &Path) -> Self {
        let looks = (0..LOOKS).map(|_| {
            std::thread::sleep(BETWEEN);
            Self::of(proc)
        });
        looks.min_by_key(|look| look.descriptors).expect("it was looked at")
    }

    /// `proc` is the process's directory in a procfs.
    pub(crate) fn of(proc: &Path) -> Self {
        let status = fs::read_to_string(proc.join("status")).expect("the process runs");
        let number = |key: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a line of status");
            line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
        };
        let infos = fs::read_dir(proc.join("fdinfo")).expect("the process's descriptors").flatten();
        // One that is closed meanwhile holds nothing.
        let infos: Vec<_> = infos.filter_map(|info| fs::read_to_string(info.path()).ok()).collect();
        let watches = infos.iter().map(|info| info.matches("inotify wd:").count()).sum();
        let (resident, own) = (number("VmRSS:"), number("RssAnon:"));
        Self { resident, own, threads: number("Threads:"), descriptors: infos.len(), watches }
    }
}

/// What was seen of a daemon, or of one after the other, in a line.
pub(crate) fn said(rests: &[Vitals], fresh: Vitals) -> String {
    let resident: Vec<_> = rests.iter().map(|rest| rest.resident).collect();
    let last = rests.last().unwrap_or(&fresh);
    let own: Vec<_> = rests.iter().map(|rest| rest.own).collect();
    format!(
        "resident kB {resident:?}, of a fresh one {}; of it no file's {own:?}, {}; at the end {last:?}",
        fresh.resident, fresh.own
    )
}
