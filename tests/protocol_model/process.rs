//! One process of berth, in the steps of `src/apply`, `src/ledger` and `src/netns/store`: each step is one look at, or one
//! change to, what is shared. What is decided in between is decided by the product's own functions.

use berth::lifecycle::{Pin, Source};

use crate::world::{Ns, Path, Place, Record, World};
use crate::{Flaw, Setup};

/// What a process has come to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// `Keeper::pin`, of the namespace in this one of the engine's files.
    Pin(Path),
    /// `Keeper::settle`: the daemon's occasions, `berth gc`, an interposer's passing by.
    Settle,
    /// `Keeper::settle` again, for a pin that has no record.
    Orphan,
    /// `Keeper::mark_removed`.
    Mark,
    /// `Ledger::sweep` of locks. (Of any age: the minute that the product waits only makes it tamer.)
    Sweep,
}

/// A descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Fd {
    #[default]
    None,
    /// Its file is what the name means.
    Linked,
    /// Its file has no name any more.
    Unlinked,
}

/// The next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum At {
    #[default]
    Idle,
    OpenSource,
    OpenLock,
    TakeLock,
    ReadRecord,
    Stands,
    MayBind,
    WriteRecord,
    Probe,
    CreatePlaceholder,
    LockPlaceholder,
    Bind,
    Verify,
    TakeBack,
    ListRecords,
    LookAtPin,
    LookAtSource,
    Scan,
    ListPins,
    IsAlone,
    IsMounted,
    LookAgainAtPin,
    LookAgainAtSource,
    ReleaseProbe,
    Detach,
    UnlinkPlaceholder,
    RemoveRecord,
    RemoveLock,
    Unlock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Process {
    pub(crate) at: At,
    /// How often it may be started yet.
    pub(crate) runs: u8,
    pub(crate) task: Option<Task>,
    pub(crate) lock: Fd,
    /// The lock is held on that descriptor.
    pub(crate) locked: bool,
    pub(crate) placeholder: Fd,
    /// The placeholder is of this process's making.
    pub(crate) made: bool,
    /// A namespace that it has open.
    pub(crate) netns: Option<Ns>,
    pub(crate) before: Option<Record>,
    pub(crate) wanted: Option<Record>,
    pub(crate) pin: Option<Pin>,
    pub(crate) source: Option<Source>,
    /// How many places of `/proc` two scans have passed; before the first of them nothing is known of tasks.
    pub(crate) scanned: u8,
    /// Tasks were found in it.
    pub(crate) found: bool,
    /// The number of a pin's namespace that has no record.
    pub(crate) orphan: Option<u8>,
}

impl Process {
    pub(crate) fn started(runs: u8, task: Task) -> Self {
        let at = match task {
            Task::Pin(_) => At::OpenSource,
            Task::Settle | Task::Orphan => At::ListRecords,
            // Both look for a reason before they take the lock; that look is their being started.
            Task::Mark | Task::Sweep => At::OpenLock,
        };
        Self { at, runs, task: Some(task), ..Self::default() }
    }
}

/// What `which` may do next. Where there are several, the first is what happens if nobody is in the way.
pub(crate) fn steps(world: &World, which: usize, setup: &Setup) -> Vec<World> {
    let mut next = *world;
    let other = Step { world: &mut next, which, setup }.take();
    next.collect();
    std::iter::once(next)
        .chain(other.map(|mut other| {
            other.collect();
            other
        }))
        .collect()
}

/// A step about to be taken. Those of a door are in `door`, those of a settler in `settler`.
pub(crate) struct Step<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) which: usize,
    pub(crate) setup: &'a Setup,
}

