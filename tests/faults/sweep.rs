//! One path, disturbed at each of its calls, and what must be so after it.

use std::collections::BTreeMap;
use std::process::Command;

use nix::errno::Errno;
use nix::libc;

use crate::calls;
use crate::scene::{admin, clear, succeed, time_passes};
use crate::state::{State, assert_sound};
use crate::tracer::{self, Call, Fault, Plan, Run};

/// A path of berth's.
pub(crate) struct Path {
    pub(crate) name: &'static str,
    /// What is so before.
    pub(crate) prepare: fn(),
    /// What berth is asked to do; and asked again when that failed.
    pub(crate) call: fn() -> Command,
    /// Whose specification it writes.
    pub(crate) bundle: Option<&'static str>,
    /// A pod that is over at its begin. It goes with this call or with the next occasion.
    pub(crate) over: Option<&'static str>,
    /// What must be so when it is done, in words of the state.
    pub(crate) done: &'static [&'static str],
    pub(crate) short: Short,
    /// What it was for is given up.
    pub(crate) give_up: fn(),
}

/// How a disturbed path goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The call is made again, and later the pod ends.
    Again,
    /// The pod ends without that.
    GivenUp,
}

/// What an undisturbed path passes through.
struct Reference {
    calls: Vec<Call>,
    before: State,
    done: State,
    over: State,
}

/// Disturbs each call of the path, or in the short form some.
pub(crate) fn sweep(path: &Path) {
    let reference = reference(path);
    let (mut tally, mut wrong) = (Tally::default(), Vec::new());
    for (at, plan) in plans(&reference.calls, path.short, usize::MAX).into_iter().enumerate() {
        let both = [Next::Again, Next::GivenUp];
        let next = if is_long() { &both[..] } else { &both[at % 2..][..1] };
        for next in next {
            match disturbed(path, &reference, plan, *next) {
                Ok(became) => tally.count(became),
                Err(what) => wrong.push(what),
            }
        }
    }
    tally.conclude(path.name, reference.calls.len(), &wrong);
}

/// Every call is to be disturbed, in every way.
pub(crate) fn is_long() -> bool {
    std::env::var("BERTH_FAULTS").is_ok_and(|form| form == "all")
}

/// How many of a path's calls the short form takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Short {
    /// Every so-manieth of those that change something.
    pub(crate) changes: usize,
    /// Every so-manieth of the others.
    pub(crate) others: usize,
}

/// Of each call, or in the short form of some, both kills and up to `most` failures; in the short form one.
pub(crate) fn plans(calls: &[Call], short: Short, most: usize) -> Vec<Plan> {
    let most = if is_long() { most } else { 1 };
    let (mut plans, mut seen) = (Vec::new(), [0, 0]);
    for (at, &call) in calls.iter().enumerate() {
        let (kind, step) = if calls::changes(call) { (0, short.changes) } else { (1, short.others) };
        seen[kind] += 1;
        if !is_long() && seen[kind] % step != 0 {
            continue;
        }
        let failures = calls::failures(call);
        let nth = calls[..at].iter().filter(|before| calls::alike(**before, call)).count();
        // Not the first of all calls alike, where there is one only.
        let some = failures.iter().cycle().skip(at % 7).take(failures.len().min(most));
        let kills = [Fault::KillBefore, Fault::KillAfter];
        plans.extend(kills.iter().chain(some).map(|&fault| Plan { at, nth, call, fault }));
    }
    plans
}

fn reference(path: &Path) -> Reference {
    clear();
    (path.prepare)();
    let before = State::see();
    let run = tracer::run(&(path.call)(), None);
    assert!(run.status.success() && run.said.is_empty() && run.calls.len() > 50, "{run:?}");
    let done = State::see();
    for word in path.done {
        assert!(done.says(word), "{}: {word} is not in\n{done}", path.name);
    }
    assert_sound();
    (path.give_up)();
    succeed(admin(&["gc"]));
    let over = State::see();
    assert!(!over.says("s1"), "{}: is left:\n{over}", path.name);
    Reference { calls: run.calls, before, done, over }
}

/// One run. What became of the process, in a word; or what is not as it must be.
fn disturbed(path: &Path, reference: &Reference, plan: Plan, next: Next) -> Result<&'static str, String> {
    clear();
    (path.prepare)();
    let run = tracer::run(&(path.call)(), Some(plan));
    if !run.disturbed {
        return Ok("not reached");
    }
    let when = format!("{}, {}, then {next:?}", path.name, calls::said(plan));
    let judged = caught(|| {
        let now = State::see();
        assert_sound();
        assert_others_untouched(&now, &reference.before);
        let became = judge(path, reference, plan, &run, &now);
        if next == Next::Again {
            succeed((path.call)());
            State::see().but_swept().assert_is(&reference.done, "again");
        }
        (path.give_up)();
        for _ in 0..2 {
            // Twice: what it finds gone may have to be so for a while, where berth could not tell whose tasks it sees.
            time_passes();
            succeed(admin(&["gc"]));
        }
        State::see().but_sharing().assert_is(&reference.over.but_sharing(), "over");
        became
    });
    judged.map_err(|why| format!("{when}: {why}\nit ended with {} and said {:?}", run.status, run.said))
}

