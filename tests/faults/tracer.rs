//! A program that runs under ptrace(2), and one of whose system calls is disturbed.
//!
//! Counted are the calls of all threads of the process in the order in which they begin, from the first one of `main` on
//! (what the loader and the start of the runtime do is over then), to the process's end or until it becomes another
//! program. Programs that it starts are not traced: they live on when it is killed, as they would otherwise.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};

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

/// A call, by its number and its second argument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) number: i64,
    pub(crate) second: u64,
}

/// One fault, at the call of this number.
pub(crate) type Plan = (usize, Fault);

/// What became of a traced program.
#[derive(Debug)]
pub(crate) struct Run {
    /// Its calls, in the order in which they began.
    pub(crate) calls: Vec<Call>,
    /// The fault has been done, or the process has ended in that very call.
    pub(crate) disturbed: bool,
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
    let (said, pid) = start(command);
    let mut tracer = Tracer::new(pid, plan);
    let status = tracer.follow();
    Run {
        calls: tracer.calls,
        disturbed: tracer.stage != Stage::Ahead,
        replaced: tracer.replaced,
        status,
        said: text(said),
    }
}

fn text(mut file: File) -> String {
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    text
}

/// The command, stopped where it is about to begin, and traced by this thread from there on.
fn start(command: &Command) -> (File, Pid) {
    let said = tempfile::tempfile().unwrap();
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
    (said, pid)
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
    /// Calls for signal stacks so far.
    stacks: usize,
    /// Threads that are in a call.
    within: HashSet<Pid>,
    /// The program itself has been reached.
    executed: bool,
    replaced: bool,
    calls: Vec<Call>,
}

impl Tracer {
    fn new(pid: Pid, plan: Option<Plan>) -> Self {
        let within = HashSet::new();
        Self { pid, plan, stage: Stage::Ahead, stacks: 0, within, executed: false, replaced: false, calls: Vec::new() }
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
            self.stage = Stage::Done;
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
        if self.stacks < RUNTIME_STACKS {
            self.stacks += usize::from(call == libc::SYS_sigaltstack);
            return;
        }
        let number = self.calls.len();
        self.calls.push(Call { number: call, second: registers.rsi });
        let Some((_, fault)) = self.plan.filter(|(at, _)| *at == number && self.stage == Stage::Ahead) else { return };
        self.stage = Stage::Within(pid);
        if let Fault::KillBefore | Fault::Fail(_) = fault {
            registers.orig_rax = u64::MAX;
            ptrace::setregs(pid, registers).unwrap();
        }
        if fault == Fault::KillBefore {
            self.stage = Stage::Done;
            kill(self.pid, Signal::SIGKILL).unwrap();
        }
    }

    fn on_exit(&mut self, pid: Pid) {
        if self.stage != Stage::Within(pid) {
            return;
        }
        self.stage = Stage::Done;
        match self.plan {
            Some((_, Fault::Fail(errno) | Fault::FailAfter(errno))) => {
                let Ok(mut registers) = ptrace::getregs(pid) else { return };
                registers.rax = (-i64::from(errno as i32)).cast_unsigned();
                ptrace::setregs(pid, registers).unwrap();
            }
            _ => kill(self.pid, Signal::SIGKILL).unwrap(),
        }
    }
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
