//! The waits between two attempts to meet the runtime.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Doubling waits with jitter, between a first and a longest.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    /// Between three quarters of the wait and all of it: plugins that lost the same runtime do not
    /// come back in the same instant, and the longest wait stays the longest.
    pub(crate) fn next_wait(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.most);
        wait - wait / 4 * jitter() / 255
    }
}

/// 0 to 255. The hasher's keys are random, which is random enough for this.
fn jitter() -> u32 {
    let [byte, ..] = RandomState::new().build_hasher().finish().to_le_bytes();
    u32::from(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(500));
        for most in [100, 200, 400, 500, 500] {
            let wait = backoff.next_wait();
            let most = Duration::from_millis(most);
            assert!(wait <= most && wait >= most * 3 / 4, "{wait:?} of {most:?}");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_millis(100));
    }
}
