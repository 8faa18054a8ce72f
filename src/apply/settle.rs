//! Applying the lifecycle rule: looking at pins, sources and tasks, and doing what follows.
//!
//! One pass looks at all files first; only if something may have to go does it scan `/proc`, twice, because a
//! scan is no snapshot and a task that forks while it passes can be missed once. Then each candidate is looked at
//! again under its lock before anything is done.

use super::observe::{Scans, Sight};
use super::{ApplyError, Keeper, file_id, netns_id};
use crate::clock::Boottime;
use crate::fsutil::Lock;
use crate::ledger::LedgerError;
use crate::ledger::record::{Origin, Record};
use crate::lifecycle::{self, Facts, Fate, Source, Tasks, Why};
use crate::netns::{Netns, NetnsId, PinState};
use crate::pin::PinName;
use std::collections::HashSet;
use std::time::Duration;

/// Which pins to settle.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// All there are, pins without a record included.
    All,
    /// All that have a record.
    Recorded,
    /// These.
    These(&'a [PinName]),
}

/// Whether to do it or to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Do.
    Apply,
    /// Say what would be done.
    Preview,
}

/// What became of a pin (in a preview: what would).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It stays.
    Kept(Why),
    /// It was missing and is there again.
    Healed,
    /// It will go.
    Draining(Why),
    /// It is gone, its record too.
    Released(Why),
}

/// One pin's outcome.
#[derive(Debug)]
pub struct Settled {
    /// The pin.
    pub name: PinName,
    /// Its record; `None` for a pin without one.
    pub record: Option<Record>,
    /// What became of it.
    pub outcome: Outcome,
    /// The tasks in it; they are looked for only where it may have to go.
    pub tasks: Tasks,
}

/// All outcomes of one pass, and what could not be settled.
#[derive(Debug, Default)]
pub struct Settlement {
    /// By name.
    pub settled: Vec<Settled>,
    /// Each with the pin it is about, where it is about one.
    pub errors: Vec<(Option<PinName>, ApplyError)>,
    /// Pins whose records say since this pass that their sources are gone.
    pub marked: Vec<PinName>,
    /// Pins that another berth was at: to be looked at again.
    pub busy: Vec<PinName>,
    /// Pins that were asked for and of which there is no record any more.
    pub absent: Vec<PinName>,
    /// The tasks had to be looked at, all there are.
    pub scanned: bool,
}

impl Settlement {
    pub(super) fn add(&mut self, name: &PinName, result: Result<Option<Settled>, ApplyError>) {
        match result {
            Ok(Some(settled)) => self.settled.push(settled),
            Ok(None) => self.absent.push(name.clone()),
            Err(error) if error.is_busy() => self.busy.push(name.clone()),
            Err(error) => self.errors.push((Some(name.clone()), error)),
        }
    }
}

/// A pin or a placeholder without a record.
pub(super) struct Orphan {
    pub(super) name: PinName,
    pub(super) id: Option<NetnsId>,
    /// Its namespace is mounted elsewhere too.
    pub(super) held: bool,
}

impl Keeper {
    /// Applies the rule to `which`. `seen` are the pins whose source this process has seen at its path before: for
    /// them, "gone" counts whatever directory is there now. It is kept up to date.
    pub fn settle(&self, which: Which<'_>, sight: &Sight, mode: Mode, seen: &mut HashSet<PinName>) -> Settlement {
        let mut settlement = Settlement::default();
        let mut candidates = Vec::new();
        let records = self.records(which, &mut settlement);
        let orphans = if matches!(which, Which::All) { self.orphans(&records, &mut settlement) } else { Vec::new() };
        for (name, record) in records {
            let facts = match self.look(&name, &record, seen.contains(&name), sight.files) {
                Ok(facts) => facts,
                Err(error) => {
                    settlement.add(&name, Err(error));
                    continue;
                }
            };
            if facts.source == Source::Present {
                seen.insert(name.clone());
                settlement.add(&name, self.settle_one(&name, &record, facts, sight, mode));
            } else {
                candidates.push((name, record, facts));
            }
        }
        if candidates.is_empty() && orphans.is_empty() {
            return settlement;
        }
        settlement.scanned = true;
        let tasks = Scans::take(sight, |error| settlement.errors.push((None, error)));
        for (name, record, facts) in candidates {
            let tasks = tasks.of(netns_id(record.netns), sight.covers(&record));
            let result = self.settle_one(&name, &record, Facts { tasks, ..facts }, sight, mode);
            settlement.add(&name, result);
        }
        for orphan in orphans {
            let tasks = match orphan.id {
                // What is mounted on the node cannot be told from here, and so not what this is.
                _ if !sight.mounts => Tasks::Unknown,
                Some(id) => tasks.of(id, sight.all),
                None => Tasks::None,
            };
            settlement.add(&orphan.name, self.settle_orphan(&orphan, tasks, mode));
        }
        settlement.settled.sort_by(|a, b| a.name.cmp(&b.name));
        for settled in &settlement.settled {
            if matches!(settled.outcome, Outcome::Released(_)) {
                seen.remove(&settled.name);
            }
        }
        settlement
    }

