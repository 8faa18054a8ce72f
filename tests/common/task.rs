//! A process in a network namespace that no engine knows of.
#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]
#![allow(dead_code, reason = "each program uses some of it")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// It ends with this, whatever comes of the test.
pub(crate) struct Task(Child);

impl Task {
    /// Holds: it is in the namespace at `file`, and sleeps.
    pub(crate) fn in_network(file: impl AsRef<Path>) -> Self {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", file.as_ref().display())).args(["sh", "-c", "echo in && exec sleep 1000"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = [0; 3];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        let task = Self(child);
        // The shell has said so before it became what it is to be.
        while fs::read_to_string(format!("/proc/{}/comm", task.pid())).unwrap() != "sleep\n" {
            std::thread::yield_now();
        }
        task
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
