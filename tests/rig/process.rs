//! A long-running process of the rig: its log, its signals, its end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::wait::{eventually, within};

#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    /// `nsenter`, which waits for the process and ends as it ends.
    parent: Child,
    pid: Pid,
    log: PathBuf,
    /// Where in its log this process begins; one that ran before under the same name has written to it too.
    begin: usize,
}

impl Process {
    /// Starts `command` (made by `Place::command`), its output in the file `log`, to which it appends.
    pub(crate) fn start(name: &str, mut command: std::process::Command, log: PathBuf) -> Self {
        let out = File::options().create(true).append(true).open(&log).expect("open the log file");
        let begin = read(&log).len();
        let err = out.try_clone().expect("duplicate the log's descriptor");
        let mut parent =
            command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().expect("nsenter (util-linux) runs");
        let started = eventually(&format!("{name} is started"), || {
            let ended = parent.try_wait().expect("wait for nsenter");
            child_of(parent.id()).map(Ok).or_else(|| ended.map(Err))
        });
        let pid = started.unwrap_or_else(|status| panic!("{name} could not be started ({status}): {}", read(&log)));
        Self { name: name.to_owned(), parent, pid, log, begin }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The process id, as seen by the test.
    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid, signal).unwrap_or_else(|e| panic!("send {signal} to {}: {e}", self.name));
    }

    /// SIGKILL, and no return before the process is gone.
    pub(crate) fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        self.wait(super::wait::DEADLINE);
    }

    /// How the process ended; panics if it has not within `limit`.
    #[track_caller]
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let ended = within(limit, || self.parent.try_wait().expect("wait for nsenter"));
        ended.unwrap_or_else(|| panic!("{} still runs after {limit:?}", self.name))
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.parent.try_wait().expect("wait for nsenter").is_none()
    }

    /// What this process has logged.
    pub(crate) fn log(&self) -> String {
        read(&self.log).split_off(self.begin)
    }

    /// The first line of the log that `wanted` accepts, waited for.
    #[track_caller]
    pub(crate) fn await_line(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.await_log(what, |log| log.lines().find(|line| wanted(line)).map(str::to_owned))
    }

    /// What `find` finds in the log, waited for.
    #[track_caller]
    pub(crate) fn await_log<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let found = eventually(&format!("{} logs {what}", self.name), || {
            let ended = self.parent.try_wait().expect("wait for nsenter");
            find(&self.log()).map(Ok).or_else(|| ended.map(Err))
        });
        found.unwrap_or_else(|status| panic!("{} ended ({status}) before it logged {what}", self.name))
    }

    /// For a failing test: the end of the log.
    pub(crate) fn print_tail(&self) {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        eprintln!("---- the last lines of {}", self.log.display());
        for line in lines.iter().skip(lines.len().saturating_sub(40)) {
            eprintln!("{line}");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_tail();
        }
        if self.is_running() {
            self.signal(Signal::SIGKILL);
            if let Err(e) = self.parent.wait() {
                eprintln!("rig: wait for {}: {e}", self.name);
            }
        }
    }
}

fn read(log: &Path) -> String {
    std::fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The only child of a process, if it has one yet.
pub(super) fn child_of(parent: u32) -> Option<Pid> {
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok().map(Pid::from_raw)
}
