//! What all that happens at the same time shares.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::rc::Rc;
use std::time::{Duration, Instant};

use berth::nri::api::PodSandbox;
use tokio::process::{Child, Command};

use crate::chance::Chance;
use crate::fake_runtime::Session;
use crate::stage;

/// What takes longer hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// What a process may say that could not do its work because another was at it.
const BUSY: &[&str] = &["is held by another berth", "another berth is at it", "has changed while it was looked at"];

/// What a creation may be answered because the id's earlier namespace is not over, or its own is by now.
const OTHER: &[&str] = &["is taken by network namespace", "does not exist"];

/// What is tried at least once.
const TRIED: &[&str] = &["runtime: done", "gc: done", "nri: done", "killed", "stopped", "daemons", "lives", "tasks"];

pub(crate) struct Scene {
    pub(crate) chance: RefCell<Chance>,
    /// Processes of berth that run now.
    pub(crate) running: RefCell<Vec<i32>>,
    /// The session of the daemon, while it has one.
    pub(crate) session: RefCell<Option<Rc<Session>>>,
    /// The pods that the engine has.
    pub(crate) pods: RefCell<BTreeMap<&'static str, PodSandbox>>,
    counts: RefCell<BTreeMap<String, u64>>,
    over: Cell<bool>,
}

/// How a process ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Done,
    /// Somebody else was at it, or it was killed.
    InVain,
}

impl Scene {
    pub(crate) fn set(chance: Chance) -> Self {
        stage::silent("runc");
        stage::interposer("berth-runc");
        fs::create_dir_all("/run/netns").unwrap();
        Self {
            chance: RefCell::new(chance),
            running: RefCell::default(),
            session: RefCell::default(),
            pods: RefCell::default(),
            counts: RefCell::default(),
            over: Cell::new(false),
        }
    }

    /// After so long, or later, on a busy machine: when everything has been tried.
    pub(crate) async fn ends_after(&self, time: Duration) {
        tokio::time::sleep(time).await;
        let begin = Instant::now();
        while let Some(what) = self.missing() {
            assert!(begin.elapsed() < LIMIT, "not once: {what}: {}", self.tally());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.over.set(true);
    }

    /// What has not happened once.
    fn missing(&self) -> Option<&'static str> {
        TRIED.iter().copied().find(|what| !self.counts.borrow().contains_key(*what))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.get()
    }

    pub(crate) fn count(&self, what: &str) {
        *self.counts.borrow_mut().entry(what.to_owned()).or_default() += 1;
    }

    /// What was tried, and how often.
    pub(crate) fn tally(&self) -> String {
        format!("{:?}", self.counts.borrow())
    }

    /// Starts a process that may be stopped and killed from now on.
    pub(crate) fn start(&self, command: &mut Command) -> Child {
        let child = command.kill_on_drop(true).stdin(Stdio::null()).spawn().unwrap();
        self.running.borrow_mut().push(child.id().unwrap().cast_signed());
        child
    }

    /// It has ended, and its number can be given to another process.
    pub(crate) fn ended(&self, pid: u32) {
        self.running.borrow_mut().retain(|running| *running != pid.cast_signed());
    }

    /// Runs it to its end, and looks at what it says.
    pub(crate) async fn run(&self, what: &str, command: &mut Command) -> Ended {
        let child = self.start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        let pid = child.id().unwrap();
        let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await.expect("it ends").unwrap();
        self.ended(pid);
        let said = String::from_utf8_lossy(&output.stderr);
        let ended = match output.status.code() {
            Some(0) => Ended::Done,
            None => Ended::InVain,
            Some(_) => {
                self.check(what, &said);
                Ended::InVain
            }
        };
        self.count(&format!("{what}: {}", if ended == Ended::Done { "done" } else { "in vain" }));
        ended
    }

    /// Only these are reasons.
    pub(crate) fn check(&self, what: &str, said: &str) {
        let known = |words: &[&str]| said.lines().all(|line| words.iter().any(|words| line.contains(words)));
        let reasons = if what == "gc" { BUSY.to_vec() } else { [BUSY, OTHER].concat() };
        assert!(!said.is_empty() && known(&reasons), "{what}: {said}");
    }

    /// Everything has ended: nothing is left, when what killed processes have left is old enough to be swept.
    pub(crate) async fn nothing_is_left(&self) {
        let berth = env!("CARGO_BIN_EXE_berth");
        let begin = Instant::now();
        loop {
            let gc = std::process::Command::new(berth).arg("gc").output().unwrap();
            assert!(gc.status.success(), "alone it succeeds: {gc:?}");
            let left = names("/run/netns", "berth-").len() + names("/run/berth/sandboxes", "berth-").len();
            if left == 0 {
                break;
            }
            assert!(begin.elapsed() < LIMIT, "left: {gc:?}");
        }
        for dir in ["/run/berth", "/run/berth/sandboxes", "/run/berth/locks"] {
            for entry in fs::read_dir(dir).unwrap() {
                let old = std::time::SystemTime::now() - Duration::from_secs(120);
                fs::File::open(entry.unwrap().path()).unwrap().set_modified(old).unwrap();
            }
        }
        assert!(std::process::Command::new(berth).arg("gc").status().unwrap().success());
        let left = [names("/run/berth/sandboxes", ""), names("/run/berth/locks", "")].concat();
        assert!(left.is_empty(), "{left:?}");
        assert_eq!(names("/run/berth", ".tmp"), Vec::<String>::new());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains("/berth-"), "{mounts}");
    }
}

fn names(dir: &str, start: &str) -> Vec<String> {
    let names = fs::read_dir(Path::new(dir)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(start)).collect()
}
