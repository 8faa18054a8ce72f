//! What benches say, as the tables of `docs/benchmarks.md`, and whether a target is met.
//!
//! Ratios are of sides that took turns in one run, so that what else the machine does falls on all of them. A figure is
//! the median of its rounds, with the lowest and the highest.
#![allow(dead_code, reason = "each bench uses a part of it")]

use std::cell::RefCell;
use std::fmt::{Display, Formatter, Result};
use std::time::Duration;

/// A missed target fails the short form only where it is missed by more than this: it runs where others do, too.
const LOOSE: f64 = 3.0;

/// The short form, for CI, or the long one.
pub(crate) fn is_short() -> bool {
    std::env::var_os("BERTH_BENCH").is_some_and(|form| form == "short")
}

/// How often: in the short form, in the long one.
pub(crate) fn rounds(short: usize, long: usize) -> usize {
    if is_short() { short } else { long }
}

/// One figure of several rounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) middle: f64,
    pub(crate) high: f64,
}

impl Spread {
    pub(crate) fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<_> = rounds.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Self { low: sorted[0], middle: sorted[sorted.len() / 2], high: sorted[sorted.len() - 1] }
    }
}

impl Display for Spread {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let digits = f.precision().unwrap_or(2);
        write!(f, "{:.digits$} ({:.digits$} to {:.digits$})", self.middle, self.low, self.high)
    }
}

/// The value below which so many of a thousand are.
pub(crate) fn percentile(times: &[Duration], of_thousand: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() * of_thousand / 1000).min(sorted.len() - 1)]
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Targets, and those that were missed by far.
#[derive(Debug, Default)]
pub(crate) struct Targets(RefCell<Vec<String>>);

impl Targets {
    /// The cell that says whether `found` is at most `limit`.
    pub(crate) fn at_most(&self, what: &str, found: f64, limit: f64) -> String {
        if found <= limit {
            return format!("at most {limit}: met");
        }
        if found > limit * LOOSE {
            self.0.borrow_mut().push(format!("{what}: {found:.2}, and at most {limit} was wanted"));
        }
        format!("at most {limit}: **missed**")
    }

    /// Ends the bench. In the short form a target that was missed by far fails it; in the long one the tables say all.
    pub(crate) fn conclude(self) {
        let missed = self.0.into_inner();
        assert!(missed.is_empty() || !is_short(), "missed by more than {LOOSE} times:\n{}", missed.join("\n"));
    }
}

pub(crate) fn heading(title: &str) {
    println!("\n## {title}\n");
}

/// The first rows of a table.
pub(crate) fn columns(titles: &[&str]) {
    row(titles);
    println!("|{}", "---|".repeat(titles.len()));
}

pub(crate) fn row<T: Display>(cells: &[T]) {
    println!("|{}", cells.iter().map(|cell| format!(" {cell} |")).collect::<String>());
}
