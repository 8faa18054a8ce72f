//! How a pin with its record is, in a word, and how many there are of each.

use super::{ApplyError, Keeper, netns_id};
use crate::ledger::Listing;
use crate::ledger::record::Record;
use crate::netns::PinState;
use crate::pin::PinName;
use std::collections::{BTreeMap, HashMap};

/// How a pin is, as `berth list` and the metrics say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It holds the namespace of its record.
    Pinned,
    /// So it does, and the engine has given the namespace up: it goes when the last task does.
    Draining,
    /// It has no record.
    Orphan,
    /// Its file is there and nothing is mounted on it.
    HalfMade,
    /// There is a record and no pin.
    Gone,
    /// Something that berth did not make is in its place.
    Foreign,
    /// Its record cannot be read by this berth.
    Unreadable,
}

impl State {
    /// All there are.
    pub const ALL: &[Self] =
        &[Self::Pinned, Self::Draining, Self::Orphan, Self::HalfMade, Self::Gone, Self::Foreign, Self::Unreadable];

    /// Of a pin with its record. (Whether there is one that cannot be read, the caller knows.)
    #[must_use]
    pub fn of(pin: PinState, record: Option<&Record>) -> Self {
        match (pin, record) {
            (PinState::Pinned(id), Some(record)) if id == netns_id(record.netns) && record.gone.is_some() => {
                Self::Draining
            }
            (PinState::Pinned(id), Some(record)) if id == netns_id(record.netns) => Self::Pinned,
            (PinState::Pinned(_), None) => Self::Orphan,
            (PinState::Pinned(_) | PinState::Foreign(_), _) => Self::Foreign,
            (PinState::Placeholder, _) => Self::HalfMade,
            (PinState::Absent, _) => Self::Gone,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Draining => "draining",
            Self::Orphan => "orphan",
            Self::HalfMade => "half-made",
            Self::Gone => "gone",
            Self::Foreign => "foreign",
            Self::Unreadable => "unreadable",
        }
    }
}

impl Keeper {
    /// How many pins and `records`, which are all of them, there are in each state, by its word. Looks at every pin; scans
    /// no `/proc`.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn count_by_state(&self, records: Listing) -> Result<HashMap<&'static str, u64>, ApplyError> {
        let pins = self.store.list()?;
        let mut states: BTreeMap<PinName, PinState> = pins.pins.into_iter().collect();
        let mut counts = HashMap::from([(State::Unreadable.as_str(), records.unreadable.len() as u64)]);
        let mut count = |state: State| *counts.entry(state.as_str()).or_default() += 1;
        for (name, record) in &records.records {
            count(State::of(states.remove(name).unwrap_or(PinState::Absent), Some(record)));
        }
        // A pin whose record cannot be read is none without one.
        let alone = |name: &PinName| matches!(self.ledger.get(name), Ok(None));
        let alone = states.into_iter().filter(|(name, _)| alone(name));
        alone.for_each(|(_, pin)| count(State::of(pin, None)));
        Ok(counts)
    }
}
