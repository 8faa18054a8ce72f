//! The protocol by which any number of berth's processes share a sandbox's pin, record and lock, in a model of which every
//! state is looked at: all interleavings of two or three processes with an engine, tasks, a clock and strangers, with any of
//! them killed between any two steps.
//!
//! Holds in every state: a pin whose namespace the engine holds, or in which tasks are, does not go (the latter as long as
//! the lifecycle rule promises it); a pin that a door has spoken for stands, with its record, while the engine holds it; no
//! pin is mounted over another. From every state, when all else has ended, berth comes to nothing left; and the pod that the
//! engine holds is pinned when it is asked for again.
//!
//! What a step is, `process` says; they are those of the code, and what is decided between them is decided by
//! [`berth::lifecycle`] itself. That the model would find what is wrong is shown by leaving out, one by one, what the
//! protocol is made of ([`Flaw`]).
//!
//! One file of an engine leads to one namespace and, once deleted, does not come back with it; a task joins a namespace
//! while the engine's file is there, or is forked in it. What joins a pin by its path later is not seen by a scan that has
//! passed; it keeps its namespace, and loses the path.
//!
//! `BERTH_MODEL=long` looks at the large cases as well.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]
#![allow(clippy::print_stderr, reason = "how many states there were")]

#[path = "protocol_model/door.rs"]
mod door;
#[path = "protocol_model/key.rs"]
mod key;
#[path = "protocol_model/process.rs"]
mod process;
#[path = "protocol_model/search.rs"]
mod search;
#[path = "protocol_model/settler.rs"]
mod settler;
#[path = "protocol_model/world.rs"]
mod world;

use std::time::Instant;

use process::Task;
use search::{Seen, search};
use world::{File, Left, World};

/// What a process may be started for, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    None,
    /// A door: pins what the engine holds.
    Door(u8),
    /// The daemon, `berth gc`, or an interposer that passes by.
    Settler(u8),
    /// Who notes that a pod was removed.
    Marker(u8),
    /// Who sweeps locks.
    Sweeper(u8),
}

impl Part {
    fn runs(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Door(runs) | Self::Settler(runs) | Self::Marker(runs) | Self::Sweeper(runs) => runs,
        }
    }

    /// What there is for it to do now.
    fn tasks(self, world: &World) -> Vec<Task> {
        match self {
            Self::None => Vec::new(),
            Self::Door(_) => {
                let held = |at: &usize| matches!(world.files[*at], File::Holds(_));
                (0..world.files.len()).filter(held).map(|at| Task::Pin(u8::try_from(at).expect("few"))).collect()
            }
            Self::Settler(_) => vec![Task::Settle],
            Self::Marker(_) => world.record.map(|_| Task::Mark).into_iter().collect(),
            Self::Sweeper(_) if world.lock && world.record.is_none() => vec![Task::Sweep],
            Self::Sweeper(_) => Vec::new(),
        }
    }
}

/// What is left out of the protocol, to see that the model notices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flaw {
    /// Pins are settled without the lock.
    NoLock,
    /// What was seen before the lock was taken is not looked at again under it.
    NoRecheck,
    /// A lock is held although its file was removed while it was waited for.
    UnlinkedLock,
    /// A door mounts first and writes its record then.
    MountBeforeRecord,
    /// A release removes the record first and the pin then.
    RecordFirst,
    /// `/proc` is scanned once.
    ScanOnce,
    /// The tasks of one namespace are taken for those of the next one of the same name.
    TasksOfAnother,
    /// A source that was there before the lock was taken, and is gone under it, counts although no tasks were looked for.
    NotScanned,
    /// Tasks are looked for while the engine may have the namespace, and more may join.
    TasksFirst,
    /// A record whose pin is made again keeps its age, though another namespace has its number and its path by now.
    OldAge,
    /// A pin without a record is released, whatever it has become since it was listed.
    AnotherOrphan,
    /// A door that finds no record writes its own, whatever is pinned there.
    RecordOverAnother,
}

/// What there is of the sandbox's id to begin with; the engine has given that namespace up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    Nothing,
    /// A pin with its record.
    Pinned,
    /// A record: the door was killed before the pin was made.
    Recorded,
}

/// A small case.
#[derive(Debug, Clone, Copy)]
struct Setup {
    parts: [Part; world::PROCESSES],
    left: Left,
    /// Both namespaces are at the same path of the engine's, one after the other.
    one_path: bool,
    /// The directory of the engine's file is the one that the door saw.
    same_directory: bool,
    /// All tasks of the host can be seen.
    sees_tasks: bool,
    /// Settling includes pins without a record, as a daemon's and `berth gc`'s do and an interposer's does not.
    everything: bool,
    begin: Begin,
    flaw: Option<Flaw>,
}