/// What the assertions of `judge` say, as text.
pub(crate) fn caught<T>(judge: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(judge)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic without words").to_owned()
    })
}

/// What is another pod's or the engine's is as it was; mounts may have become shared.
#[track_caller]
pub(crate) fn assert_others_untouched(now: &State, before: &State) {
    let now = now.but_covering();
    let others = before.naming(&["berth-s0", "bundles/s0", "mount /run/netns/cni-", "file /run/netns/cni-"]);
    for line in &others.but_covering().0 {
        assert!(now.0.contains(line), "is gone: {line}");
    }
}

/// Whether the process did what its fault leaves it.
fn judge(path: &Path, reference: &Reference, plan: Plan, run: &Run, now: &State) -> &'static str {
    let errno = match plan.fault {
        Fault::KillBefore | Fault::KillAfter => return "killed",
        Fault::Fail(errno) | Fault::FailAfter(errno) => errno,
    };
    let but_over = |state: &State| path.over.map_or(state.clone(), |id| state.but_naming(id));
    let (now, before, done) = (&but_over(now), &but_over(&reference.before), &but_over(&reference.done));
    match run.status.code() {
        Some(0) => {
            assert!(run.said.is_empty(), "it succeeded and has complained");
            assert_eq!(run.replaced, path.bundle.is_some(), "the delegate runs after berth, and only then");
            if logged(DEGRADED) {
                return "succeeded with less and logged why";
            }
            now.assert_is(done, "it succeeded");
            "succeeded all the same"
        }
        Some(1) => {
            assert_says_why(&run.said, errno, plan.call);
            if plan.call.number == libc::SYS_execve {
                // The engine is told, and gives the container up.
                now.assert_is(done, "all but the delegate");
                return "refused by the delegate";
            }
            assert_undone(path.bundle, now, before, done);
            "refused and undone"
        }
        _ => {
            assert!(calls::starves(plan.call), "it ended with {}", run.status);
            "starved"
        }
    }
}

/// Where a program is looked for, what cannot be looked at is passed over as execvp(3) does it.
const NOT_FOUND: &str = "not found as an executable file";

/// One line that says what could not be done to which object, and why.
pub(crate) fn assert_says_why(said: &str, errno: Errno, call: Call) {
    assert!(said.starts_with("berth: ") && said.lines().count() == 1, "{said:?}");
    let why = std::io::Error::from(errno).to_string();
    let why = match calls::starves(call) {
        // The standard library says it without a number where it reserves before it reads.
        true if said.trim_end().ends_with(": out of memory") => "out of memory",
        true => "os error",
        false => why.as_str(),
    };
    if said.contains(NOT_FOUND) {
        return;
    }
    let step = said.split_once(why).map(|(step, _)| step);
    let names = |step: &str| ["/", "network namespace", "the output"].iter().any(|name| step.contains(name));
    assert!(step.is_some_and(names), "{said:?} names no object, or not {why:?}");
}

/// What an interposer says in its log where it does less than asked for and the container is created all the same: it cannot
/// tell the host's namespaces, or an earlier pin could not be settled in passing.
const DEGRADED: [&str; 2] = ["reason=host-not-visible", "a pin could not be settled"];

fn logged(words: [&str; 2]) -> bool {
    let log = std::fs::read_to_string("/run/berth/interpose.log").unwrap_or_default();
    words.iter().any(|word| log.contains(word))
}

/// Everything is as it was, but for a lock that nobody holds; or the pin stands with its record, and the specification is
/// as it was.
fn assert_undone(bundle: Option<&str>, now: &State, before: &State, done: &State) {
    let now = &now.but_locks();
    if now.but_covering() == before.but_covering() {
        return;
    }
    let pinned = bundle.is_some_and(|id| {
        now.but_specification(id) == done.but_specification(id) && now.0.is_superset(&specification(before, id))
    });
    if !pinned {
        now.assert_is(before, "undone");
    }
}

fn specification(state: &State, id: &str) -> std::collections::BTreeSet<String> {
    let own = state.but_specification(id);
    state.0.difference(&own.0).cloned().collect()
}

/// What became of the runs.
#[derive(Default)]
pub(crate) struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    pub(crate) fn count(&mut self, became: &'static str) {
        *self.0.entry(became).or_default() += 1;
    }

    pub(crate) fn of(&self, became: &str) -> usize {
        self.0.get(became).copied().unwrap_or_default()
    }

    pub(crate) fn runs(&self) -> usize {
        self.0.values().sum()
    }

    /// Says what was done, and panics with the first of what was wrong.
    pub(crate) fn conclude(&self, name: &str, calls: usize, wrong: &[String]) {
        println!("faults: {name}: {calls} system calls; {self}");
        let first = wrong.iter().take(40).cloned().collect::<Vec<_>>().join("\n");
        assert!(wrong.is_empty(), "{} wrong of these, first of all {first}", wrong.len());
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} runs", self.runs())?;
        self.0.iter().try_for_each(|(became, times)| write!(f, ", {times} {became}"))
    }
}
