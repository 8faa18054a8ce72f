//! Every state that can be reached, breadth first, so that what is found wrong is shown by the shortest way to it.

use std::collections::HashSet;
use std::fmt::Write;

use crate::key::{Key, key};
use crate::process::{At, Process, Task, steps};
use crate::world::{File, PROCESSES, Place, World};
use crate::{Begin, Setup};

/// More is a mistake in the setup.
const MOST_STATES: usize = 40_000_000;

/// No process of berth takes as many steps when nobody is in its way.
const MOST_STEPS: usize = 64;

/// How a state was come to.
#[derive(Debug, Clone, Copy)]
enum By {
    Happening(&'static str),
    Start(usize, Task),
    Step(usize),
}

/// What a search has seen.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) states: usize,
    pub(crate) depth: usize,
    /// The shortest way to something wrong, in words.
    pub(crate) fault: Option<String>,
}

/// A state as it was found: from which other one, and as which of its successors.
struct Node {
    from: u32,
    choice: u8,
}

pub(crate) fn search(setup: &Setup) -> Seen {
    let mut nodes = vec![Node { from: 0, choice: 0 }];
    let begin = begin(setup);
    let mut known = HashSet::from([key(&begin, &setup.parts)]);
    let mut ended = HashSet::new();
    let (mut level, mut depth) = (vec![(0, begin)], 0);
    while !level.is_empty() {
        let mut next = Vec::new();
        for (at, world) in level {
            if let Some(fault) = world.fault().or_else(|| ends_badly(&world, setup, &mut ended)) {
                return Seen { states: nodes.len(), depth, fault: Some(way(&nodes, at, fault, setup)) };
            }
            for (choice, (_, world)) in (0..).zip(successors(&world, setup)) {
                if known.insert(key(&world, &setup.parts)) {
                    next.push((nodes.len(), world));
                    nodes.push(Node { from: u32::try_from(at).expect("fewer states"), choice });
                }
            }
        }
        assert!(nodes.len() < MOST_STATES, "too many states");
        (level, depth) = (next, depth + 1);
    }
    Seen { states: nodes.len(), depth, fault: None }
}

fn begin(setup: &Setup) -> World {
    let mut begin = World::new(setup.left);
    for (process, part) in begin.processes.iter_mut().zip(setup.parts) {
        process.runs = part.runs();
    }
    if setup.begin != Begin::Nothing {
        let (processes, left) = (begin.processes, begin.left);
        let (_, held) = begin.happenings(setup.one_path)[0];
        let until = if setup.begin == Begin::Pinned { At::Idle } else { At::Probe };
        begin = World { processes, left, ..run_until(held, Task::Pin(0), setup, until).over() };
    }
    begin
}

fn successors(world: &World, setup: &Setup) -> Vec<(By, World)> {
    let mut all: Vec<_> =
        world.happenings(setup.one_path).into_iter().map(|(what, world)| (By::Happening(what), world)).collect();
    for which in 0..PROCESSES {
        let process = world.processes[which];
        if process.at != At::Idle {
            all.extend(steps(world, which, setup).into_iter().map(|next| (By::Step(which), next)));
        } else if process.runs > 0 {
            for task in setup.parts[which].tasks(world) {
                let mut next = *world;
                next.processes[which] = Process::started(process.runs - 1, task);
                all.push((By::Start(which, task), next));
            }
        }
    }
    all
}

/// What berth makes of this state when everything else has ended, and when it is asked for the pin again: nothing is left
/// then, and the pin stands. So nothing that a process leaves behind, killed or not, is without remedy.
fn ends_badly(world: &World, setup: &Setup, ended: &mut HashSet<Key>) -> Option<&'static str> {
    let left = world.alone();
    if !ended.insert(key(&left, &setup.parts)) {
        return None;
    }
    if !is_clean(&swept(world.over(), setup)) {
        return Some("everything has ended, and a pin, a record or a lock stays for ever");
    }
    let held = left.files.iter().position(|file| matches!(file, File::Holds(_)))?;
    let File::Holds(ns) = left.files[held] else { return None };
    let again = run(run(left, Task::Settle, setup), Task::Pin(u8::try_from(held).expect("few")), setup);
    let is_its_own = again.promised == Some(ns) && again.fault().is_none();
    // The id's earlier namespace is not to be taken from the tasks in it, or before that is known.
    let waits = |place: Place| match place {
        Place::Pinned(other) => other != ns && (again.has_tasks(other) || !setup.sees_tasks || !setup.same_directory),
        _ => false,
    };
    (!is_its_own && !waits(again.pin)).then_some("a pod that the engine holds cannot be pinned any more")
}

fn is_clean(world: &World) -> bool {
    (world.pin, world.record, world.lock) == (Place::Absent, None, false)
}

/// As many occasions as there are ages.
fn swept(world: World, setup: &Setup) -> World {
    // Where its end cannot be seen, the engine says Remove.
    let world = if world.record.is_some() { run(world, Task::Mark, setup) } else { world };
    let occasion = |world, _| {
        let mut world = run(world, Task::Settle, setup);
        world.time_passes();
        world
    };
    run((0..3).fold(world, occasion), Task::Sweep, setup)
}

/// One process, with nobody in its way.
fn run(world: World, task: Task, setup: &Setup) -> World {
    run_until(world, task, setup, At::Idle)
}

fn run_until(mut world: World, task: Task, setup: &Setup, until: At) -> World {
    world.processes[0] = Process::started(0, task);
    for _ in 0..MOST_STEPS {
        if world.processes[0].at == until {
            return world;
        }
        world = steps(&world, 0, setup)[0];
    }
    panic!("{task:?} does not end: {world:?}");
}

/// The way to a state, taken again from the beginning.
fn way(nodes: &[Node], mut at: usize, fault: &str, setup: &Setup) -> String {
    let mut choices = Vec::new();
    while at > 0 {
        choices.push(usize::from(nodes[at].choice));
        at = usize::try_from(nodes[at].from).expect("an index");
    }
    let (mut world, mut text) = (begin(setup), String::new());
    for (number, choice) in choices.into_iter().rev().enumerate() {
        let (by, next) = successors(&world, setup)[choice];
        let line = match by {
            By::Happening(what) => what.to_owned(),
            By::Start(which, task) => format!("berth {which} begins {task:?}"),
            By::Step(which) => format!("berth {which} {:?}", world.processes[which].at),
        };
        writeln!(text, "{:3} {line}", number + 1).expect("to memory");
        world = next;
    }
    text + "  = " + fault
}