const NOTHING: Left = Left { crashes: 0, forks: 0, unmounts: 0, losses: 0, refusals: 0 };

/// The node as it mostly is.
const PLAIN: Setup = Setup {
    parts: [Part::Door(1), Part::Settler(1), Part::None],
    left: NOTHING,
    one_path: false,
    same_directory: true,
    sees_tasks: true,
    everything: true,
    begin: Begin::Nothing,
    flaw: None,
};

fn look(what: &str, setup: Setup) -> Seen {
    let started = Instant::now();
    let seen = search(&setup);
    eprintln!("{what}: {} states, depth {}, {:.1?}", seen.states, seen.depth, started.elapsed());
    seen
}

#[track_caller]
fn holds(what: &str, setup: Setup) {
    let seen = look(what, setup);
    if let Some(fault) = seen.fault {
        panic!("{what}: {setup:?}\n{fault}");
    }
}

#[test]
fn a_door_and_a_settler_any_of_which_is_killed_anywhere() {
    let left = Left { crashes: 1, forks: 1, refusals: 1, ..NOTHING };
    holds("killed", Setup { left, ..PLAIN });
    holds("killed, the id anew", Setup { left, begin: Begin::Pinned, ..PLAIN });
    holds("killed, no daemon", Setup { left: Left { forks: 0, ..left }, everything: false, ..PLAIN });
}

#[test]
fn two_doors_or_two_settlers_at_the_same_sandbox() {
    holds("a door, two settlers", Setup { parts: [Part::Door(1), Part::Settler(1), Part::Settler(1)], ..PLAIN });
    let parts = [Part::Door(1), Part::Door(1), Part::Settler(1)];
    holds("two doors, a settler", Setup { parts, ..PLAIN });
}

#[test]
fn a_sandbox_whose_id_is_given_to_another_namespace() {
    let parts = [Part::Door(2), Part::Settler(2), Part::None];
    for one_path in [false, true] {
        holds("twice each", Setup { parts, one_path, ..PLAIN });
        let parts = [Part::Door(1), Part::Settler(1), Part::Settler(1)];
        holds("two settlers, the id anew", Setup { parts, one_path, begin: Begin::Pinned, ..PLAIN });
    }
    holds("a settler, half pinned", Setup { one_path: true, begin: Begin::Recorded, ..PLAIN });
}

#[test]
fn what_cannot_be_seen_from_here_waits_for_its_removal_and_the_grace() {
    let parts = [Part::Door(1), Part::Settler(1), Part::Marker(1)];
    for sees_tasks in [true, false] {
        holds("removal marked", Setup { parts, same_directory: false, sees_tasks, ..PLAIN });
    }
    let parts = [Part::Door(1), Part::Settler(2), Part::None];
    let left = Left { crashes: 1, ..NOTHING };
    holds("tasks not seen, killed", Setup { parts, sees_tasks: false, left, ..PLAIN });
}

#[test]
fn locks_are_swept_from_under_nobody() {
    let left = Left { refusals: 1, ..NOTHING };
    holds("sweeper, marker", Setup { parts: [Part::Door(1), Part::Sweeper(1), Part::Marker(1)], left, ..PLAIN });
    holds("sweeper, settler", Setup { parts: [Part::Door(1), Part::Sweeper(1), Part::Settler(1)], left, ..PLAIN });
}

#[test]
fn strangers_who_unmount_a_pin_or_remove_its_record() {
    let parts = [Part::Door(1), Part::Settler(2), Part::None];
    holds("unmounted", Setup { parts, left: Left { unmounts: 1, ..NOTHING }, ..PLAIN });
    let left = Left { losses: 1, crashes: 1, ..NOTHING };
    holds("record removed", Setup { left, ..PLAIN });
    holds("record removed, the id anew", Setup { left, begin: Begin::Pinned, ..PLAIN });
}

/// Whether the large cases are looked at: some minutes each.
fn is_long() -> bool {
    let long = std::env::var_os("BERTH_MODEL").is_some_and(|form| form == "long");
    if !long {
        eprintln!("the larger cases: BERTH_MODEL=long");
    }
    long
}

const ROUGH: Left = Left { crashes: 1, forks: 1, refusals: 1, ..NOTHING };

