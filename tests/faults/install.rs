//! An install and an uninstall, killed and failed at each call: every file has what it had or what it is to have, and the
//! next install or uninstall makes it right.

use std::path::Path;
use std::process::Command;

use crate::alone;
use crate::calls;
use crate::node::{STATE, TEMP, assert_engine_takes_its_configuration, clear, command, see};
use crate::state::State;
use crate::sweep::{Short, Tally, assert_says_why, caught, is_long, plans};
use crate::tracer::{self, Call, Fault, Plan, Run};

const RECORD: &str = "/var/lib/berth/install.json";

/// What berth is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Install,
    Uninstall,
}

impl Work {
    fn command(self) -> Command {
        match self {
            Self::Install => command(&["install", "--handler", "vm"]),
            Self::Uninstall => command(&["uninstall"]),
        }
    }

    fn other(self) -> Self {
        if self == Self::Install { Self::Uninstall } else { Self::Install }
    }
}

/// The node without berth and with it, and the calls between.
struct Reference {
    calls: Vec<Call>,
    without: State,
    with: State,
}

impl Reference {
    fn take(work: Work) -> Self {
        clear();
        let without = see();
        let install = tracer::run(&Work::Install.command(), None);
        assert!(install.status.success(), "{install:?}");
        let with = see();
        assert!(with.says("/usr/local/bin/berth-runc") && with.says("50-berth.toml"), "{with}");
        let uninstall = tracer::run(&Work::Uninstall.command(), None);
        assert!(uninstall.status.success(), "{uninstall:?}");
        see().assert_is(&without, "uninstalled");
        let calls = if work == Work::Install { install.calls } else { uninstall.calls };
        Self { calls, without, with }
    }

    /// What is so when `work` is done.
    fn after(&self, work: Work) -> &State {
        if work == Work::Install { &self.with } else { &self.without }
    }
}

#[track_caller]
fn succeed(work: Work) {
    let output = work.command().output().unwrap();
    assert!(output.status.success(), "{work:?}: {output:?}");
}

/// One run, and what is done then. What became of the process, in a word; or what is not as it must be.
fn disturbed(work: Work, reference: &Reference, plan: Plan, next: Work) -> Result<&'static str, String> {
    clear();
    if work == Work::Uninstall {
        succeed(Work::Install);
    }
    let run = tracer::run(&work.command(), Some(plan));
    if !run.disturbed {
        return Ok("not reached");
    }
    let judged = caught(|| {
        let now = see();
        assert_whole(reference, &now);
        assert_engine_takes_its_configuration();
        let became = judge(work, reference, plan, &run, &now);
        succeed(next);
        see().assert_is(reference.after(next), "the next call");
        became
    });
    judged.map_err(|why| {
        format!(
            "{work:?}, {} of {:?}, then {next:?}: {why}\nit ended with {} and said {:?}",
            calls::said(plan),
            run.path,
            run.status,
            run.said
        )
    })
}

/// Everything is as it is without berth or with it, but for temporary files.
#[track_caller]
fn assert_whole(reference: &Reference, now: &State) {
    let known = |line: &&String| {
        let passing = line.ends_with(TEMP) || line.contains(STATE);
        reference.with.0.contains(*line) || reference.without.0.contains(*line) || passing
    };
    let half: Vec<_> = now.0.iter().filter(|line| !known(line)).collect();
    assert!(half.is_empty(), "neither old nor new: {half:#?}");
}

/// Whether the process did what its fault leaves it.
fn judge(work: Work, reference: &Reference, plan: Plan, run: &Run, now: &State) -> &'static str {
    let errno = match plan.fault {
        Fault::KillBefore | Fault::KillAfter => return "killed",
        Fault::Fail(errno) | Fault::FailAfter(errno) => errno,
    };
    // They are swept by the next call.
    let now = &State(now.0.iter().filter(|line| !line.ends_with(TEMP)).cloned().collect());
    match run.status.code() {
        Some(0) if run.said.contains("run this again") => {
            // All is in place, and its record alone still says that it was begun.
            let why = std::io::Error::from(errno).to_string();
            assert!(
                run.said.starts_with("installed, and not all of it recorded: ") && run.said.contains(&why),
                "{:?}",
                run.said
            );
            now.but(RECORD).assert_is(&reference.after(work).but(RECORD), "all but the record");
            "succeeded, and said what is to be done again"
        }
        Some(0) => {
            now.assert_is(reference.after(work), "it succeeded");
            "succeeded all the same"
        }
        Some(1) => {
            if run.said.contains("program and names stay") {
                return "refused to go on without the engine's word";
            }
            let (why, then) = run.said.split_once('\n').unwrap_or_default();
            assert_says_why(&format!("{why}\n"), errno, plan.call);
            assert!(["", "everything is as it was before\n"].contains(&then), "{then:?}");
            if work == Work::Uninstall && now.says(r#"state "leaving""#) {
                return "refused halfway, and said so in the record";
            }
            if why.contains("the output") {
                now.assert_is(reference.after(work), "done, whatever could be said of it");
                return "done, and could not say so";
            }
            // The last steps are behind the one from which on there is nothing to take back.
            let named = run.path.as_deref().filter(|path| why.contains(path)).map(Path::new);
            // A directory that stays keeps those above it.
            let mut those = named.into_iter().flat_map(Path::ancestors).filter_map(Path::to_str);
            if those.any(|path| now.but(path) == *reference.after(work)) {
                return "done, but for what it named";
            }
            now.assert_is(reference.after(work.other()), "undone");
            "refused and undone"
        }
        _ => {
            assert!(calls::starves(plan.call), "it ended with {}", run.status);
            "starved"
        }
    }
}

/// Each change of an install is disturbed on the real containerd as well (`e2e/install/faults`), and a run is long.
const SHORT: Short = Short { changes: 12, others: 160 };

fn sweep(work: Work) {
    let reference = Reference::take(work);
    let count = reference.calls.len();
    let (mut tally, mut wrong) = (Tally::default(), Vec::new());
    // There are many calls, and between two of them only one thread does anything: a kill before a call is one after that
    // before it. Each fails once.
    let plans = plans(&reference.calls, SHORT, 1).into_iter();
    let plans = plans.filter(|plan| !is_long() || plan.fault != Fault::KillBefore || plan.at == 0);
    for (at, plan) in plans.enumerate() {
        let next = if at.is_multiple_of(2) { work } else { work.other() };
        match disturbed(work, &reference, plan, next) {
            Ok(became) => tally.count(became),
            Err(what) => wrong.push(what),
        }
    }
    tally.conclude(&format!("{work:?}"), count, &wrong);
}

alone! {
    fn an_install() {
        sweep(Work::Install);
    }
    fn an_uninstall() {
        sweep(Work::Uninstall);
    }
}
