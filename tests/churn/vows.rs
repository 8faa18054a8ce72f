//! Pods that live keep their pins: looked at again and again by a thread that does nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::rig::read::{NetnsId, netns_id};

/// Between two looks at all pins.
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Debug, Default)]
struct Shared {
    /// Which namespace a pin has to be, from when it was made until its pod is over.
    pins: Mutex<BTreeMap<PathBuf, NetnsId>>,
    broken: Mutex<Vec<String>>,
    looks: AtomicU64,
    over: AtomicBool,
}

/// The pins that have to stand now.
#[derive(Debug)]
pub(crate) struct Vows {
    shared: Arc<Shared>,
    watchman: Option<JoinHandle<()>>,
}

impl Vows {
    pub(crate) fn watch() -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let watchman = std::thread::spawn(move || {
            while !theirs.over.load(Ordering::Relaxed) {
                theirs.look();
                std::thread::sleep(PAUSE);
            }
        });
        Self { shared, watchman: Some(watchman) }
    }

    /// From now on the pin has to be this namespace.
    pub(crate) fn take(&self, pin: &Path, netns: NetnsId) {
        lock(&self.shared.pins).insert(pin.to_owned(), netns);
    }

    /// From now on it may go. What is done next comes after the last look at it.
    pub(crate) fn release(&self, pin: &Path) {
        lock(&self.shared.pins).remove(pin);
    }

    /// Panics if a pin that had to stand did not at any time.
    pub(crate) fn assert_kept(&self) {
        self.shared.look();
        let broken = lock(&self.shared.broken);
        assert!(broken.is_empty(), "pods that live have lost their pins: {broken:#?}");
    }

    /// How often a pin was looked at.
    pub(crate) fn looks(&self) -> u64 {
        self.shared.looks.load(Ordering::Relaxed)
    }
}

impl Drop for Vows {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        if self.watchman.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("churn: the thread that looks at pins panicked");
        }
    }
}

impl Shared {
    fn look(&self) {
        let pins = lock(&self.pins);
        for (pin, netns) in pins.iter() {
            let is = netns_id(pin);
            if is != Some(*netns) {
                lock(&self.broken).push(format!("{} is {is:?} and not {netns:?}", pin.display()));
            }
            self.looks.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
