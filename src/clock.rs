//! The clock of ages: time since boot, suspended time included.
//!
//! Records compare ages between processes and live under `/run`, which does not survive a boot; CLOCK_BOOTTIME
//! is the same for all of them and never set back (clock_gettime(2)).

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A moment: milliseconds since boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Boottime(pub u64);

impl Boottime {
    /// Now. CLOCK_BOOTTIME exists since Linux 2.6.39, so the call does not fail; were it to, every age is zero,
    /// which only makes releases later.
    #[must_use]
    pub fn now() -> Self {
        let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
        Self(u64::try_from(since_boot.as_millis()).unwrap_or(u64::MAX))
    }

    /// How long ago `earlier` was; zero if it is in the future.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}