    /// Those of `known` that have no record any more and were not `settled` now. One whose record cannot be read may have it.
    #[must_use]
    pub fn unrecorded(&self, mut known: HashSet<PinName>, settled: &[Settled]) -> Vec<PinName> {
        for settled in settled {
            known.remove(&settled.name);
        }
        known.into_iter().filter(|name| matches!(self.ledger.get(name), Ok(None))).collect()
    }

    pub(super) fn records(&self, which: Which<'_>, settlement: &mut Settlement) -> Vec<(PinName, Record)> {
        match which {
            Which::All | Which::Recorded => match self.ledger.list() {
                Ok(listing) => {
                    settlement.errors.extend(listing.unreadable.into_iter().map(|error| (None, error.into())));
                    listing.records
                }
                Err(error) => {
                    settlement.errors.push((None, error.into()));
                    Vec::new()
                }
            },
            Which::These(names) => {
                let mut records = Vec::new();
                for name in names {
                    match self.ledger.get(name) {
                        Ok(Some(record)) => records.push((name.clone(), record)),
                        Ok(None) => settlement.absent.push(name.clone()),
                        Err(error) => settlement.errors.push((Some(name.clone()), error.into())),
                    }
                }
                records
            }
        }
    }

    /// Does what the rule says, judged again under the lock. What has become another pin meanwhile, or has ended, is to be
    /// looked at from the beginning.
    pub(super) fn settle_one(
        &self,
        name: &PinName,
        record: &Record,
        facts: Facts,
        sight: &Sight,
        mode: Mode,
    ) -> Result<Option<Settled>, ApplyError> {
        let fate = lifecycle::evaluate(&facts);
        let settled =
            |outcome| Some(Settled { name: name.clone(), record: Some(record.clone()), outcome, tasks: facts.tasks });
        if fate == Fate::Heal && !sight.mounts {
            // Not to be seen from here whether it is missing at all.
            return Ok(settled(Outcome::Kept(Why::Unobservable)));
        }
        if fate == Fate::Heal && record.origin == Origin::Created {
            // There is no file to have it again from; the next creation from the bundle makes another.
            return Ok(settled(Outcome::Kept(Why::EngineHoldsIt)));
        }
        // Most passes find that nothing would change, and take no lock.
        if mode == Mode::Preview || !fate.changes(record.gone.is_some()) {
            return Ok(settled(outcome(fate)));
        }
        let lock = self.ledger.lock(name, Duration::ZERO)?;
        let Some(now) = self.ledger.get(name)? else { return super::mark::discard(lock).map(|()| None) };
        // Gone once is gone: whoever saw that knows the directory, so it stays seen.
        let seen = facts.source != Source::Unobservable;
        let again = Facts { tasks: facts.tasks, ..self.look(name, &now, seen, sight.files)? };
        // While a source is there nobody looks for tasks, and those of one namespace say nothing of the next one's.
        let unscanned = facts.source == Source::Present && again.source != Source::Present;
        if unscanned || !is_same_pin(record, &now) {
            return Err(ApplyError::Changed { name: name.clone() });
        }
        let (record, facts) = (now, again);
        let fate = lifecycle::evaluate(&facts);
        match fate {
            Fate::Keep(_) if facts.source == Source::Present && record.gone.is_some() => {
                self.ledger.put(name, &Record { gone: None, ..record })?;
            }
            Fate::Keep(_) => {}
            Fate::Heal => self.heal(name, &record, lock, sight)?,
            Fate::Drain(_) if facts.source == Source::Gone && record.gone.is_none() => {
                self.ledger.put(name, &Record { gone: Some(Boottime::now()), ..record })?;
            }
            Fate::Drain(_) => {}
            Fate::Release(_) => {
                self.store.release(name)?;
                self.ledger.remove(name)?;
                lock.remove().map_err(LedgerError::from)?;
            }
        }
        Ok(settled(outcome(fate)))
    }

