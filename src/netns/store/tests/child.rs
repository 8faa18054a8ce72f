//! This test binary again, as another process in the test's namespaces.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::netns::testing::{engine_file, name, new_netns};
use crate::netns::{Netns, Store};

const ROUNDS: &str = "BERTH_TEST_ROUNDS";
const READY: &str = "child is ready";
/// The namespace that all children pin.
pub(super) const ENGINE_FILE: &str = "/run/cni-1";

pub(super) struct Child(std::process::Child);

impl Child {
    /// A process that pins and releases `berth-a`, so often. Returns when it is about to begin.
    pub(super) fn start(rounds: &str) -> Self {
        if !Path::new(ENGINE_FILE).exists() {
            engine_file(ENGINE_FILE, &new_netns());
        }
        let test = "netns::store::tests::child::adopts_and_releases";
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", test, "--ignored", "--nocapture"]).env(ROUNDS, rounds);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(READY)), "the child has begun");
        // Its last lines are few enough for the pipe; nobody needs to read them.
        std::mem::forget(lines);
        Self(child)
    }

    pub(super) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub(super) fn finish(mut self) {
        assert!(self.0.wait().unwrap().success());
    }
}

#[test]
#[ignore = "the part of another process, started by the tests that need one"]
fn adopts_and_releases() {
    let rounds: usize = env::var(ROUNDS).unwrap().parse().unwrap();
    let store = Store::open(Path::new("/run/netns")).unwrap();
    let ns = Netns::open(Path::new(ENGINE_FILE)).unwrap();
    fs::write("/dev/stdout", format!("\n{READY}\n")).unwrap();
    for _ in 0..rounds {
        store.adopt(&name("a"), &ns, &[]).unwrap();
        store.release(&name("a")).unwrap();
    }
}
