//! Noting what an engine says, or no longer says, of a pod: only ever in its record.

use super::{ApplyError, Keeper, Outcome, Settled, Settlement, Which};
use crate::clock::Boottime;
use crate::decide::facts::Door;
use crate::exit::chain;
use crate::fsutil::Lock;
use crate::identity::{Role, Scope};
use crate::ledger::LedgerError;
use crate::ledger::record::Record;
use crate::lifecycle::{self, Facts, Fate, Source, Tasks, Why};
use crate::logging::Line;
use crate::pin::PinName;
use std::collections::HashSet;
use std::time::Duration;

impl Keeper {
    /// Notes that the engine has removed the pod of `name`. `Ok` if there is no record, or it says so already.
    ///
    /// # Errors
    /// The record cannot be read or written.
    pub fn mark_removed(&self, name: &PinName, patience: Duration) -> Result<(), ApplyError> {
        let Some(_) = self.ledger.get(name)? else { return Ok(()) };
        let lock = self.ledger.lock(name, patience)?;
        match self.ledger.get(name)? {
            Some(record) if record.removed.is_none() => {
                Ok(self.ledger.put(name, &Record { removed: Some(Boottime::now()), ..record })?)
            }
            Some(_) => Ok(()),
            None => discard(lock),
        }
    }

    /// Notes in the records of `which` whose source is gone and whose is there again, as [`Keeper::settle`] does, and does
    /// nothing else: pins are not touched, tasks are not looked for. For who may not unmount; who may finds the marks. Such
    /// a one is not taken to see the node's files.
    pub fn mark_ends(&self, which: Which<'_>, seen: &mut HashSet<PinName>) -> Settlement {
        let mut settlement = Settlement::default();
        for (name, record) in self.records(which, &mut settlement) {
            let looked = self.look(&name, &record, seen.contains(&name), false);
            let result = looked.and_then(|facts| {
                if facts.source == Source::Present {
                    seen.insert(name.clone());
                }
                self.mark_end(&name, record, facts, &mut settlement.marked)
            });
            settlement.add(&name, result);
        }
        settlement
    }

    /// `facts`: what was seen of `record`; `marked`: as in [`Settlement`].
    fn mark_end(
        &self,
        name: &PinName,
        record: Record,
        mut facts: Facts,
        marked: &mut Vec<PinName>,
    ) -> Result<Option<Settled>, ApplyError> {
        if change_of_end(&facts, &record).is_some() {
            let lock = self.ledger.lock(name, Duration::ZERO)?;
            let Some(now) = self.ledger.get(name)? else { return discard(lock).map(|()| None) };
            // There is a change only where the source was seen, there or gone.
            facts = self.look(name, &now, true, false)?;
            if let Some(gone) = change_of_end(&facts, &now) {
                self.ledger.put(name, &Record { gone, ..now })?;
                marked.extend(gone.map(|_| name.clone()));
            }
        }
        let outcome = match lifecycle::evaluate(&facts) {
            Fate::Keep(why) => Outcome::Kept(why),
            Fate::Heal => Outcome::Kept(Why::EngineHoldsIt),
            Fate::Drain(why) | Fate::Release(why) => Outcome::Draining(why),
        };
        Ok(Some(Settled { name: name.clone(), record: Some(record), outcome, tasks: Tasks::Unknown }))
    }

    /// Notes that `door` has acted on a container of this role, of the pod of `name`, whose pin stands. For reports alone,
    /// so nothing depends on it: where there is no readable record, or another berth is at it, nothing is noted. What is
    /// noted already costs reading the record and no more.
    pub fn mark_door(&self, name: &PinName, door: Door, role: Role) {
        if let Err(error) = self.try_mark_door(name, door, role) {
            log::debug!("{}", Line::message("a door was not noted").with("pin", name).with("error", chain(&error)));
        }
    }

    fn try_mark_door(&self, name: &PinName, door: Door, role: Role) -> Result<(), ApplyError> {
        // Of a runtime it is known without that.
        let member = door == Door::Shim && role == Role::Member;
        let door = door.as_str();
        let is_new = |record: &Record| !record.doors().contains(&door) || (member && !record.members);
        if !self.ledger.get(name)?.is_some_and(|record| is_new(&record)) {
            return Ok(());
        }
        let lock = self.ledger.lock(name, Duration::ZERO)?;
        match self.ledger.get(name)? {
            Some(record) if is_new(&record) => {
                let members = record.members || member;
                Ok(self.ledger.put(name, &Record { members, ..record.with_door(door) })?)
            }
            Some(_) => Ok(()),
            None => discard(lock),
        }
    }

    /// The pins of `scope` that are not among `pods`, all of its pods, and whose source cannot be observed from here:
    /// the others' ends will be seen. Being absent from a list is no death (a pod in creation may be missing), so a
    /// removal noted for it still costs the grace and every task, and a door that pins it again takes it back.
    ///
    /// # Errors
    /// The records cannot be listed.
    pub fn unobservable_and_absent(
        &self,
        scope: &Scope,
        pods: &HashSet<PinName>,
        seen: &HashSet<PinName>,
    ) -> Result<Vec<PinName>, ApplyError> {
        let records = self.ledger.list()?.records.into_iter();
        // What stands in the way of a look is said by the pass over all pins that follows.
        let unobservable = |name: &PinName, record: &Record| {
            let looked = self.look(name, record, seen.contains(name), false);
            looked.is_ok_and(|facts| facts.source == Source::Unobservable)
        };
        let absent = |(name, record): &(PinName, Record)| {
            record.engine == scope.engine.as_str()
                && record.scope == scope.root
                && record.removed.is_none()
                && !pods.contains(name)
                && unobservable(name, record)
        };
        Ok(records.filter(absent).map(|(name, _)| name).collect())
    }
}

/// What `gone` of `record` is to become, if it is not so already.
fn change_of_end(facts: &Facts, record: &Record) -> Option<Option<Boottime>> {
    match (facts.source, record.gone) {
        (Source::Present, Some(_)) => Some(None),
        (Source::Gone, None) => Some(Some(Boottime::now())),
        _ => None,
    }
}

/// A lock taken for a pin that was released meanwhile, together with the lock of then: this file is a new one.
pub(super) fn discard(lock: Lock) -> Result<(), ApplyError> {
    Ok(lock.remove().map_err(LedgerError::from)?)
}
