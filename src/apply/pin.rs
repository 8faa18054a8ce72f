//! Making a pin with its record.

use super::mark::discard;
use super::{ApplyError, Keeper, file_id, id_of};
use crate::clock::Boottime;
use crate::decide::verdict::Reason;
use crate::fsutil::{FileError, Lock};
use crate::ledger::LedgerError;
use crate::ledger::record::{FileId, Origin, Pod, Record, Source, VERSION, config_name};
use crate::netns::{Netns, NetnsError, NetnsId, PinState};
use crate::pin::PinName;
use std::path::Path;
use std::time::Duration;

/// What a door wants pinned, and what the record shall say of it.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// The pin.
    pub name: &'a PinName,
    /// The namespace, opened and verified.
    pub netns: &'a Netns,
    /// Where it comes from, and with that what `source` is.
    pub origin: Origin,
    /// The engine's file it was opened from, or the bundle it was made for.
    pub source: &'a Path,
    /// Namespaces that must not be pinned: the host's.
    pub forbidden: &'a [NetnsId],
    /// Engine and scope of the id.
    pub scope: &'a crate::identity::Scope,
    /// The id.
    pub sandbox: &'a str,
    /// The pod.
    pub pod: &'a crate::identity::PodRef,
    /// Its runtime handler.
    pub handler: &'a str,
    /// The door.
    pub door: &'static str,
    /// The profile.
    pub profile: &'a str,
    /// What was decided.
    pub verdict: Reason,
    /// The configuration.
    pub config: u64,
    /// The pid namespace in which the pod's tasks can be seen, if the door can tell.
    pub pid_ns: Option<u64>,
}

/// What pinning found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinned {
    /// The pin is new, or was missing and is there again.
    Now,
    /// It was there, with its record.
    Already,
}

impl Keeper {
    /// Pins what is wanted. Holds: on `Ok` the pin holds the namespace and its record says so; on `Err` pin and
    /// record are as they were, or the error says what is not. Repeating it is `Ok`.
    ///
    /// # Errors
    /// The lock is held by another for longer than `patience`; the record is a newer berth's; what
    /// [`crate::netns::Store::adopt`] refuses.
    pub fn pin(&self, wanted: &Wanted<'_>, patience: Duration) -> Result<Pinned, ApplyError> {
        let source = wanted.source()?;
        let lock = self.ledger.lock(wanted.name, patience)?;
        let before = self.ledger.get(wanted.name)?;
        let stands = before.is_some() && self.store.leads_to(wanted.name, wanted.netns.id());
        let record = wanted.record(source, before.as_ref(), stands);
        if stands && before.as_ref() == Some(&record) {
            return Ok(Pinned::Already);
        }
        self.bind(wanted.name, wanted.netns, wanted.forbidden, record, before, lock)
    }

    /// Brings the record of a pin that stands up to date, as [`Keeper::pin`] does, and makes none: for who may not mount.
    /// Nothing is waited for. A pin that has gone meanwhile is left at that.
    ///
    /// # Errors
    /// The lock is held by another; the record is a newer berth's, or cannot be written. It is as it was then.
    pub fn note(&self, wanted: &Wanted<'_>) -> Result<(), ApplyError> {
        let source = wanted.source()?;
        let lock = self.ledger.lock(wanted.name, Duration::ZERO)?;
        let before = self.ledger.get(wanted.name)?;
        if !self.store.leads_to(wanted.name, wanted.netns.id()) {
            return if before.is_none() { discard(lock) } else { Ok(()) };
        }
        let record = wanted.record(source, before.as_ref(), true);
        if before.as_ref() == Some(&record) {
            return Ok(());
        }
        self.ledger.put(wanted.name, &record).map_err(|error| self.end(before, lock, error.into()))
    }

    /// Writes the record and makes the pin, in this order, or takes both back. The lock is of `name`.
    pub(super) fn bind(
        &self,
        name: &PinName,
        netns: &Netns,
        forbidden: &[NetnsId],
        record: Record,
        before: Option<Record>,
        lock: Lock,
    ) -> Result<Pinned, ApplyError> {
        let there = self.store.at(name);
        let stood = there == Some(netns.id());
        if let Err(error) = self.may_bind(name, netns.id(), forbidden, there) {
            return Err(self.end(before, lock, error.into()));
        }
        if before.as_ref() != Some(&record)
            && let Err(error) = self.ledger.put(name, &record)
        {
            return Err(self.end(before, lock, error.into()));
        }
        match self.store.adopt(name, netns, forbidden) {
            Ok(_) if stood => Ok(Pinned::Already),
            Ok(_) => Ok(Pinned::Now),
            Err(error) => Err(self.take_back(name, before, lock, error.into())),
        }
    }