#[test]
fn large_two_settlers() {
    let settlers = Setup { parts: [Part::Door(1), Part::Settler(1), Part::Settler(1)], left: ROUGH, ..PLAIN };
    let killed = Left { crashes: 1, ..NOTHING };
    holds("two settlers, killed, the id anew", Setup { left: killed, begin: Begin::Pinned, ..settlers });
    if is_long() {
        holds("two settlers, killed", settlers);
        holds("two settlers, killed, no daemon", Setup { everything: false, ..settlers });
        holds("two settlers, killed, tasks not seen", Setup { sees_tasks: false, ..settlers });
        let left = Left { crashes: 2, ..ROUGH };
        for one_path in [true, false] {
            let anew = Setup { left, one_path, begin: Begin::Pinned, ..settlers };
            holds("two settlers, killed twice, the id anew", anew);
        }
    }
}

#[test]
fn large_ids_anew() {
    let half = Setup { one_path: true, begin: Begin::Recorded, ..PLAIN };
    holds("half pinned, killed", Setup { left: ROUGH, ..half });
    if is_long() {
        let parts = [Part::Door(1), Part::Settler(1), Part::Settler(1)];
        holds("two settlers, half pinned", Setup { parts, ..half });
        for one_path in [true, false] {
            let parts = [Part::Door(2), Part::Settler(2), Part::None];
            holds("twice each, killed", Setup { parts, left: ROUGH, one_path, ..PLAIN });
            let parts = [Part::Door(2), Part::Settler(1), Part::Settler(1)];
            holds("a door twice, two settlers", Setup { parts, one_path, ..PLAIN });
        }
    }
}

#[test]
fn large_doors_and_markings() {
    let killed = Left { crashes: 1, ..NOTHING };
    let parts = [Part::Door(1), Part::Settler(1), Part::Marker(1)];
    holds("marked, killed", Setup { parts, left: killed, same_directory: false, sees_tasks: false, ..PLAIN });
    if is_long() {
        holds("marked, killed", Setup { parts, left: killed, same_directory: false, ..PLAIN });
        let parts = [Part::Door(1), Part::Door(1), Part::Settler(1)];
        holds("two doors, killed", Setup { parts, left: ROUGH, ..PLAIN });
    }
}

#[test]
fn large_strangers() {
    let left = Left { crashes: 1, unmounts: 1, ..NOTHING };
    holds("unmounted, killed", Setup { left, ..PLAIN });
    if is_long() {
        let left = Left { losses: 1, ..left };
        let parts = [Part::Door(2), Part::Settler(1), Part::None];
        holds("unmounted, record removed, killed", Setup { parts, left, ..PLAIN });
        holds("unmounted, record removed, killed, the id anew", Setup { left, begin: Begin::Pinned, ..PLAIN });
    }
}

/// Each with a case in which it shows.
#[test]
fn whatever_is_left_out_of_the_protocol_is_missed() {
    use Part::{Door, None as Nobody, Settler};
    let killed = Left { crashes: 1, ..NOTHING };
    let settlers = Setup { parts: [Door(1), Settler(1), Settler(1)], ..PLAIN };
    let anew = Setup { begin: Begin::Pinned, ..settlers };
    let interposers = Setup { everything: false, left: killed, ..PLAIN };
    for (flaw, setup) in [
        (Flaw::NoLock, anew),
        (Flaw::NoRecheck, anew),
        (
            Flaw::UnlinkedLock,
            Setup {
                parts: [Door(1), Door(1), Settler(1)],
                begin: Begin::Pinned,
                left: Left { refusals: 1, ..NOTHING },
                ..PLAIN
            },
        ),
        (Flaw::MountBeforeRecord, interposers),
        (Flaw::RecordFirst, interposers),
        (Flaw::ScanOnce, Setup { left: Left { forks: 1, ..NOTHING }, ..PLAIN }),
        (Flaw::TasksOfAnother, anew),
        (Flaw::NotScanned, settlers),
        (Flaw::OldAge, Setup { begin: Begin::Recorded, one_path: true, ..PLAIN }),
        (Flaw::TasksFirst, Setup { left: Left { losses: 1, crashes: 1, ..NOTHING }, ..PLAIN }),
        (Flaw::AnotherOrphan, Setup { left: Left { losses: 1, crashes: 1, ..NOTHING }, ..PLAIN }),
        (
            Flaw::RecordOverAnother,
            Setup {
                left: Left { losses: 1, ..NOTHING },
                begin: Begin::Pinned,
                parts: [Door(1), Settler(1), Nobody],
                ..PLAIN
            },
        ),
    ] {
        let seen = look(&format!("{flaw:?}"), Setup { flaw: Some(flaw), ..setup });
        let fault = seen.fault.unwrap_or_else(|| panic!("{flaw:?} is not noticed"));
        eprintln!("{fault}");
    }
}
