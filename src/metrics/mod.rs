//! What berth counts. Static atomics: a count costs no lock and is there before anything else is.
//!
//! [`table`] says of each metric its name, what it means, and which series it has: a closed list, so that nothing that a
//! pod's author chooses becomes a label. Everything else is made from the table: the totals of the interposers
//! ([`add_to`]), the line at the daemon's end ([`summary`]), and what the daemon's listener shows.

pub mod table;
mod totals;

pub use table::FAMILIES;
pub use totals::{Totals, add_to, summary};

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What kind of number it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It only grows, and is kept in millionths.
    CounterOfMicros,
    /// It is what it is now.
    Gauge,
    /// How often something took how long: the one in [`table::TIMINGS`].
    Histogram,
}

/// Who moves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doors {
    /// The daemon alone.
    Daemon,
    /// The daemon and the interposers; a label `door` says which.
    All,
}

/// All series of one name.
#[derive(Debug)]
pub struct Family {
    /// The full name, with prefix, unit and `_total`.
    pub name: &'static str,
    /// What it means, in one sentence.
    pub help: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Who moves it.
    pub doors: Doors,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// All it has; shown from the start, so that the first increase of a counter is one.
    pub series: &'static [Series],
}

/// One number.
#[derive(Debug)]
pub struct Series {
    /// The values of the labels, in their order.
    pub values: &'static [&'static str],
    number: AtomicU64,
}

impl Series {
    const fn new(values: &'static [&'static str]) -> Self {
        Self { values, number: AtomicU64::new(0) }
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    fn add(&self, more: u64) -> u64 {
        self.number.fetch_add(more, Ordering::Relaxed) + more
    }
}

impl Family {
    /// Counts one more and returns the new number; 0 for label values that are not in the table, which its tests rule out.
    pub fn count(&self, values: &[&str]) -> u64 {
        self.add(values, 1)
    }

    /// As [`Family::count`], `more` at once.
    pub fn add(&self, values: &[&str], more: u64) -> u64 {
        self.find(values).map_or(0, |series| series.add(more))
    }

    /// Says what is so now.
    pub fn set(&self, values: &[&str], now: u64) {
        if let Some(series) = self.find(values) {
            series.number.store(now, Ordering::Relaxed);
        }
    }

    /// The series with these label values.
    #[must_use]
    pub fn find(&self, values: &[&str]) -> Option<&'static Series> {
        self.series.iter().find(|series| series.values == values)
    }

    /// The sum over all series.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.series.iter().map(Series::get).sum()
    }
}

/// The upper bounds of the histogram's buckets, in microseconds. A container of a pinned pod takes some tens, an interposer
/// some hundreds; runtimes wait two seconds.
pub const BOUNDS: [u64; 12] =
    [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 1_000_000, 2_000_000];

/// How often one thing took how long.
#[derive(Debug)]
pub struct Timing {
    /// The values of the labels, in their order.
    pub values: &'static [&'static str],
    /// By bound, and above them all; not cumulative.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Timing {
    const fn new(values: &'static [&'static str]) -> Self {
        Self { values, buckets: [const { AtomicU64::new(0) }; BOUNDS.len() + 1], micros: AtomicU64::new(0) }
    }

    fn took(&self, micros: u64) {
        let at = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[at].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// How often, by bound and above them all.
    #[must_use]
    pub fn buckets(&self) -> [u64; BOUNDS.len() + 1] {
        std::array::from_fn(|at| self.buckets[at].load(Ordering::Relaxed))
    }

    /// The sum, in microseconds.
    #[must_use]
    pub fn micros(&self) -> u64 {
        self.micros.load(Ordering::Relaxed)
    }
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered as decided.
    Ok,
    /// It was refused by decision.
    Refused,
    /// berth could not do its work, whatever its policy then said.
    Failed,
}

impl Outcome {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// Counts a request, and how long it took until it could be answered.
pub fn request(event: &str, outcome: Outcome, took: Duration) {
    let values = [event, outcome.as_str()];
    table::REQUESTS.count(&values);
    if let Some(timing) = table::TIMINGS.iter().find(|timing| timing.values == values) {
        timing.took(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_and_label_values_are_complete() {
        let mut names = std::collections::HashSet::new();
        for family in FAMILIES {
            let Family { name, help, kind, labels, series, .. } = family;
            assert!(names.insert(name), "{name} twice");
            assert!(name.starts_with("berth_") || name.starts_with("process_"), "{name}");
            let counts = matches!(kind, Kind::Counter | Kind::CounterOfMicros);
            assert_eq!(name.ends_with("_total"), counts, "{name}");
            assert!(help.ends_with('.') && !help.contains('\n') && help.len() > 20, "{name}: {help}");
            assert!(series.iter().all(|series| series.values.len() == labels.len()), "{name}");
            assert_eq!(series.is_empty(), *kind == Kind::Histogram, "{name}");
            let different: std::collections::HashSet<_> = series.iter().map(|series| series.values).collect();
            assert_eq!(different.len(), series.len(), "{name} has a series twice");
        }
    }

    #[test]
    fn a_duration_is_in_the_bucket_that_it_just_fills() {
        let timing = Timing::new(&[]);
        for micros in [0, 100, 101, 2_000_000, 2_000_001] {
            timing.took(micros);
        }
        let buckets = timing.buckets();
        assert_eq!((buckets[0], buckets[1], buckets[11], buckets[12]), (2, 1, 1, 1));
        assert_eq!(timing.micros(), 4_000_202);
    }

    #[test]
    fn every_request_has_its_timing() {
        let timed: Vec<_> = table::TIMINGS.iter().map(|timing| timing.values).collect();
        let counted: Vec<_> = table::REQUESTS.series.iter().map(|series| series.values).collect();
        assert_eq!(timed, counted);
    }
}
