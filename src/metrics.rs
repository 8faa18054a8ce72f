//! What berth counts. Static atomics: a count costs no lock and is there before anything else is.
//!
//! Every count is of something an operator would ask about; names are those of the metrics they become.

use crate::fsutil::{FileError, Lock};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// More than all totals need.
const MAX_TOTALS: u64 = 1 << 16;

/// A count that only grows.
#[derive(Debug)]
pub struct Counter {
    name: &'static str,
    value: AtomicU64,
}

impl Counter {
    const fn new(name: &'static str) -> Self {
        Self { name, value: AtomicU64::new(0) }
    }

    /// Counts one more and returns the new total.
    pub fn count(&self) -> u64 {
        self.add(1)
    }

    /// Counts `more` and returns the new total.
    pub fn add(&self, more: u64) -> u64 {
        self.value.fetch_add(more, Ordering::Relaxed) + more
    }

    /// The total.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub static $name: Counter = Counter::new($text);)*

        /// All of them.
        pub static ALL: &[&Counter] = &[$(&$name),*];
    };
}

counters! {
    /// Containers given identity, path, or both.
    ADJUSTED = "containers_adjusted";
    /// Containers left as they were because no profile selects them or nothing had to change.
    LEFT = "containers_left";
    /// Containers refused.
    REFUSED = "containers_refused";
    /// Containers left alone because berth could not do its work and their profile says Ignore.
    IGNORED = "containers_ignored";
    /// Identity keys that contradicted the engine.
    CONTRADICTIONS = "identity_contradictions";
    /// Annotations removed because the profile drops them.
    DROPPED = "annotations_dropped";
    /// Members whose own path led to the host's namespace or nowhere.
    STRAY = "netns_stray_paths";
    /// Members whose path was not swapped because the runtime's NRI cannot.
    RUNTIME_CANNOT = "netns_runtime_cannot_swap";
    /// Members whose path was not swapped because pins do not reach the engine, or the host's namespace is not known.
    UNREACHABLE = "netns_pins_do_not_reach";
    /// Members whose path was not swapped because the engine tells no network namespace.
    UNTOLD = "netns_untold";
    /// Pins made.
    PINNED = "pins_made";
    /// Pins that could not be made.
    PIN_FAILED = "pins_failed";
    /// Pins that were missing and made again.
    HEALED = "pins_healed";
    /// Pins released.
    RELEASED = "pins_released";
    /// Pins released although tasks were left.
    DRAIN_LIMIT = "pins_released_at_drain_limit";
    /// Sessions with the runtime that ended.
    SESSIONS_LOST = "nri_sessions_lost";
    /// Configurations that came to hold while the daemon ran.
    CONFIG_RELOADS = "config_reloads";
    /// Configurations that did not, because they could not be read or had mistakes; the one before stays.
    CONFIG_RELOAD_FAILURES = "config_reload_failures";
}

/// Adds this process's counts to the totals at `path`: for processes that end before anybody could ask them. A line
/// `name=value` for each count that ever moved. `Ok(false)`: others were at it for longer than `patience`, and nothing
/// was added.
///
/// # Errors
/// The file cannot be read or written, or is not such a list.
pub fn add_to(path: &Path, patience: Duration) -> Result<bool, FileError> {
    let Some(file) = Lock::take(path, patience)? else { return Ok(false) };
    file.overwrite(&totals(&file.text(MAX_TOTALS)?))?;
    Ok(true)
}

/// The totals `before` with this process's counts in them. Counts that this build does not know stay.
fn totals(before: &str) -> String {
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, value) in before.lines().filter_map(|line| line.split_once('=')) {
        totals.insert(name, value.parse().unwrap_or(0));
    }
    for counter in ALL.iter().filter(|counter| counter.get() > 0) {
        let total = totals.entry(counter.name()).or_default();
        *total = total.saturating_add(counter.get());
    }
    totals.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// The counts that moved, as `name=value` separated by spaces.
#[must_use]
pub fn summary() -> String {
    let mut text = String::new();
    for counter in ALL.iter().filter(|counter| counter.get() > 0) {
        let space = if text.is_empty() { "" } else { " " };
        // Writing to a String does not fail.
        if write!(text, "{space}{}={}", counter.name(), counter.get()).is_err() {
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_of_many_processes_add_up_and_unknown_ones_stay() {
        CONTRADICTIONS.add(2);
        let moved = CONTRADICTIONS.get();
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("counts");
        for _ in 0..3 {
            assert!(add_to(&path, Duration::from_secs(1)).expect("add"));
        }
        let text = std::fs::read_to_string(&path).expect("read");
        assert!(text.contains(&format!("identity_contradictions={}\n", 3 * moved)), "{text}");

        let text = totals("later_berths=7\nidentity_contradictions=1\n");
        assert!(text.contains("later_berths=7\n"), "{text}");
        assert!(text.contains(&format!("identity_contradictions={}\n", moved + 1)), "{text}");
    }

    #[test]
    fn whoever_holds_the_totals_costs_the_count_and_no_more_than_the_patience() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("counts");
        let _held = Lock::take(&path, Duration::ZERO).expect("lock").expect("free");
        assert!(!add_to(&path, Duration::from_millis(5)).expect("no error"));
    }
}
