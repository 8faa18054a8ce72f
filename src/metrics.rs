//! What berth counts. Static atomics: a count costs no lock and is there before anything else is.
//!
//! Every count is of something an operator would ask about; names are those of the metrics they become.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

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