    /// Asked before the record is written, which would only have to be taken back: the host's namespace, and a pin of
    /// another namespace that stands already, with a record or without. With a record that is not its own it could not go.
    fn may_bind(
        &self,
        name: &PinName,
        id: NetnsId,
        forbidden: &[NetnsId],
        there: Option<NetnsId>,
    ) -> Result<(), NetnsError> {
        let path = || self.store.path(name);
        if forbidden.contains(&id) {
            return Err(NetnsError::Forbidden { path: path(), id });
        }
        match there.filter(|there| *there != id).map(|_| self.store.state(name)).transpose()? {
            Some(PinState::Pinned(by)) if by != id => Err(NetnsError::OccupiedBy { path: path(), by }),
            _ => Ok(()),
        }
    }

    /// Nothing was changed; a lock that was made for nothing goes.
    fn end(&self, before: Option<Record>, lock: Lock, first: ApplyError) -> ApplyError {
        match before {
            Some(_) => first,
            None => match lock.remove() {
                Ok(()) => first,
                Err(undo) => ApplyError::Unlock { first: Box::new(first), undo },
            },
        }
    }

    /// Puts the record back to what it was; one without a pin goes, unless something of the pin is left for the next
    /// occasion to finish.
    fn take_back(&self, name: &PinName, before: Option<Record>, lock: Lock, first: ApplyError) -> ApplyError {
        let undone = match before {
            Some(before) => self.ledger.put(name, &before),
            None if matches!(self.store.state(name), Ok(PinState::Absent | PinState::Foreign(_))) => {
                self.ledger.remove(name).and_then(|_| Ok(lock.remove()?))
            }
            None => Ok(()),
        };
        match undone {
            Ok(()) => first,
            Err(undo) => ApplyError::Undo { name: name.clone(), first: Box::new(first), undo },
        }
    }
}

impl Wanted<'_> {
    /// What the record shall say of the source.
    fn source(&self) -> Result<Source, ApplyError> {
        let parent = self.source.parent().unwrap_or(Path::new("/"));
        let bundle = match self.origin {
            Origin::Adopted => None,
            Origin::Created => Some(look_up("look at the bundle", self.source)?),
        };
        let parent = look_up("look at the directory of the source of a network namespace", parent)?;
        Ok(Source { path: self.source.to_owned(), parent, bundle })
    }

    /// What the record shall be; of one that is there already what an earlier door said stays, and, if its pin `stands`, its
    /// age: without one it may be left from another namespace of the same number at the same path.
    fn record(&self, source: Source, before: Option<&Record>, stands: bool) -> Record {
        let same =
            before.filter(|record| record.netns == file_id(self.netns.id()) && record.source.path == self.source);
        if let Some(before) = same {
            let since = if stands { before.since } else { Boottime::now() };
            let mut record = Record { source, since, gone: None, removed: None, ..before.clone() }.with_door(self.door);
            if record.handler.is_empty() {
                // Interposers are not told it unless their entry says it.
                self.handler.clone_into(&mut record.handler);
            }
            return record;
        }
        Record {
            version: VERSION,
            engine: self.scope.engine.as_str().to_owned(),
            scope: self.scope.root.clone(),
            sandbox: self.sandbox.to_owned(),
            pod: Pod { namespace: self.pod.namespace.clone(), name: self.pod.name.clone(), uid: self.pod.uid.clone() },
            handler: self.handler.to_owned(),
            door: self.door.to_owned(),
            doors: Vec::new(),
            members: false,
            profile: self.profile.to_owned(),
            verdict: self.verdict.as_str().to_owned(),
            config: config_name(self.config),
            origin: self.origin,
            source,
            netns: file_id(self.netns.id()),
            since: Boottime::now(),
            pid_ns: self.pid_ns,
            gone: None,
            removed: None,
        }
    }
}

/// The file or directory at a path; `what` says what is asked for.
fn look_up(what: &'static str, path: &Path) -> Result<FileId, ApplyError> {
    let data = std::fs::metadata(path).map_err(FileError::new(what, path)).map_err(LedgerError::from)?;
    Ok(id_of(&data))
}
