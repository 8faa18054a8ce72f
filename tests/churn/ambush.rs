//! Kills an interposer that a real engine has started, when it comes by.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::plan::Moment;

/// What berth is called when it is one.
const NAMES: [&str; 2] = ["berth-runc", "containerd-shim-berth-runc-v2"];

/// Lies in wait until it is over, or has killed one.
#[derive(Debug)]
pub(crate) struct Ambush {
    over: Arc<AtomicBool>,
    /// Whether it has.
    thread: JoinHandle<bool>,
}

impl Ambush {
    /// `node` is the file of the pid namespace in which it waits.
    pub(crate) fn lay(node: &Path, moment: Moment) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&over);
        let node = fs::read_link(node).expect("the node is there");
        let thread = std::thread::spawn(move || {
            while !theirs.load(Ordering::Relaxed) {
                if let Some(pid) = find(&node) {
                    std::thread::sleep(Duration::from_micros(moment.into()));
                    // It is its delegate by now, or gone, where the moment was late.
                    if is_interposer(pid, &node) && kill(pid, Signal::SIGKILL).is_ok() {
                        return true;
                    }
                }
                std::thread::yield_now();
            }
            false
        });
        Self { over, thread }
    }

    /// Ends it; whether it has killed one.
    pub(crate) fn lift(self) -> bool {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().expect("the thread that kills an interposer")
    }
}

fn find(node: &Path) -> Option<Pid> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).map(Pid::from_raw);
    pids.into_iter().find(|pid| is_interposer(*pid, node))
}

/// It runs on this very node, under an interposer's name, and has not become its delegate yet.
fn is_interposer(pid: Pid, node: &Path) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
    let program = String::from_utf8_lossy(program).into_owned();
    NAMES.iter().any(|name| Path::new(&program).ends_with(name))
        && fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|own| own == node)
}
