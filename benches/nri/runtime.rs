//! The runtime's side: the reference adaptation (`benches/peer/runtime`), and the plugins that it has started.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Berth,
    /// `benches/peer/plugin`.
    Peer,
    /// The same program, which answers from a constant: the reference stub alone.
    Stub,
    /// Constants without any stub: the runtime's side and the socket alone.
    Constant,
}

/// Programs.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) berth: PathBuf,
    pub(crate) peer: PathBuf,
    pub(crate) runtime: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Runtime<'a> {
    programs: &'a Programs,
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

/// A plugin with a runtime of its own.
#[derive(Debug, Clone)]
pub(crate) struct Plugin {
    pub(crate) name: String,
    pid: i32,
    /// From exec to synchronized.
    pub(crate) came: Duration,
    /// Of it, Synchronize.
    pub(crate) synchronized: Duration,
}

impl<'a> Runtime<'a> {
    /// The files of network namespaces are in `engine`.
    pub(crate) fn start(programs: &'a Programs, engine: &Path) -> Self {
        let mut command = Command::new(&programs.runtime);
        let mut child = command.arg(engine).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (orders, answers) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { programs, child, orders, answers }
    }

    fn order(&mut self, order: &str) -> Vec<Duration> {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(answer.ends_with('\n'), "{order}: the runtime's side ended");
        let nanos = answer.split_whitespace().map(|nanos| nanos.parse().expect("nanoseconds"));
        nanos.map(Duration::from_nanos).collect()
    }

    /// Starts a plugin under a name of its own and tells it of pods.
    pub(crate) fn plugin(&mut self, name: &str, side: Side, pods: usize) -> Plugin {
        let (socket, netns) = (format!("/run/{name}.sock"), format!("/run/{name}-netns"));
        let berth = self.programs.berth.display();
        let peer = format!("{} -socket {socket} -netns-dir {netns}", self.programs.peer.display());
        let program = match side {
            Side::Berth => format!("{berth} nri --socket {socket} --state-dir /run/{name} --netns-dir {netns}"),
            Side::Peer => peer,
            Side::Stub => format!("{peer} -constant"),
            Side::Constant => format!("{} constant {socket}", std::env::current_exe().unwrap().display()),
        };
        let came = self.order(&format!("start {name} {pods} 2 {program}"));
        let pid = i32::try_from(came[0].as_nanos()).unwrap();
        let plugin = Plugin { name: name.to_owned(), pid, came: came[1], synchronized: came[2] };
        if side == Side::Berth && pods > 0 {
            // It answers before it pins.
            let done = format!("event=CatchUp pinned={pods}");
            while !std::fs::read_to_string(format!("/run/{name}.log")).unwrap().contains(&done) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        plugin
    }

    /// Round trips of CreateContainer, for so many pods in turn.
    pub(crate) fn create(&mut self, plugin: &Plugin, calls: usize, pods: usize) -> Vec<Duration> {
        self.order(&format!("create {} {calls} {pods}", plugin.name))
    }

    /// Round trips of RunPodSandbox of pods that end again; returns when their pins are gone.
    pub(crate) fn burst(&mut self, plugin: &Plugin, pods: usize) -> Vec<Duration> {
        let pins = || std::fs::read_dir(format!("/run/{}-netns", plugin.name)).map_or(0, Iterator::count);
        let before = pins();
        let took = self.order(&format!("burst {} {pods}", plugin.name));
        while pins() > before {
            std::thread::sleep(Duration::from_millis(5));
        }
        took
    }

    /// Pods that live and end, one in so long.
    pub(crate) fn live(&mut self, plugin: &Plugin, pods: usize, every: Duration) {
        self.order(&format!("live {} {pods} {}", plugin.name, every.as_micros()));
    }

    /// Brings pods that stay.
    pub(crate) fn run(&mut self, plugin: &Plugin, pods: usize) {
        self.order(&format!("run {} {pods}", plugin.name));
    }

    pub(crate) fn stop(&mut self, plugin: &Plugin) {
        self.order(&format!("stop {}", plugin.name));
    }
}

impl Drop for Runtime<'_> {
    fn drop(&mut self) {
        drop(self.orders.take());
        self.child.wait().unwrap();
    }
}

impl Plugin {
    /// Kilobytes: resident memory, and of it what is no file's.
    pub(crate) fn resident(&self) -> [f64; 2] {
        ["VmRSS:", "RssAnon:"].map(|what| self.status(&self.pid.to_string(), what))
    }

    /// Processor time of all its threads, those that have ended included.
    pub(crate) fn worked(&self) -> Duration {
        clock_gettime(clock_getcpuclockid(Pid::from_raw(self.pid)).unwrap()).unwrap().into()
    }

    /// Context switches of its threads.
    pub(crate) fn switched(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid)).unwrap();
        let tasks = tasks.map(|task| format!("{}/task/{}", self.pid, task.unwrap().file_name().display()));
        let kinds = |task: String| {
            self.status(&task, "voluntary_ctxt_switches:") + self.status(&task, "nonvoluntary_ctxt_switches:")
        };
        tasks.map(kinds).sum()
    }

    fn status(&self, of: &str, what: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{of}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }
}
