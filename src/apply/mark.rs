//! Noting what an engine says, or no longer says, of a pod: only ever in its record.

use super::{ApplyError, Keeper};
use crate::clock::Boottime;
use crate::decide::facts::Door;
use crate::exit::chain;
use crate::fsutil::Lock;
use crate::identity::{Role, Scope};
use crate::ledger::LedgerError;
use crate::ledger::record::Record;
use crate::lifecycle::Source;
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
        let absent = |(name, record): &(PinName, Record)| {
            record.engine == scope.engine.as_str()
                && record.scope == scope.root
                && record.removed.is_none()
                && !pods.contains(name)
                && self.look(name, record, seen.contains(name), false).source == Source::Unobservable
        };
        Ok(records.filter(absent).map(|(name, _)| name).collect())
    }
}

/// A lock taken for a pin that was released meanwhile, together with the lock of then: this file is a new one.
pub(super) fn discard(lock: Lock) -> Result<(), ApplyError> {
    Ok(lock.remove().map_err(LedgerError::from)?)
}
