//! What became of a pin and why, in a word for programs and in a sentence that names the objects.

use crate::apply::{Mode, Outcome, Settled};
use crate::ledger::record::{Origin, Record};
use crate::lifecycle::{DRAIN_LIMIT, GRACE, Tasks, Why};

/// `keep`, `heal`, `drain` or `release`.
pub(super) fn action(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Kept(_) => "keep",
        Outcome::Healed => "heal",
        Outcome::Draining(_) => "drain",
        Outcome::Released(_) => "release",
    }
}

/// The same of one that was carried out, or would be.
pub(super) fn told(outcome: Outcome, mode: Mode) -> &'static str {
    match (outcome, mode) {
        (Outcome::Healed, Mode::Apply) => "healed",
        (Outcome::Healed, Mode::Preview) => "would heal",
        (Outcome::Released(_), Mode::Apply) => "released",
        (Outcome::Released(_), Mode::Preview) => "would release",
        (other, _) => action(other),
    }
}

/// Why, in a word.
pub(super) fn reason(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Kept(why) | Outcome::Draining(why) | Outcome::Released(why) => why.as_str(),
        Outcome::Healed => "pin-missing",
    }
}

/// Why, in a sentence.
pub(super) fn proof(settled: &Settled) -> String {
    match (&settled.record, settled.outcome) {
        (Some(record), outcome) => recorded(record, outcome, settled.tasks),
        (None, outcome) => orphaned(outcome, settled.tasks),
    }
}

fn recorded(record: &Record, outcome: Outcome, tasks: Tasks) -> String {
    let source = match record.origin {
        Origin::Adopted => format!("the engine's {}", record.source.path.display()),
        Origin::Created => format!("its bundle {}", record.source.path.display()),
    };
    match outcome {
        Outcome::Healed | Outcome::Kept(Why::EngineHoldsIt) => format!("{source} is there"),
        Outcome::Kept(Why::ForeignAtPath) => "something that berth did not make is at its path; remove that".to_owned(),
        Outcome::Kept(_) => "whether it is over cannot be told from here".to_owned(),
        Outcome::Draining(Why::Grace) if tasks == Tasks::Unknown => {
            format!("{source} is gone; processes cannot be seen from here, so it stays for {} s", GRACE.as_secs())
        }
        Outcome::Draining(Why::Grace) => format!("the engine removed the pod less than {} s ago", GRACE.as_secs()),
        Outcome::Draining(_) => format!("the engine has given it up; {} in it", processes(tasks)),
        Outcome::Released(Why::DrainLimit) => {
            format!("the engine gave it up {} s ago or more; {} in it", DRAIN_LIMIT.as_secs(), processes(tasks))
        }
        Outcome::Released(Why::RemovedAndGracePassed) => {
            format!("the engine removed the pod {} s ago or more; {} in it", GRACE.as_secs(), processes(tasks))
        }
        Outcome::Released(_) => format!("{source} is gone; {} in it", processes(tasks)),
    }
}

/// Records are written before pins are made and removed after them, so a pin without one is in nobody's making.
fn orphaned(outcome: Outcome, tasks: Tasks) -> String {
    match outcome {
        Outcome::Released(_) => format!("it has no record, is mounted nowhere else, and {} in it", processes(tasks)),
        Outcome::Kept(Why::EngineHoldsIt) => "it has no record, and its namespace is mounted elsewhere too".to_owned(),
        _ => format!("it has no record, and {} in it", processes(tasks)),
    }
}

fn processes(tasks: Tasks) -> String {
    match tasks {
        Tasks::None => "no process is".to_owned(),
        Tasks::Some(1) => "1 process is".to_owned(),
        Tasks::Some(count) => format!("{count} processes are"),
        Tasks::Unknown => "it cannot be seen from here which processes are".to_owned(),
    }
}
