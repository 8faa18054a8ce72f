//! What is shared on the node: the engine's files, the pin, its record and its lock, the tasks, the numbers of network
//! namespaces; and everything that happens without berth.

use std::time::Duration;

use berth::lifecycle::{DRAIN_LIMIT, GRACE, Pin, Source};

use crate::process::{At, Fd, Process};

/// Network namespaces that come into being in one run. The second one has its sandbox's id anew, as podman does it.
pub(crate) const SPACES: usize = 2;
/// Tasks that `/proc` has room for. A scan passes them in this order.
pub(crate) const SLOTS: usize = 2;
/// berth's processes at the same time.
pub(crate) const PROCESSES: usize = 3;

/// A network namespace, by identity. What berth sees of one is its number.
pub(crate) type Ns = u8;

/// One of the engine's paths.
pub(crate) type Path = u8;

/// An engine's file of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum File {
    Absent,
    /// Unmounted, and not yet removed.
    Plain,
    Holds(Ns),
}

/// What is at the pin's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Absent,
    Placeholder,
    Pinned(Ns),
}

/// How long ago something was: 0 for less than the grace, 1 for less than the limit of draining, 2 for more.
pub(crate) type Age = u8;

pub(crate) fn duration(age: Age) -> Duration {
    [Duration::ZERO, GRACE, DRAIN_LIMIT][usize::from(age)]
}

/// A record, as far as the protocol looks at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    /// Which of the engine's files it names.
    pub(crate) path: Path,
    /// The namespace's number.
    pub(crate) number: u8,
    /// When it was made: no two namespaces are first recorded at the same moment, so it is told by that.
    pub(crate) since: Ns,
    pub(crate) gone: Option<Age>,
    pub(crate) removed: Option<Age>,
}

impl Record {
    pub(crate) fn age(&mut self) {
        for age in [&mut self.gone, &mut self.removed].into_iter().flatten() {
            *age = (*age + 1).min(2);
        }
    }

    pub(crate) fn oldest(&self) -> Option<Age> {
        self.gone.max(self.removed)
    }
}

/// How often what berth does not bring about itself may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Left {
    /// A process of berth is killed, between any two steps.
    pub(crate) crashes: u8,
    /// A task forks, so that a scan that is under way can miss both.
    pub(crate) forks: u8,
    /// Somebody unmounts the pin.
    pub(crate) unmounts: u8,
    /// Somebody removes the record, as an operator does with a damaged one; not while a process of berth is at it.
    pub(crate) losses: u8,
    /// A mount is refused.
    pub(crate) refusals: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct World {
    pub(crate) born: Ns,
    /// The numbers of those namespaces that live.
    pub(crate) numbers: [Option<u8>; SPACES],
    pub(crate) files: [File; SPACES],
    pub(crate) tasks: [Option<Ns>; SLOTS],
    pub(crate) pin: Place,
    pub(crate) record: Option<Record>,
    /// Whether there is a file at the lock's path.
    pub(crate) lock: bool,
    pub(crate) processes: [Process; PROCESSES],
    pub(crate) left: Left,
    /// A door has said that this namespace is pinned, and its engine still holds it.
    pub(crate) promised: Option<Ns>,
    /// A property that a step has broken.
    pub(crate) broken: Option<&'static str>,
}

impl World {
    pub(crate) fn new(left: Left) -> Self {
        Self {
            born: 0,
            numbers: [None; SPACES],
            files: [File::Absent; SPACES],
            tasks: [None; SLOTS],
            pin: Place::Absent,
            record: None,
            lock: false,
            processes: [Process::default(); PROCESSES],
            left,
            promised: None,
            broken: None,
        }
    }

    /// What berth sees of a namespace.
    pub(crate) fn number(&self, ns: Ns) -> Option<u8> {
        self.numbers[usize::from(ns)]
    }

    pub(crate) fn held_by_engine(&self, ns: Ns) -> bool {
        self.files.contains(&File::Holds(ns))
    }

    pub(crate) fn has_tasks(&self, ns: Ns) -> bool {
        self.tasks.contains(&Some(ns))
    }

    /// What `look_at_pin` says.
    pub(crate) fn look_at_pin(&self, record: &Record) -> Pin {
        match self.pin {
            Place::Absent | Place::Placeholder => Pin::Missing,
            Place::Pinned(ns) if self.number(ns) == Some(record.number) => Pin::Held,
            Place::Pinned(_) => Pin::Foreign,
        }
    }

    /// What `look_at_file` says. `known`: "not there" counts as gone, because the directory is the one of then or the file
    /// has been seen.
    pub(crate) fn look_at_source(&self, record: &Record, pin: Pin, known: bool) -> Source {
        let gone = if known { Source::Gone } else { Source::Unobservable };
        match self.files[usize::from(record.path)] {
            File::Holds(ns) if pin == Pin::Held && self.number(ns) != Some(record.number) => gone,
            File::Holds(_) => Source::Present,
            File::Absent => gone,
            File::Plain => Source::Unobservable,
        }
    }

