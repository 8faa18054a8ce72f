//! How each check is turned: a good node with one thing wrong, what is said of it, and what is said to be done.

mod berth;
mod engine;

use super::stage::Stage;
use crate::finding::Grade;

pub(super) struct Scenario {
    pub(super) check: &'static str,
    pub(super) grade: Grade,
    /// In the message.
    pub(super) says: &'static str,
    /// In the hint.
    pub(super) hints: &'static str,
    pub(super) stage: fn() -> Stage,
}

const fn when(
    check: &'static str,
    grade: Grade,
    says: &'static str,
    hints: &'static str,
    stage: fn() -> Stage,
) -> Scenario {
    Scenario { check, grade, says, hints, stage }
}

/// A good node of containerd with a change.
fn with(change: impl FnOnce(&mut Stage)) -> Stage {
    let mut stage = Stage::containerd();
    change(&mut stage);
    stage
}

fn crio_with(change: impl FnOnce(&mut Stage)) -> Stage {
    let mut stage = Stage::crio();
    change(&mut stage);
    stage
}

fn dumped(from: &str, to: &str) -> Stage {
    let stage = with(|stage| stage.dump = stage.dump.replace(from, to));
    assert!(stage.dump.contains(to), "{from}");
    stage
}

/// What the engine says, and more.
fn told(more: &str) -> Stage {
    with(|stage| stage.dump.push_str(more))
}

fn wrote(path: &str, text: &str) -> Stage {
    with(|stage| {
        stage.write(path, text);
    })
}

fn plugin(path: &str) -> Stage {
    with(|stage| {
        stage.host.program(path, "");
    })
}

/// Several things at once, as on a real first try.
pub(super) fn broken() -> Stage {
    with(|stage| {
        stage.dump = stage.dump.replace("disable = false", "disable = true");
        stage.write("/etc/containerd/config.toml", "version = 4\n").remove("/usr/bin/crun");
        stage.config.push_str("interposer: {}\n");
        stage.without_daemon();
    })
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Scenario> {
    engine::SCENARIOS.iter().chain(berth::SCENARIOS)
}
