//! Waiting for what must come to hold, under a deadline. Nothing here sleeps for a fixed time and hopes.

use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(5);

/// What any single step of an engine may take on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Asks again and again until the answer is `Some`; panics with `what` when that took too long.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, ask: impl FnMut() -> Option<T>) -> T {
    match within(DEADLINE, ask) {
        Some(answer) => answer,
        None => panic!("waited {DEADLINE:?} in vain: {what}"),
    }
}

/// The first `Some` within `limit`.
pub(crate) fn within<T>(limit: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(POLL);
    }
}

/// Asks until `limit` has passed and panics with `what` as soon as the answer is no.
#[track_caller]
pub(crate) fn always_for(limit: Duration, what: &str, mut ask: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < limit {
        assert!(ask(), "after {:?} no longer: {what}", start.elapsed());
        std::thread::sleep(POLL);
    }
}