    /// Namespaces that nothing holds are no more, and their numbers are free.
    pub(crate) fn collect(&mut self) {
        for (at, ns) in (0..).enumerate().take(SPACES) {
            let open = self.processes.iter().any(|process| process.netns == Some(ns));
            let held = self.held_by_engine(ns) || self.has_tasks(ns) || self.pin == Place::Pinned(ns) || open;
            if !held {
                self.numbers[at] = None;
            }
        }
        self.promised = self.promised.filter(|ns| self.held_by_engine(*ns));
    }

    /// The process is gone, and with it everything that it had open.
    pub(crate) fn kill(&mut self, which: usize) {
        self.processes[which] = Process { runs: self.processes[which].runs, ..Process::default() };
        self.collect();
    }

    /// The name of the placeholder means another file from now on, if any.
    pub(crate) fn unlink_placeholder(&mut self) {
        self.pin = Place::Absent;
        for process in &mut self.processes {
            process.placeholder = process.placeholder.unlinked();
        }
    }

    pub(crate) fn unlink_lock(&mut self) {
        self.lock = false;
        for process in &mut self.processes {
            process.lock = process.lock.unlinked();
        }
    }

    /// What is wrong in this state, whoever brought it about.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if self.broken.is_some() {
            return self.broken;
        }
        let ns = self.promised?;
        let recorded = self.record.is_some_and(|record| Some(record.number) == self.number(ns));
        match (self.pin == Place::Pinned(ns), recorded) {
            (true, true) => None,
            (false, _) => Some("a door has said that it is pinned, the engine holds it, and there is no pin"),
            (true, false) => Some("a pin that a door has spoken for has lost its record"),
        }
    }

    /// What engine, tasks, clock and strangers can do now.
    pub(crate) fn happenings(&self, one_path: bool) -> Vec<(&'static str, Self)> {
        let mut all = Vec::new();
        let mut add = |what, change: &dyn Fn(&mut Self)| {
            let mut next = *self;
            change(&mut next);
            next.collect();
            all.push((what, next));
        };
        if usize::from(self.born) < SPACES && self.files.iter().all(|file| *file == File::Absent) {
            add("engine makes the file", &|world| {
                let number = (0..).find(|number| !world.numbers.contains(&Some(*number)));
                let ns = usize::from(world.born);
                world.numbers[ns] = number;
                world.files[if one_path { 0 } else { ns }] = File::Holds(world.born);
                world.born += 1;
            });
        }
        for at in 0..SPACES {
            match self.files[at] {
                File::Absent => {}
                File::Plain => add("engine removes the file", &|world| world.files[at] = File::Absent),
                File::Holds(_) => add("engine unmounts the file", &|world| world.files[at] = File::Plain),
            }
            if let (File::Holds(ns), Some(slot)) = (self.files[at], self.tasks.iter().position(Option::is_none)) {
                add("task joins", &|world| world.tasks[slot] = Some(ns));
            }
        }
        for at in (0..SLOTS).filter(|at| self.tasks[*at].is_some()) {
            add("task ends", &|world| world.tasks[at] = None);
            if let (Some(slot), 1..) = (self.tasks.iter().position(Option::is_none), self.left.forks) {
                add("task forks", &|world| {
                    world.tasks[slot] = world.tasks[at];
                    world.left.forks -= 1;
                });
            }
        }
        if self.record.is_some_and(|record| record.oldest().is_some_and(|age| age < 2)) {
            add("time passes", &Self::time_passes);
        }
        if let (Place::Pinned(_), 1..) = (self.pin, self.left.unmounts) {
            add("somebody unmounts the pin", &|world| {
                (world.pin, world.promised) = (Place::Placeholder, None);
                world.left.unmounts -= 1;
            });
        }
        let at_rest = !self.processes.iter().any(|process| process.locked);
        if let (Some(_), 1.., true) = (self.record, self.left.losses, at_rest) {
            add("somebody removes the record", &|world| {
                (world.record, world.promised) = (None, None);
                world.left.losses -= 1;
            });
        }
        for at in (0..PROCESSES).filter(|at| self.left.crashes > 0 && self.processes[*at].at != At::Idle) {
            add(["berth 0 is killed", "berth 1 is killed", "berth 2 is killed"][at], &|world| {
                world.kill(at);
                world.left.crashes -= 1;
            });
        }
        all
    }

    pub(crate) fn time_passes(&mut self) {
        let known = self.processes.iter_mut().flat_map(|process| [&mut process.before, &mut process.wanted]);
        known.chain([&mut self.record]).flatten().for_each(Record::age);
    }

    /// Everybody but berth has ended, and berth was killed.
    pub(crate) fn over(mut self) -> Self {
        self.files = [File::Absent; SPACES];
        self.tasks = [None; SLOTS];
        self.alone()
    }

    /// All of berth was killed.
    pub(crate) fn alone(mut self) -> Self {
        (0..PROCESSES).for_each(|at| self.kill(at));
        self.processes = [Process::default(); PROCESSES];
        self.left = Left::default();
        self
    }
}

impl Fd {
    fn unlinked(self) -> Self {
        if self == Self::Linked { Self::Unlinked } else { self }
    }
}
