//! Every pin, whether it has a record or not, and every record, whether its pin stands or not. Changes nothing, not even by
//! making a directory.

use super::AdminError;
use crate::apply::{ApplyError, Keeper, State};
use crate::cli::Directories;
use crate::clock::Boottime;
use crate::exit::chain;
use crate::ledger::record::Record;
use crate::netns::{NetnsId, PinState};
use crate::pin::PinName;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// One pin.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: PinName,
    pub(super) path: PathBuf,
    pub(super) state: State,
    /// The namespace that it holds.
    pub(super) netns: Option<NetnsId>,
    pub(super) record: Option<Record>,
}

/// What there is.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) keeper: Keeper,
    /// By name.
    pub(super) entries: Vec<Entry>,
    /// What could not be read, and what is not berth's, in words.
    pub(super) problems: Vec<String>,
}

impl Entry {
    /// How long the pin has been there.
    pub(super) fn age(&self) -> Option<Duration> {
        self.record.as_ref().map(|record| Boottime::now().since(record.since))
    }

    /// `namespace/pod` where it is known; standalone containers have no pod.
    pub(super) fn pod(&self) -> Option<String> {
        let pod = &self.record.as_ref()?.pod;
        (!pod.name.is_empty()).then(|| format!("{}/{}", pod.namespace, pod.name))
    }

    /// Every door that has acted on the pod, the one that pinned first.
    pub(super) fn doors(&self) -> Vec<&str> {
        self.record.as_ref().map(Record::doors).unwrap_or_default()
    }
}

/// Looks.
///
/// # Errors
/// A directory cannot be read or must not be trusted.
pub(super) fn survey(directories: &Directories) -> Result<Survey, AdminError> {
    let keeper = Keeper::existing(&directories.state_dir, &directories.netns_dir)?;
    let pins = keeper.store.list().map_err(ApplyError::from)?;
    let records = keeper.ledger.list().map_err(ApplyError::from)?;
    let mut problems: Vec<_> =
        pins.junk.into_iter().map(|file| format!("{file}: not a name that berth gives; it is left alone")).collect();
    problems.extend(records.unreadable.iter().map(|error| chain(error)));
    let mut found: BTreeMap<PinName, (PinState, Option<Record>)> =
        pins.pins.into_iter().map(|(name, state)| (name, (state, None))).collect();
    for (name, record) in records.records {
        found.entry(name).or_insert((PinState::Absent, None)).1 = Some(record);
    }
    let entries = found.into_iter().map(|(name, (pin, record))| {
        let unreadable = record.is_none() && !matches!(keeper.ledger.get(&name), Ok(None));
        Entry {
            path: keeper.store.path(&name),
            state: if unreadable { State::Unreadable } else { State::of(pin, record.as_ref()) },
            netns: if let PinState::Pinned(id) = pin { Some(id) } else { None },
            name,
            record,
        }
    });
    let entries = entries.collect();
    Ok(Survey { keeper, entries, problems })
}
