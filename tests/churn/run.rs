//! One run of a plan: which seed, how many pods, how far it has come.

use std::cell::Cell;
use std::fmt::Write;
use std::ops::Range;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use crate::plan::{Action, Lane, TENTHS, bursts, plan};
use crate::vitals::Vitals;

/// How many actions before the failing one are printed.
const SHOWN: usize = 40;
/// How much more or less memory the daemon may hold in the last tenth than in the second, in hundredths.
const FLAT: u64 = 5;

/// What of it a variable of the environment says.
pub(crate) fn number(variable: &str) -> Option<u64> {
    let given = std::env::var(variable).ok()?;
    Some(given.parse().unwrap_or_else(|e| panic!("{variable}={given}: {e}")))
}

/// How many pods: what the variable says, or this many.
pub(crate) fn pods(variable: &str, usual: usize) -> usize {
    number(variable).map_or(usual, |pods| usize::try_from(pods).unwrap())
}

/// A plan that is being carried out. Dropped by a panic, it says how to have the same again.
#[derive(Debug)]
pub(crate) struct Run {
    name: &'static str,
    seed: u64,
    pub(crate) plan: Vec<Action>,
    at: Cell<usize>,
    started: Instant,
    pods: usize,
}

impl Run {
    pub(crate) fn new(name: &'static str, lane: &Lane) -> Self {
        let now = || SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos().into();
        let seed = number("BERTH_SEED").unwrap_or_else(now);
        eprintln!("churn, {name}: {} pods, BERTH_SEED={seed}", lane.pods);
        Self { name, seed, plan: plan(seed, lane), at: Cell::new(0), started: Instant::now(), pods: lane.pods }
    }

    /// What happens at the same time, one after the other.
    pub(crate) fn bursts(&self, width: usize) -> impl Iterator<Item = Range<usize>> {
        bursts(&self.plan, width).into_iter().inspect(|burst| self.at.set(burst.start))
    }

    /// Says what was seen of it.
    pub(crate) fn say(&self, figures: &str) {
        let took = self.started.elapsed();
        let rate = self.pods as f64 / took.as_secs_f64();
        let (name, actions) = (self.name, self.plan.len());
        eprintln!("churn, {name}: {actions} actions in {took:.1?}, {rate:.0} pods/s; {figures}");
    }

    /// Where what a failed run has to show is kept.
    pub(crate) fn keep(&self, what: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("churn-{}-{}.{what}", self.name, self.seed))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let at = self.at.get();
        let mut whole = String::new();
        for (step, action) in self.plan.iter().enumerate() {
            writeln!(whole, "{step} {action:?}").unwrap();
        }
        let path = self.keep("plan");
        drop(std::fs::write(&path, &whole));
        eprintln!("churn, {}: failed at step {at} of {}; again: BERTH_SEED={}", self.name, self.plan.len(), self.seed);
        eprintln!("the whole plan: {}; its steps up to there:", path.display());
        for line in whole.lines().take(at + 8).skip(at.saturating_sub(SHOWN)) {
            eprintln!("  {line}");
        }
    }
}

/// Of one daemon: memory within the limit, and not a descriptor or watch more than in the first tenth.
#[track_caller]
pub(crate) fn assert_flat(rests: &[Vitals]) {
    let (second, last) = (rests[1].resident, rests[TENTHS - 1].resident);
    assert!(last.abs_diff(second) * 100 <= second * FLAT, "from {second} to {last} kB: {rests:#?}");
    for rest in rests {
        let first = rests[0];
        assert_eq!((rest.descriptors, rest.watches), (first.descriptors, first.watches), "{rests:#?}");
    }
}

/// No daemon has met anything that it could not handle.
#[track_caller]
pub(crate) fn assert_calm(log: &str) {
    let bad: Vec<_> = log.lines().filter(|line| line.contains("ERROR") || line.contains("panicked")).collect();
    assert!(bad.is_empty(), "{bad:#?}");
}
