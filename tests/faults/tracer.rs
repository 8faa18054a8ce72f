//! A program that runs under ptrace(2), and one of whose system calls is disturbed.
//!
//! Counted are the calls of all threads of the process in the order in which they begin, from the first one of `main` on
//! (what the loader and the start of the runtime do is over then), to the process's end or until it becomes another
//! program. Programs that it starts are not traced: they live on when it is killed, as they would otherwise.

use std::collections::HashSet;
use std::ffi::CStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use crate::calls;
use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// What is done to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The process is killed, and the call has no effect.
    KillBefore,
    /// The process is killed when the call has had its effect.
    KillAfter,
    /// The call has no effect and gives this error.
    Fail(Errno),
    /// The call has its effect and gives this error all the same.
    FailAfter(Errno),
}

/// A call, by its number and two of its arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) number: i64,
    pub(crate) second: u64,
    pub(crate) third: u64,
}

/// One fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// At this call of the undisturbed run, counted from nought,
    pub(crate) at: usize,
    /// which is this one of those like it, counted from nought: what threads do in another order next time.
    pub(crate) nth: usize,
    pub(crate) call: Call,
    pub(crate) fault: Fault,
}

/// What became of a traced program.
#[derive(Debug)]
pub(crate) struct Run {
    /// Its calls, in the order in which they began.
    pub(crate) calls: Vec<Call>,
    /// The fault has been done, or the process has ended in that very call.
    pub(crate) disturbed: bool,
    /// The path that the disturbed call was about, if it was given one.
    pub(crate) path: Option<String>,
    /// It has become another program; its end is that one's.
    pub(crate) replaced: bool,
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Its standard error.
    pub(crate) said: String,
}

/// Waits until it is traced, and becomes the program.
const WAITER: &str = "echo ready && read go && exec \"$@\" </dev/null >/dev/null";

/// Before `main`, the runtime asks for the signal stack that there is, and then sets its own: its last step that can fail.
const RUNTIME_STACKS: usize = 2;

/// How a thread's stop is reported that comes with its first moment (linux/ptrace.h).
const EVENT_STOP: i32 = 128;

/// Runs `command` to its end, disturbed as planned. Its standard output is read by nobody.
pub(crate) fn run(command: &Command, plan: Option<Plan>) -> Run {
    let said = tempfile::tempfile().unwrap();
    let pid = start(command, &said);
    Tracer::new(pid, plan, Begin::Main(0)).finish(&said)
}

/// A traced program that serves, on a thread that traces it.
pub(crate) struct Server {
    pid: Pid,
    said: File,
    news: Arc<News>,
    tracer: JoinHandle<Run>,
}

/// What is told between the tracer and others.
#[derive(Default)]
struct News {
    /// The path begins, and calls count from now on.
    begun: AtomicBool,
    calls: AtomicUsize,
    disturbed: AtomicBool,
}

impl Server {
    /// Starts it. It is left alone until [`Self::begin`].
    pub(crate) fn start(command: Command, plan: Option<Plan>) -> Self {
        let said = tempfile::tempfile().unwrap();
        let news = Arc::new(News::default());
        let (tell, told) = channel();
        let tracer = std::thread::spawn({
            let (news, said) = (Arc::clone(&news), said.try_clone().unwrap());
            move || {
                let pid = start(&command, &said);
                tell.send(pid).unwrap();
                Tracer::new(pid, plan, Begin::Told(news)).finish(&said)
            }
        });
        Self { pid: told.recv().unwrap(), said, news, tracer }
    }

    /// From now on its calls count.
    pub(crate) fn begin(&self) {
        self.news.begun.store(true, SeqCst);
    }

    /// How many calls have been counted.
    pub(crate) fn calls(&self) -> usize {
        self.news.calls.load(SeqCst)
    }

    pub(crate) fn disturbed(&self) -> bool {
        self.news.disturbed.load(SeqCst)
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.tracer.is_finished()
    }

