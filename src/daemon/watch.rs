//! Noticing that an engine's netns file is gone: inotify(7) on the directories they are in.
//!
//! Deleting the file gives the event; unmounting it gives none. Events can be lost (overflow, a directory that is
//! replaced, no inotify instance left on the node), so whoever uses this looks again from time to time.

use crate::exit::chain;
use crate::fsutil::FileError;
use crate::logging::Line;
use crate::pin::PinName;
use futures::{FutureExt, StreamExt};
use inotify::{EventMask, EventOwned, EventStream, Inotify, WatchDescriptor, WatchMask};
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Room for the events of one read(2); a name has at most 255 bytes.
const BUFFER: usize = 4096;

/// What the watch has noticed.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    /// These pins' sources were deleted, moved, or may have been.
    pub(super) names: HashSet<PinName>,
    /// Events were lost: anything may have happened.
    pub(super) anything: bool,
}

/// What became of a wish to watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// It is watched from now on; what happened before was not seen.
    Now,
    /// It was watched already.
    Already,
    /// It cannot be watched.
    Unwatched,
}

/// The watch.
#[derive(Default)]
pub(super) struct Watch {
    events: Option<EventStream<[u8; BUFFER]>>,
    directories: HashMap<PathBuf, WatchDescriptor>,
    names: HashMap<(WatchDescriptor, OsString), HashSet<PinName>>,
    places: HashMap<PinName, (WatchDescriptor, OsString)>,
    complained: bool,
}

impl Watch {
    /// Watches `source` for `name`; if that does not work, why is logged once.
    pub(super) fn add(&mut self, name: &PinName, source: &Path) -> Added {
        let (Some(directory), Some(file)) = (source.parent(), source.file_name()) else { return Added::Unwatched };
        match self.watch(directory) {
            Ok(descriptor) => {
                let place = (descriptor, file.to_owned());
                if self.places.get(name) == Some(&place) {
                    return Added::Already;
                }
                self.forget(name);
                self.names.entry(place.clone()).or_default().insert(name.clone());
                self.places.insert(name.clone(), place);
                Added::Now
            }
            Err(error) => {
                if !std::mem::replace(&mut self.complained, true) {
                    let line =
                        Line::message("an engine's netns directory cannot be watched; pins go later, at the next look");
                    log::warn!("{}", line.with("error", chain(&error)));
                }
                Added::Unwatched
            }
        }
    }

    /// The pins whose sources are watched.
    pub(super) fn names(&self) -> impl Iterator<Item = &PinName> {
        self.places.keys()
    }

    /// Ends the watch for a pin that is gone.
    pub(super) fn forget(&mut self, name: &PinName) {
        let Some(place) = self.places.remove(name) else { return };
        if let Some(names) = self.names.get_mut(&place) {
            names.remove(name);
            if names.is_empty() {
                self.names.remove(&place);
            }
        }
    }

    fn watch(&mut self, directory: &Path) -> Result<WatchDescriptor, FileError> {
        if let Some(descriptor) = self.directories.get(directory) {
            return Ok(descriptor.clone());
        }
        let failed = |op| move |error: io::Error| FileError::new(op, directory)(error);
        let events = match &mut self.events {
            Some(events) => events,
            none => {
                let stream = Inotify::init().and_then(|inotify| inotify.into_event_stream([0; BUFFER]));
                none.insert(stream.map_err(failed("make an inotify instance to watch"))?)
            }
        };
        let mask = WatchMask::DELETE
            | WatchMask::MOVED_FROM
            | WatchMask::DELETE_SELF
            | WatchMask::MOVE_SELF
            | WatchMask::ONLYDIR;
        let descriptor = events.watches().add(directory, mask).map_err(failed("watch"))?;
        self.directories.insert(directory.to_owned(), descriptor.clone());
        Ok(descriptor)
    }

    /// Waits until something is noticed, and takes all there is then. Never ends without an inotify instance.
    pub(super) async fn next(&mut self) -> Noticed {
        let mut noticed = Noticed::default();
        loop {
            let Some(events) = &mut self.events else { return std::future::pending().await };
            let found = noticed.anything || !noticed.names.is_empty();
            let event = match events.next().now_or_never() {
                Some(event) => event,
                None if found => return noticed,
                None => events.next().await,
            };
            match event {
                Some(Ok(event)) => self.sort(event, &mut noticed),
                // An instance that cannot be read any more: look at everything, and make another when next asked to.
                Some(Err(_)) | None => {
                    *self = Self { complained: self.complained, ..Self::default() };
                    return Noticed { anything: true, ..noticed };
                }
            }
        }
    }

    fn sort(&mut self, event: EventOwned, noticed: &mut Noticed) {
        if event.mask.contains(EventMask::Q_OVERFLOW) {
            noticed.anything = true;
        } else if let Some(file) = event.name {
            noticed.names.extend(self.names.get(&(event.wd, file)).into_iter().flatten().cloned());
        } else {
            // The directory itself is gone or elsewhere; what comes at its path is another one.
            self.directories.retain(|_, known| *known != event.wd);
            let here = |place: &(WatchDescriptor, OsString)| place.0 == event.wd;
            let gone: Vec<_> =
                self.places.iter().filter(|(_, place)| here(place)).map(|(name, _)| name.clone()).collect();
            for name in gone {
                self.forget(&name);
                noticed.names.insert(name);
            }
        }
    }
}
