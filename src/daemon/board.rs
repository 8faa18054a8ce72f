//! What the door has noticed and the warden has not yet looked at. Grows with the number of pods, not of events.

use crate::address::Address;
use crate::config::Config;
use crate::door::nri::Occasions;
use crate::pin::PinName;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::sync::{Notify, watch as flag};

/// What there is to do.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Pins to look at.
    pub(super) dirty: HashSet<PinName>,
    /// Sources to watch.
    pub(super) sources: HashMap<PinName, PathBuf>,
    /// Pins whose pods the engine has removed.
    pub(super) removed: HashSet<PinName>,
    /// The full list came, with these pods: catch up with it, then look at everything.
    pub(super) synchronized: Option<HashSet<PinName>>,
}

/// The board on which they stand.
#[derive(Debug)]
pub(super) struct Board {
    notes: Mutex<Notes>,
    news: Notify,
    /// Where the configuration in force wants health and metrics to be read.
    listen: flag::Sender<Option<Address>>,
}

impl Board {
    pub(super) fn new(listen: Option<Address>) -> Self {
        Self { notes: Mutex::default(), news: Notify::new(), listen: flag::Sender::new(listen) }
    }

    /// Follows the configuration in force from here on.
    pub(super) fn listen(&self) -> flag::Receiver<Option<Address>> {
        self.listen.subscribe()
    }

    /// Waits for news and takes them all.
    pub(super) async fn take(&self) -> Notes {
        self.news.notified().await;
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(&self, write: impl FnOnce(&mut Notes)) {
        write(&mut self.notes.lock().unwrap_or_else(PoisonError::into_inner));
        self.news.notify_one();
    }
}

impl Occasions for Board {
    fn pinned(&self, name: &PinName, source: &Path) {
        self.note(|notes| notes.sources.extend([(name.clone(), source.to_owned())]));
    }

    fn ended(&self, name: &PinName, removed: bool) {
        self.note(|notes| {
            notes.dirty.extend([name.clone()]);
            notes.removed.extend(removed.then(|| name.clone()));
        });
    }

    fn configured(&self, config: &Config) {
        self.listen.send_replace(config.listen.clone());
    }

    fn synchronized(&self, pods: HashSet<PinName>) {
        self.note(|notes| notes.synchronized = Some(pods));
    }
}
