//! Whether the warden still does its rounds: what the liveness answer shows beside the event loop.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The warden looks at everything once a minute, and a look may take long; after this it hangs.
pub(super) const LATE: Duration = Duration::from_secs(180);

/// When the warden was last seen between two looks.
#[derive(Debug)]
pub(super) struct Pulse {
    epoch: Instant,
    /// In milliseconds since the epoch.
    last: AtomicU64,
}

impl Pulse {
    /// It counts as seen now.
    pub(super) fn new() -> Self {
        Self { epoch: Instant::now(), last: AtomicU64::new(0) }
    }

    pub(super) fn beat(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    /// How long ago it was.
    pub(super) fn age(&self) -> Duration {
        Duration::from_millis(self.now().saturating_sub(self.last.load(Ordering::Relaxed)))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
