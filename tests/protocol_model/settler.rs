//! The steps of who settles: `Keeper::settle`, of a pin with a record or without, and `Store::release`.

use berth::lifecycle::{Facts, Fate, Source, Tasks, evaluate};

use crate::Flaw;
use crate::process::{At, Process, Step, Task};
use crate::world::{File, Ns, Place, Record, SLOTS, World, duration};

impl Step<'_> {
    pub(crate) fn settle(&mut self, me: Process) -> Option<World> {
        let record = || me.before.expect("a record");
        let known = self.setup.same_directory;
        match me.at {
            At::ListRecords => {
                self.me().before = self.world.record;
                match self.world.record {
                    Some(_) => self.go(At::LookAtPin),
                    None if self.setup.everything => self.go(At::ListPins),
                    None => self.end(),
                }
            }
            At::LookAtPin => {
                self.me().pin = Some(self.world.look_at_pin(&record()));
                self.go(At::LookAtSource)
            }
            At::LookAtSource => {
                let source = self.world.look_at_source(&record(), me.pin.expect("looked at"), known);
                self.me().source = Some(source);
                if source == Source::Present || !self.setup.sees_tasks { self.consider() } else { self.go(At::Scan) }
            }
            At::Scan => self.scan(me),
            At::ListPins => self.list_pins(),
            At::IsAlone => match self.world.record {
                Some(_) => self.end(),
                None if me.orphan.is_none() => self.go(At::OpenLock),
                None if self.flawed(Flaw::TasksFirst) => self.go(At::Scan),
                None => self.go(At::IsMounted),
            },
            At::IsMounted => {
                let mounted = self.world.files.iter().any(|file| match file {
                    File::Holds(ns) => self.world.number(*ns) == me.orphan,
                    _ => false,
                });
                match me.scanned {
                    _ if mounted => self.end(),
                    0 => self.go(At::Scan),
                    _ => self.alone(me.found),
                }
            }
            At::LookAgainAtPin => {
                self.me().pin = Some(self.world.look_at_pin(&record()));
                self.go(At::LookAgainAtSource)
            }
            At::LookAgainAtSource => {
                let seen = me.source != Some(Source::Unobservable);
                let source = self.world.look_at_source(&record(), me.pin.expect("looked at"), known || seen);
                self.me().source = Some(source);
                // It was there, so nobody has looked for tasks.
                let ended = me.source == Some(Source::Present) && source != Source::Present;
                if ended && !self.flawed(Flaw::NotScanned) { self.go(At::Unlock) } else { self.act() }
            }
            _ => self.release(me),
        }
    }

    /// One place of `/proc`; they are passed in order, twice.
    pub(crate) fn scan(&mut self, me: Process) -> Option<World> {
        let sought = if me.task == Some(Task::Orphan) { me.orphan } else { me.before.map(|record| record.number) };
        let there = self.world.tasks[usize::from(me.scanned) % SLOTS].and_then(|ns| self.world.number(ns));
        self.me().found |= there.is_some() && there == sought;
        self.me().scanned += 1;
        let scans = if self.flawed(Flaw::ScanOnce) { 1 } else { 2 };
        match me.task {
            _ if usize::from(me.scanned) + 1 < scans * SLOTS => None,
            Some(Task::Orphan) if self.flawed(Flaw::TasksFirst) => self.go(At::IsMounted),
            Some(Task::Orphan) => {
                let found = self.me().found;
                self.alone(found)
            }
            _ => self.consider(),
        }
    }

    pub(crate) fn alone(&mut self, found: bool) -> Option<World> {
        if found { self.end() } else { self.go(At::OpenLock) }
    }

    pub(crate) fn list_pins(&mut self) -> Option<World> {
        let number = match self.world.pin {
            Place::Absent => return self.end(),
            Place::Placeholder => None,
            Place::Pinned(_) if !self.setup.sees_tasks => return self.end(),
            Place::Pinned(ns) => self.world.number(ns),
        };
        (self.me().task, self.me().orphan) = (Some(Task::Orphan), number);
        self.go(At::IsAlone)
    }

    pub(crate) fn facts(&mut self) -> Facts {
        let me = *self.me();
        let record = me.before.expect("a record");
        let tasks = match me.found {
            _ if me.scanned == 0 => Tasks::Unknown,
            false => Tasks::None,
            true => Tasks::Some(1),
        };
        Facts {
            pin: me.pin.expect("looked at"),
            source: me.source.expect("looked at"),
            tasks,
            gone_for: record.gone.map(duration),
            removed_for: record.removed.map(duration),
        }
    }

    /// Whether the lock is worth taking.
    pub(crate) fn consider(&mut self) -> Option<World> {
        let fate = evaluate(&self.facts());
        let marked = self.me().before.is_some_and(|record| record.gone.is_some());
        if fate.changes(marked) { self.go(At::OpenLock) } else { self.end() }
    }

    /// Does what the rule says, with the lock.
    pub(crate) fn act(&mut self) -> Option<World> {
        let facts = self.facts();
        let record = self.me().before.expect("a record");
        match evaluate(&facts) {
            Fate::Keep(_) if facts.source == Source::Present && record.gone.is_some() => {
                self.world.record = Some(Record { gone: None, ..record });
                self.go(At::Unlock)
            }
            Fate::Drain(_) if facts.source == Source::Gone && record.gone.is_none() => {
                self.world.record = Some(Record { gone: Some(0), ..record });
                self.go(At::Unlock)
            }
            Fate::Keep(_) | Fate::Drain(_) => self.go(At::Unlock),
            Fate::Heal => self.go(At::OpenSource),
            Fate::Release(_) if self.flawed(Flaw::RecordFirst) => self.go(At::RemoveRecord),
            Fate::Release(_) => self.go(At::ReleaseProbe),
        }
    }

    pub(crate) fn release(&mut self, me: Process) -> Option<World> {
        match me.at {
            At::ReleaseProbe => match self.world.pin {
                Place::Pinned(ns) => {
                    self.me().netns = Some(ns);
                    self.go(At::Detach)
                }
                Place::Placeholder => self.go(At::UnlinkPlaceholder),
                Place::Absent if me.task == Some(Task::Orphan) || self.flawed(Flaw::RecordFirst) => {
                    self.go(At::RemoveLock)
                }
                Place::Absent => self.go(At::RemoveRecord),
            },
            At::Detach => {
                if let Place::Pinned(ns) = self.world.pin
                    && Some(ns) == me.netns
                {
                    self.world.broken = self.world.broken.or(self.still_needed(ns));
                    self.world.pin = Place::Placeholder;
                }
                self.me().netns = None;
                self.go(At::ReleaseProbe)
            }
            At::UnlinkPlaceholder => {
                if self.world.pin == Place::Placeholder {
                    self.world.unlink_placeholder();
                }
                self.go(At::ReleaseProbe)
            }
            At::RemoveRecord => {
                self.world.record = None;
                let settles = me.task == Some(Task::Settle);
                self.go(if settles && self.flawed(Flaw::RecordFirst) { At::ReleaseProbe } else { At::RemoveLock })
            }
            At::RemoveLock => {
                self.world.unlink_lock();
                self.end()
            }
            _ => self.end(),
        }
    }

    /// Why the pin of `ns` must not go now: what is so, not what can be seen of it.
    pub(crate) fn still_needed(&self, ns: Ns) -> Option<&'static str> {
        let age = self.world.record.and_then(|record| record.oldest());
        let waited_for = if self.setup.sees_tasks { 2 } else { 1 };
        if self.world.held_by_engine(ns) {
            Some("a pin goes whose namespace the engine holds")
        } else if self.world.has_tasks(ns) && age.is_none_or(|age| age < waited_for) {
            Some("a pin goes in whose namespace there are tasks")
        } else {
            None
        }
    }
}