    /// What it has said up to now.
    pub(crate) fn said(&self) -> String {
        text(&self.said)
    }

    /// Kills it, unless it has ended by itself; what became of it.
    pub(crate) fn end(self) -> Run {
        if !self.has_ended() {
            // Ended a moment ago: its tracer is about to say so.
            assert!(matches!(kill(self.pid, Signal::SIGKILL), Ok(()) | Err(Errno::ESRCH)));
        }
        self.tracer.join().unwrap()
    }
}

/// All of a file that is being written.
fn text(file: &File) -> String {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The command, stopped where it is about to begin, and traced by this thread from there on.
#[allow(clippy::zombie_processes, reason = "the tracer waits for it, by its number")]
fn start(command: &Command, said: &File) -> Pid {
    let mut waiter = Command::new("/bin/sh");
    waiter.args(["-c", WAITER, "sh"]).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => waiter.env(key, value),
            None => waiter.env_remove(key),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        waiter.current_dir(dir);
    }
    waiter.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(said.try_clone().unwrap());
    let mut child = waiter.spawn().expect("sh runs");
    // It has become the shell when that says so, and the next program that it becomes is the one.
    child.stdout.take().unwrap().read_exact(&mut [0; 6]).expect("sh says that it is ready");
    let pid = Pid::from_raw(child.id().cast_signed());
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(pid, options).expect("a child can be traced");
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    pid
}

/// From when on calls count.
enum Begin {
    /// From `main` on. So many signal stacks were seen to be set.
    Main(usize),
    /// When that is told.
    Told(Arc<News>),
}

/// How far the fault has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The call has not begun.
    Ahead,
    /// The thread is in the call.
    Within(Pid),
    /// It is done.
    Done,
}

struct Tracer {
    pid: Pid,
    plan: Option<Plan>,
    stage: Stage,
    path: Option<String>,
    begin: Begin,
    /// Threads that are in a call.
    within: HashSet<Pid>,
    /// The program itself has been reached.
    executed: bool,
    replaced: bool,
    calls: Vec<Call>,
}

impl Tracer {
    fn new(pid: Pid, plan: Option<Plan>, begin: Begin) -> Self {
        let within = HashSet::new();
        let (stage, path, calls) = (Stage::Ahead, None, Vec::new());
        Self { pid, plan, stage, path, begin, within, executed: false, replaced: false, calls }
    }

    fn finish(mut self, said: &File) -> Run {
        let status = self.follow();
        let disturbed = self.stage != Stage::Ahead;
        let Self { calls, path, replaced, .. } = self;
        Run { calls, disturbed, path, replaced, status, said: text(said) }
    }

    /// Until the process has ended.
    fn follow(&mut self) -> ExitStatus {
        loop {
            // This thread's children alone: others are waited for by who has started them.
            let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
            match waitpid(Pid::from_raw(-1), Some(flags)).expect("the program is still there") {
                WaitStatus::Exited(pid, code) if pid == self.pid => return ExitStatus::from_raw(code << 8),
                WaitStatus::Signaled(pid, signal, _) if pid == self.pid => {
                    return ExitStatus::from_raw(signal as i32);
                }
                WaitStatus::PtraceEvent(pid, _, libc::PTRACE_EVENT_EXEC) => self.on_exec(pid),
                WaitStatus::PtraceEvent(pid, _, libc::PTRACE_EVENT_CLONE | EVENT_STOP) => go(pid, None),
                WaitStatus::PtraceSyscall(pid) => self.on_call(pid),
                WaitStatus::Stopped(pid, signal) => go(pid, Some(signal)),
                WaitStatus::Exited(..) | WaitStatus::Signaled(..) => {}
                other => panic!("the program is in an unexpected state: {other:?}"),
            }
        }
    }