    /// Pins the same path again; under the same rules as a door.
    fn heal(&self, name: &PinName, record: &Record, lock: Lock, sight: &Sight) -> Result<(), ApplyError> {
        let netns = Netns::open(&record.source.path)?;
        let healed = Record { netns: file_id(netns.id()), since: Boottime::now(), gone: None, ..record.clone() };
        self.bind(name, &netns, &sight.host, healed, Some(record.clone()), lock).map(drop)
    }

    /// Pins and placeholders without a record. A record that is there but cannot be read makes none of its pin. Whether the
    /// engine has the namespace is asked here, before tasks are looked for: while it has, more can join.
    fn orphans(&self, records: &[(PinName, Record)], settlement: &mut Settlement) -> Vec<Orphan> {
        let listing = match self.store.list() {
            Ok(listing) => listing,
            Err(error) => {
                settlement.errors.push((None, error.into()));
                return Vec::new();
            }
        };
        let known: HashSet<_> = records.iter().map(|(name, _)| name).collect();
        let without_record = |name: &PinName| !known.contains(name) && matches!(self.ledger.get(name), Ok(None));
        let mut orphans = Vec::new();
        for (name, state) in listing.pins.into_iter().filter(|(name, _)| without_record(name)) {
            let Some(id) = made(state) else { continue };
            match id.map(|id| self.store.others(id)).transpose() {
                Ok(others) => orphans.push(Orphan { name, id, held: others.is_some_and(|others| !others.is_empty()) }),
                Err(error) => settlement.errors.push((Some(name), error.into())),
            }
        }
        orphans
    }

    /// An orphan goes when it is shown that nobody needs it: no task is in it and it is mounted nowhere else.
    pub(super) fn settle_orphan(
        &self,
        orphan: &Orphan,
        tasks: Tasks,
        mode: Mode,
    ) -> Result<Option<Settled>, ApplyError> {
        let Orphan { name, id, held } = orphan;
        let outcome = match tasks {
            _ if *held => Outcome::Kept(Why::EngineHoldsIt),
            Tasks::None => Outcome::Released(Why::GoneAndEmpty),
            Tasks::Some(_) => Outcome::Kept(Why::TasksLeft),
            Tasks::Unknown => Outcome::Kept(Why::Unobservable),
        };
        if matches!(outcome, Outcome::Released(_)) && mode == Mode::Apply {
            let lock = self.ledger.lock(name, Duration::ZERO)?;
            if self.ledger.get(name)?.is_some() {
                return Ok(None); // adopted since it was listed
            }
            if made(self.store.state(name)?) != Some(*id) {
                return Err(ApplyError::Changed { name: name.clone() });
            }
            self.store.release(name)?;
            lock.remove().map_err(LedgerError::from)?;
        }
        Ok(Some(Settled { name: name.clone(), record: None, outcome, tasks }))
    }
}

/// What berth has made there: a pin of a namespace, or a placeholder.
fn made(state: PinState) -> Option<Option<NetnsId>> {
    match state {
        PinState::Pinned(id) => Some(Some(id)),
        PinState::Placeholder => Some(None),
        PinState::Absent | PinState::Foreign(_) => None,
    }
}

/// Whether both are records of one pin. An id can be given to a new sandbox, and its namespace have the number of the
/// earlier one.
fn is_same_pin(one: &Record, other: &Record) -> bool {
    (one.netns, one.since, &one.source.path) == (other.netns, other.since, &other.source.path)
}

fn outcome(fate: Fate) -> Outcome {
    match fate {
        Fate::Keep(why) => Outcome::Kept(why),
        Fate::Heal => Outcome::Healed,
        Fate::Drain(why) => Outcome::Draining(why),
        Fate::Release(why) => Outcome::Released(why),
    }
}
