//! What berth's process is and has, from outside: its metrics, its signals, its `/proc`.

use std::fs;
use std::io::Write;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::cluster::Cluster;
use super::kubectl::PATIENCE;
use crate::rig::place::Place;
use crate::rig::wait::within;

/// Longer than two rounds of the probes, and than threads without work are kept.
const REST: Duration = Duration::from_secs(21);

/// What a process has of what can leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// In kibibytes.
    pub(crate) resident: u64,
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
}

impl Cluster {
    /// The value of a metric without labels, if berth answers.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        let (_, page) = self.health("/metrics")?;
        page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// Waits until a metric has this value.
    #[track_caller]
    pub(crate) fn await_metric(&self, name: &str, value: u64) {
        let came = within(PATIENCE, || (self.metric(name) == Some(value)).then_some(()));
        assert!(came.is_some(), "{name} is {:?} and not {value}", self.metric(name));
    }

    /// Waits until berth is ready, by its own word.
    #[track_caller]
    pub(crate) fn await_ready(&self) {
        let came = within(PATIENCE, || self.health("/readyz").filter(|(status, _)| *status == 200));
        assert!(came.is_some(), "berth is not ready: {:?}", self.health("/readyz"));
    }

    /// The process of the only berth, as the node numbers it.
    #[track_caller]
    pub(crate) fn pid_of_berth(&self) -> u32 {
        self.berth().bundle(self, "berth").pid()
    }

    /// What berth comes down to while nothing happens but its probes: of each the least within [`REST`].
    #[track_caller]
    pub(crate) fn usage_at_rest(&self) -> Usage {
        let (node, pid) = (self.node(), self.pid_of_berth());
        let mut least = usage(node, pid);
        within(REST, || {
            let now = usage(node, pid);
            least = Usage {
                resident: least.resident.min(now.resident),
                descriptors: least.descriptors.min(now.descriptors),
                threads: least.threads.min(now.threads),
            };
            None::<()>
        });
        least
    }
}

#[track_caller]
fn usage(node: Place, pid: u32) -> Usage {
    let count = |directory: &str| {
        let entries = fs::read_dir(node.path(format!("/proc/{pid}/{directory}")));
        entries.unwrap_or_else(|e| panic!("{directory} of process {pid}: {e}")).count()
    };
    let status = fs::read_to_string(node.path(format!("/proc/{pid}/status"))).expect("berth runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    Usage {
        resident: resident.expect("a process has memory").parse().expect("a number"),
        descriptors: count("fd"),
        threads: count("task"),
    }
}

/// Shows figures to whoever runs the tests, also while they pass: what macros print is kept back then.
pub(crate) fn show(figures: &str) {
    std::io::stderr().write_all(format!("{figures}\n").as_bytes()).expect("write to standard error");
}

/// Sends a signal to a process of the node.
#[track_caller]
pub(crate) fn send(node: Place, signal: Signal, pid: u32) {
    let number = format!("-{}", signal as i32);
    node.run("sh", &["-c", "kill $0 $1", &number, &pid.to_string()]).unwrap_or_else(|e| panic!("{e}"));
}

/// The only process of the node with this name.
#[track_caller]
pub(crate) fn process_named(node: Place, name: &str) -> u32 {
    let entries = fs::read_dir(node.path("/proc")).expect("read the node's /proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let comm = |pid: &u32| fs::read_to_string(node.path(format!("/proc/{pid}/comm"))).unwrap_or_default();
    let found: Vec<_> = pids.filter(|pid| comm(pid).trim_end() == name).collect();
    let [pid] = found[..] else { panic!("the processes {name} are {found:?}, not one") };
    pid
}