    fn on_exec(&mut self, pid: Pid) {
        if !self.executed {
            self.executed = true;
            self.within.insert(pid);
            return go(pid, None);
        }
        self.replaced = true;
        if let Stage::Within(_) = self.stage {
            // The last call is this one.
            self.done();
            kill(self.pid, Signal::SIGKILL).unwrap();
        }
        detach(pid);
    }

    fn on_call(&mut self, pid: Pid) {
        // Stops at the begin and at the end of a call look alike, and take turns.
        if self.within.remove(&pid) {
            self.on_exit(pid);
        } else {
            self.within.insert(pid);
            self.on_entry(pid);
        }
        go(pid, None);
    }

    fn on_entry(&mut self, pid: Pid) {
        // Gone between the stop and now: killed by the fault of another thread.
        let Ok(mut registers) = ptrace::getregs(pid) else { return };
        assert_eq!(registers.rax.cast_signed(), -i64::from(libc::ENOSYS), "no call begins so: {registers:?}");
        let call = registers.orig_rax.cast_signed();
        if !self.counts(call) {
            return;
        }
        let call = Call { number: call, second: registers.rsi, third: registers.rdx };
        let before = |plan: &Plan| self.calls.iter().filter(|before| calls::alike(**before, plan.call)).count();
        let is_due =
            |plan: &Plan| self.stage == Stage::Ahead && calls::alike(call, plan.call) && before(plan) == plan.nth;
        let due = self.plan.filter(is_due);
        self.calls.push(call);
        let Some(Plan { fault, .. }) = due else { return };
        self.stage = Stage::Within(pid);
        self.path = [registers.rdi, registers.rsi].into_iter().find_map(|at| absolute_path(pid, at));
        if let Fault::KillBefore | Fault::Fail(_) = fault {
            registers.orig_rax = u64::MAX;
            ptrace::setregs(pid, registers).unwrap();
        }
        if fault == Fault::KillBefore {
            self.done();
            kill(self.pid, Signal::SIGKILL).unwrap();
        }
    }

    /// Whether this call is one of the path.
    fn counts(&mut self, call: i64) -> bool {
        match &mut self.begin {
            Begin::Main(RUNTIME_STACKS) => true,
            Begin::Main(stacks) => {
                *stacks += usize::from(call == libc::SYS_sigaltstack);
                false
            }
            Begin::Told(news) => {
                let begun = news.begun.load(SeqCst);
                news.calls.fetch_add(usize::from(begun), SeqCst);
                begun
            }
        }
    }

    fn done(&mut self) {
        self.stage = Stage::Done;
        if let Begin::Told(news) = &self.begin {
            news.disturbed.store(true, SeqCst);
        }
    }

    fn on_exit(&mut self, pid: Pid) {
        if self.stage != Stage::Within(pid) {
            return;
        }
        self.done();
        match self.plan.map(|plan| plan.fault) {
            Some(Fault::Fail(errno) | Fault::FailAfter(errno)) => {
                let Ok(mut registers) = ptrace::getregs(pid) else { return };
                registers.rax = (-i64::from(errno as i32)).cast_unsigned();
                ptrace::setregs(pid, registers).unwrap();
            }
            _ => kill(self.pid, Signal::SIGKILL).unwrap(),
        }
    }
}

/// The path at this address of the process, if there is one.
fn absolute_path(pid: Pid, at: u64) -> Option<String> {
    let mut bytes = [0; 256];
    let some = File::open(format!("/proc/{pid}/mem")).ok()?.read_at(&mut bytes, at).ok()?;
    let path = CStr::from_bytes_until_nul(&bytes[..some]).ok()?.to_str().ok()?;
    path.starts_with('/').then(|| path.to_owned())
}

/// On to the next call. A thread that was killed meanwhile is gone.
fn go(pid: Pid, signal: Option<Signal>) {
    match ptrace::syscall(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => panic!("the traced program cannot be let on: {errno}"),
    }
}

fn detach(pid: Pid) {
    match ptrace::detach(pid, None) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => panic!("the traced program cannot be let go: {errno}"),
    }
}