impl Step<'_> {
    pub(crate) fn me(&mut self) -> &mut Process {
        &mut self.world.processes[self.which]
    }

    pub(crate) fn flawed(&self, flaw: Flaw) -> bool {
        self.setup.flaw == Some(flaw)
    }

    pub(crate) fn go(&mut self, at: At) -> Option<World> {
        self.me().at = at;
        None
    }

    /// It is done; what it had open is closed.
    pub(crate) fn end(&mut self) -> Option<World> {
        self.world.kill(self.which);
        None
    }

    /// Takes the step; returns the other way that it may go.
    pub(crate) fn take(&mut self) -> Option<World> {
        let me = *self.me();
        match me.at {
            At::Idle => None,
            At::OpenSource => self.open_source(),
            At::OpenLock => {
                if self.flawed(Flaw::NoLock) && me.task == Some(Task::Settle) {
                    return self.locked();
                }
                self.world.lock = true;
                self.me().lock = Fd::Linked;
                self.go(At::TakeLock)
            }
            At::TakeLock => self.take_lock(me),
            At::ReadRecord => self.read_record(me),
            At::Stands => {
                let stands = me.before == me.wanted && self.leads_to(me.netns);
                if stands { self.promise(me) } else { self.go(At::MayBind) }
            }
            At::MayBind => {
                let occupied = matches!(self.world.pin, Place::Pinned(by) if Some(by) != me.netns);
                match me.before {
                    Some(_) if occupied => self.go(At::Unlock),
                    None if occupied && !self.flawed(Flaw::RecordOverAnother) => self.go(At::RemoveLock),
                    _ if me.before == me.wanted || self.flawed(Flaw::MountBeforeRecord) => self.go(At::Probe),
                    _ => self.go(At::WriteRecord),
                }
            }
            At::WriteRecord => {
                self.world.record = me.wanted;
                if self.flawed(Flaw::MountBeforeRecord) { self.promise(me) } else { self.go(At::Probe) }
            }
            At::Probe => match self.world.pin {
                Place::Pinned(ns) if Some(ns) == me.netns => self.pinned(me),
                Place::Pinned(_) => self.go(At::TakeBack),
                Place::Absent => self.go(At::CreatePlaceholder),
                Place::Placeholder => {
                    (self.me().placeholder, self.me().made) = (Fd::Linked, false);
                    self.go(At::LockPlaceholder)
                }
            },
            At::CreatePlaceholder => {
                if self.world.pin != Place::Absent {
                    return self.go(At::Probe);
                }
                self.world.pin = Place::Placeholder;
                (self.me().placeholder, self.me().made) = (Fd::Linked, true);
                self.go(At::LockPlaceholder)
            }
            At::LockPlaceholder => self.lock_placeholder(me),
            At::Bind => self.bind(me),
            At::Verify => {
                self.me().placeholder = Fd::None;
                if self.leads_to(me.netns) { self.pinned(me) } else { self.go(At::Probe) }
            }
            At::TakeBack => self.take_back(me),
            _ => self.settle(me),
        }
    }

    /// flock(2) without waiting, and a look whether that file is the lock yet.
    pub(crate) fn take_lock(&mut self, me: Process) -> Option<World> {
        let is_held = |other: &Process| other.locked && other.lock == Fd::Linked;
        let busy = me.lock == Fd::Linked && self.world.processes.iter().any(is_held);
        let stale = me.lock == Fd::Unlinked && !self.flawed(Flaw::UnlinkedLock);
        if !busy && !stale {
            return self.locked();
        }
        self.me().lock = Fd::None;
        if matches!(me.task, Some(Task::Pin(_) | Task::Mark)) {
            // They have patience, and it ends.
            self.me().at = At::OpenLock;
            let mut given_up = *self.world;
            given_up.kill(self.which);
            return Some(given_up);
        }
        self.end()
    }

    pub(crate) fn locked(&mut self) -> Option<World> {
        self.me().locked = true;
        if self.flawed(Flaw::NoRecheck) && self.me().task == Some(Task::Settle) {
            return self.act();
        }
        self.go(At::ReadRecord)
    }

    pub(crate) fn read_record(&mut self, me: Process) -> Option<World> {
        let record = self.world.record;
        match (me.task.expect("a task"), record) {
            (Task::Pin(path), _) => {
                let ns = me.netns.expect("open");
                let number = self.world.number(ns).expect("it is held");
                let same = record.filter(|record| record.number == number && record.path == path);
                let kept = self.leads_to(me.netns) || self.flawed(Flaw::OldAge);
                let since = same.filter(|_| kept).map_or(ns, |record| record.since);
                self.me().before = record;
                self.me().wanted = Some(Record { path, number, since, gone: None, removed: None });
                self.go(At::Stands)
            }
            (Task::Settle | Task::Mark, None) => self.go(At::RemoveLock),
            (Task::Settle, Some(now)) => {
                let listed = me.before.expect("listed");
                let same = (now.number, now.path, now.since) == (listed.number, listed.path, listed.since);
                if !same && !self.flawed(Flaw::TasksOfAnother) {
                    return self.go(At::Unlock);
                }
                self.me().before = Some(now);
                self.go(At::LookAgainAtPin)
            }
            (Task::Orphan, None) => {
                let same = match self.world.pin {
                    Place::Absent => false,
                    Place::Placeholder => me.orphan.is_none(),
                    Place::Pinned(ns) => me.orphan.is_some() && self.world.number(ns) == me.orphan,
                };
                self.go(if same || self.flawed(Flaw::AnotherOrphan) { At::ReleaseProbe } else { At::Unlock })
            }
            (Task::Mark, Some(now)) => {
                // Under the lock the record is nobody else's: read and write are one step.
                self.world.record = Some(Record { removed: now.removed.or(Some(0)), ..now });
                self.go(At::Unlock)
            }
            (Task::Sweep, None) => self.go(At::RemoveLock),
            (Task::Orphan | Task::Sweep, Some(_)) => self.go(At::Unlock),
        }
    }

    pub(crate) fn leads_to(&self, ns: Option<Ns>) -> bool {
        matches!(self.world.pin, Place::Pinned(there) if Some(there) == ns)
    }
}
