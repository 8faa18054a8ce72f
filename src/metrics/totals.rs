//! The totals of processes that end before anybody could ask them: a file that all of them add to.

use super::table::TIMINGS;
use super::{BOUNDS, FAMILIES, Family, Kind};
use crate::fsutil::{FileError, Lock};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// More than all totals need.
const MAX_TOTALS: u64 = 1 << 16;

/// Adds this process's counts to the totals at `path`. A line `key=number` for each that ever moved. `Ok(false)`: others
/// were at it for longer than `patience`, and nothing was added.
///
/// # Errors
/// The file cannot be read or written, or is not such a list.
pub fn add_to(path: &Path, patience: Duration) -> Result<bool, FileError> {
    let Some(file) = Lock::take(path, patience)? else { return Ok(false) };
    let mut totals = Totals::parse(&file.text(MAX_TOTALS)?);
    for (key, number) in moved() {
        let total = totals.0.entry(key).or_default();
        *total = total.saturating_add(number);
    }
    file.overwrite(&totals.text())?;
    Ok(true)
}

/// The counts that moved, as `key=number` separated by spaces.
#[must_use]
pub fn summary() -> String {
    moved().map(|(key, number)| format!("{key}={number}")).collect::<Vec<_>>().join(" ")
}

/// All totals by key; keys that this build does not know stay.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Totals(BTreeMap<String, u64>);

impl Totals {
    /// Those at `path`; none if there is no file. Under its lock, because it is written in place; `Ok(None)`: others were at
    /// it for longer than `patience`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read(path: &Path, patience: Duration) -> Result<Option<Self>, FileError> {
        if std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Ok(Some(Self::default()));
        }
        let Some(file) = Lock::take(path, patience)? else { return Ok(None) };
        Ok(Some(Self::parse(&file.text(MAX_TOTALS)?)))
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().filter_map(|line| line.rsplit_once('='));
        Self(lines.map(|(key, number)| (key.to_owned(), number.parse().unwrap_or(0))).collect())
    }

    fn text(&self) -> String {
        self.0.iter().map(|(key, number)| format!("{key}={number}\n")).collect()
    }

    /// The total of one series of `family`.
    #[must_use]
    pub fn of(&self, family: &Family, values: &[&str]) -> u64 {
        self.get(&key(family, values))
    }

    /// A histogram's buckets and sum in microseconds.
    #[must_use]
    pub fn timing(&self, values: &[&str]) -> ([u64; BOUNDS.len() + 1], u64) {
        let buckets = std::array::from_fn(|at| self.get(&timing_key(values, bound(at))));
        (buckets, self.get(&timing_key(values, "micros")))
    }

    fn get(&self, key: &str) -> u64 {
        self.0.get(key).copied().unwrap_or(0)
    }
}

/// What this process has counted so far.
fn moved() -> impl Iterator<Item = (String, u64)> {
    // The others say what is so now, and end with the process.
    let families = FAMILIES.iter().filter(|family| family.kind == Kind::Counter);
    let counts = families
        .flat_map(|family| family.series.iter().map(move |series| (family, series)))
        .filter(|(_, series)| series.get() > 0)
        .map(|(family, series)| (key(family, series.values), series.get()));
    let timings = TIMINGS.iter().filter(|timing| timing.buckets() != [0; BOUNDS.len() + 1]).flat_map(|timing| {
        let buckets = timing.buckets().into_iter().enumerate().filter(|(_, number)| *number > 0);
        let buckets = buckets.map(|(at, number)| (timing_key(timing.values, bound(at)), number));
        buckets.chain([(timing_key(timing.values, "micros"), timing.micros())])
    });
    counts.chain(timings)
}

/// `pins_made/adopted`: without the prefix and the suffix that all counts have.
fn key(family: &Family, values: &[&str]) -> String {
    let name = family.name.trim_start_matches("berth_").trim_end_matches("_total");
    [&[name], values].concat().join("/")
}

/// `request_micros/Create/ok/500`: how many were within 500 us and within no smaller bound.
fn timing_key(values: &[&str], part: impl std::fmt::Display) -> String {
    format!("request_micros/{}/{part}", values.join("/"))
}

fn bound(at: usize) -> String {
    BOUNDS.get(at).map_or_else(|| "more".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::super::table::{CONTRADICTIONS, PINS_MADE};
    use super::*;

    #[test]
    fn totals_of_many_processes_add_up_and_unknown_ones_stay() {
        CONTRADICTIONS.add(&[], 2);
        PINS_MADE.count(&["created"]);
        super::super::request("Create", super::super::Outcome::Refused, Duration::from_micros(300));
        let (moved, made) = (CONTRADICTIONS.sum(), PINS_MADE.sum());
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("counts");
        std::fs::write(&path, "later_berths=7\nidentity_contradictions=1\n").expect("write");
        for _ in 0..3 {
            assert!(add_to(&path, Duration::from_secs(1)).expect("add"));
        }
        let text = std::fs::read_to_string(&path).expect("read");
        assert!(text.contains(&format!("identity_contradictions={}\n", 3 * moved + 1)), "{text}");
        assert!(text.contains("later_berths=7\n"), "{text}");
        let totals = Totals::read(&path, Duration::ZERO).expect("read").expect("free");
        assert_eq!(totals.of(&CONTRADICTIONS, &[]), 3 * moved + 1);
        assert_eq!(totals.of(&PINS_MADE, &["created"]), 3 * made);
        assert_eq!(totals.timing(&["Create", "refused"]), ([0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 900));
        assert_eq!(Totals::read(&dir.path().join("absent"), Duration::ZERO).expect("none"), Some(Totals::default()));
    }

    #[test]
    fn whoever_holds_the_totals_costs_the_count_and_no_more_than_the_patience() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("counts");
        let _held = Lock::take(&path, Duration::ZERO).expect("lock").expect("free");
        assert!(!add_to(&path, Duration::from_millis(5)).expect("no error"));
    }
}
