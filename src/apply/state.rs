//! The state of a pin with its record, in a word, and how many there are of each.

use super::{ApplyError, Keeper, netns_id};
use crate::ledger::record::Record;
use crate::netns::PinState;
use crate::pin::PinName;
use std::collections::{BTreeMap, HashMap};

/// The word for a pin's state, as `berth list` shows it.
#[must_use]
pub fn state_word(state: PinState, record: Option<&Record>) -> &'static str {
    match (state, record) {
        (PinState::Pinned(id), Some(record)) if id == netns_id(record.netns) && record.gone.is_some() => "draining",
        (PinState::Pinned(id), Some(record)) if id == netns_id(record.netns) => "pinned",
        (PinState::Pinned(_), None) => "orphan",
        (PinState::Pinned(_) | PinState::Foreign(_), _) => "foreign",
        (PinState::Placeholder, _) => "half-made",
        (PinState::Absent, _) => "gone",
    }
}

/// The word for records that cannot be read.
pub const UNREADABLE: &str = "unreadable";

/// How many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Of pins and records, by state.
    pub by_state: HashMap<&'static str, u64>,
    /// Of records that were made under another configuration.
    pub other_config: u64,
}

impl Keeper {
    /// How many pins and records there are in each state, and how many records were made under another configuration than
    /// the one of hash `config`, if there is one. Reads every record and looks at every pin; scans no `/proc`.
    ///
    /// # Errors
    /// A directory cannot be read.
    pub fn count(&self, config: Option<u64>) -> Result<Counts, ApplyError> {
        let (pins, records) = (self.store.list()?, self.ledger.list()?);
        let mut states: BTreeMap<PinName, PinState> = pins.pins.into_iter().collect();
        let mut counts = HashMap::from([(UNREADABLE, records.unreadable.len() as u64)]);
        let mut count = |word| *counts.entry(word).or_default() += 1;
        for (name, record) in &records.records {
            count(state_word(states.remove(name).unwrap_or(PinState::Absent), Some(record)));
        }
        // A pin whose record cannot be read is none without one.
        let alone = |name: &PinName| matches!(self.ledger.get(name), Ok(None));
        let alone = states.into_iter().filter(|(name, _)| alone(name));
        alone.for_each(|(_, state)| count(state_word(state, None)));
        Ok(Counts {
            by_state: counts,
            other_config: config.map_or(0, |config| records.under_other_config(config)) as u64,
        })
    }
}
