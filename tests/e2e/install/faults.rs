//! A kill, and a full disk, at each step of an install and of an uninstall.

use super::{ENGINE, words};
use crate::rig::Rig;
use crate::rig::containerd::{VM, usual_config};
use crate::rig::node::{Seen, assert_restored};
use crate::rig::provision::components;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitStatus;

/// berth on the node.
const BERTH: &str = "/run/rig/bin/berth";

/// What changes the file system under a name.
const STEPS: [&str; 6] = ["mkdir", "linkat", "symlink", "rename", "unlink", "rmdir"];

/// Those that a full disk can make fail.
const ROOM: [&str; 5] = ["mkdir", "linkat", "symlink", "rename", "fsync"];

/// A node, and what is on it.
struct Node {
    rig: Rig,
    before: BTreeMap<PathBuf, Seen>,
    /// Configurations that containerd has taken: most steps leave one of the same few.
    taken: RefCell<BTreeSet<Vec<String>>>,
}

impl Node {
    fn new() -> Self {
        components(&["strace"]);
        let rig = Rig::node(Some(&usual_config()));
        rig.run("sh", &["-c", &format!("ln -s /run/rig/berth/* {BERTH}")]).expect("give berth a name");
        let before = rig.see();
        Self { rig, before, taken: RefCell::default() }
    }

    fn install(&self) {
        self.rig.run(BERTH, &words(&INSTALL, &ENGINE)).expect("install");
    }

    fn uninstall(&self) {
        self.rig.run(BERTH, &words(&UNINSTALL, &ENGINE)).expect("uninstall");
    }

    /// Runs berth, and does something to it at its `at`th step. How it ended, and what it said.
    fn disturbed(&self, steps: &str, what: &str, at: usize, args: &[&str]) -> (ExitStatus, String) {
        let inject = format!("inject={steps}:{what}:when={at}");
        let mut strace = self.rig.command("strace");
        strace.args(["-qqq", "-o", "/dev/null", "-e", &format!("trace={steps}"), "-e", &inject, BERTH]);
        let done = strace.args(args).args(ENGINE).output().expect("nsenter (util-linux) runs");
        (done.status, String::from_utf8_lossy(&done.stderr).into_owned())
    }

    #[track_caller]
    fn assert_engine_takes_its_configuration(&self) {
        let config = "/etc/containerd/config.toml";
        let files = [config, "/etc/containerd/conf.d/50-berth.toml"];
        let text = files.map(|file| std::fs::read_to_string(self.rig.path(file)).unwrap_or_default());
        if self.taken.borrow_mut().insert(text.to_vec()) {
            let taken = self.rig.run("/run/rig/containerd/containerd", &["--config", config, "config", "dump"]);
            taken.expect("containerd reads its configuration");
        }
    }

    #[track_caller]
    fn assert_restored(&self) {
        assert_restored(&self.before, &self.rig.see());
    }
}

const INSTALL: [&str; 4] = ["install", "--handler", VM, "--apply"];
const UNINSTALL: [&str; 2] = ["uninstall", "--apply"];

/// Every kind of step, each time by its number, until `disturb` says that it has come too late.
fn each_step(steps: &[&str], mut disturb: impl FnMut(&str, usize) -> bool) {
    for step in steps {
        for at in 1.. {
            if disturb(step, at) {
                break;
            }
        }
    }
}

#[test]
fn a_kill_at_any_step_of_an_install_leaves_what_can_be_finished_or_taken_away() {
    let node = Node::new();
    let mut kills = 0;
    each_step(&STEPS, |step, at| {
        let (status, _) = node.disturbed(step, "signal=SIGKILL", at, &INSTALL);
        node.assert_engine_takes_its_configuration();
        // Every other time it is gone on with first.
        if at % 2 == 0 {
            node.install();
        }
        node.uninstall();
        node.assert_restored();
        kills += usize::from(!status.success());
        status.success()
    });
    assert!(kills > 15, "only {kills} steps");
}

#[test]
fn a_kill_at_any_step_of_an_uninstall_leaves_what_can_be_taken_away() {
    let node = Node::new();
    let mut kills = 0;
    each_step(&STEPS, |step, at| {
        node.install();
        let (status, _) = node.disturbed(step, "signal=SIGKILL", at, &UNINSTALL);
        node.assert_engine_takes_its_configuration();
        node.uninstall();
        node.assert_restored();
        kills += usize::from(!status.success());
        status.success()
    });
    assert!(kills > 10, "only {kills} steps");
}

#[test]
fn a_disk_that_is_full_at_any_step_leaves_everything_as_it_was() {
    let node = Node::new();
    let mut failures = 0;
    each_step(&ROOM, |step, at| {
        let (status, said) = node.disturbed(step, "error=ENOSPC", at, &INSTALL);
        if status.success() {
            node.uninstall();
        } else {
            assert!(said.contains("No space left on device") && said.contains("free some space there"), "{said}");
        }
        node.assert_restored();
        failures += usize::from(!status.success());
        status.success()
    });
    assert!(failures > 15, "only {failures} steps");
}
