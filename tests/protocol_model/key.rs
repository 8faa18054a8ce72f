//! A state in few bits. Two states have the same key if and only if they differ in nothing, or in nothing but which of two
//! processes that are for the same is which.

use berth::lifecycle::{Pin, Source};

use crate::Part;
use crate::process::{Fd, Process, Task};
use crate::world::{File, PROCESSES, Place, Record, World};

pub(crate) type Key = [u64; PROCESSES + 1];

/// A number made of numbers, each below a bound of its own.
#[derive(Default)]
struct Packed(u64);

impl Packed {
    fn add(&mut self, value: impl Into<u64>, bound: u64) -> &mut Self {
        let value = value.into();
        assert!(value < bound, "{value} is not below {bound}");
        self.0 = self.0.checked_mul(bound).expect("room for it") + value;
        self
    }

    fn option(&mut self, value: Option<u8>, bound: u64) -> &mut Self {
        self.add(value.map_or(0, |value| value + 1), bound + 1)
    }

    fn record(&mut self, record: Option<Record>) -> &mut Self {
        let Some(Record { path, number, since, gone, removed }) = record else { return self.add(0_u8, 2) };
        self.add(path, 2).add(number, 2).add(since, 2).option(gone, 3).option(removed, 3).add(1_u8, 2)
    }
}

pub(crate) fn key(world: &World, parts: &[Part; PROCESSES]) -> Key {
    let mut key = [0; PROCESSES + 1];
    key[PROCESSES] = shared(world);
    for (at, process) in world.processes.iter().enumerate() {
        key[at] = of_process(process);
    }
    for at in 1..PROCESSES {
        if parts[at] == parts[at - 1] && key[at] < key[at - 1] {
            key.swap(at, at - 1);
        }
    }
    key
}

fn shared(world: &World) -> u64 {
    let World { born, numbers, files, tasks, pin, record, lock, processes: _, left, promised, broken } = world;
    let mut packed = Packed::default();
    packed.add(*born, 3).record(*record).add(*lock, 2).option(*promised, 2).add(broken.is_some(), 2);
    for value in numbers.iter().chain(tasks) {
        packed.option(*value, 2);
    }
    for file in files {
        packed.add(
            match file {
                File::Absent => 0_u8,
                File::Plain => 1,
                File::Holds(ns) => 2 + ns,
            },
            4,
        );
    }
    packed.add(
        match pin {
            Place::Absent => 0_u8,
            Place::Placeholder => 1,
            Place::Pinned(ns) => 2 + ns,
        },
        4,
    );
    for left in [left.crashes, left.forks, left.unmounts, left.losses, left.refusals] {
        packed.add(left, 3);
    }
    packed.0
}

fn of_process(process: &Process) -> u64 {
    let Process {
        at,
        runs,
        task,
        lock,
        locked,
        placeholder,
        made,
        netns,
        before,
        wanted,
        pin,
        source,
        scanned,
        found,
        orphan,
    } = *process;
    let fd = |fd| match fd {
        Fd::None => 0_u8,
        Fd::Linked => 1,
        Fd::Unlinked => 2,
    };
    let task = match task {
        None => 0_u8,
        Some(Task::Settle) => 1,
        Some(Task::Orphan) => 2,
        Some(Task::Mark) => 3,
        Some(Task::Sweep) => 4,
        Some(Task::Pin(path)) => 5 + path,
    };
    let pin = pin.map(|pin| match pin {
        Pin::Held => 0_u8,
        Pin::Missing => 1,
        Pin::Foreign => 2,
    });
    let source = source.map(|source| match source {
        Source::Present => 0_u8,
        Source::Gone => 1,
        Source::Unobservable => 2,
    });
    let mut packed = Packed::default();
    packed
        .add(at as u8, 32)
        .add(runs, 3)
        .add(task, 7)
        .add(fd(lock), 3)
        .add(locked, 2)
        .add(fd(placeholder), 3)
        .add(made, 2);
    packed.option(netns, 2).record(before).record(wanted).option(pin, 3).option(source, 3);
    packed.add(scanned, 5).add(found, 2).option(orphan, 2).0
}
