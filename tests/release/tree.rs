//! A copy of what the scripts read, to be changed, and what goes into them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The program that is built here.
pub(crate) const BERTH: &str = env!("CARGO_BIN_EXE_berth");
pub(crate) const TIME: &str = "1700000000";
const ENTRIES: [&str; 11] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "docs",
    "manifests",
    "scripts",
];

/// An image as it is pushed.
pub(crate) fn image() -> String {
    format!("ghcr.io/owner/name:{}@sha256:{}", env!("CARGO_PKG_VERSION"), "0123456789abcdef".repeat(4))
}

#[derive(Debug)]
pub(crate) struct Tree(TempDir);

impl Tree {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let from = Path::new(env!("CARGO_MANIFEST_DIR"));
        let done = Command::new("cp").arg("-R").args(ENTRIES).arg(dir.path()).current_dir(from).status().unwrap();
        assert!(done.success());
        Self(dir)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Replaces what must be there.
    pub(crate) fn edit(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name} has no {from:?}");
        fs::write(self.path(name), text.replacen(from, to, 1)).unwrap();
    }

    /// Runs one of `scripts/release` in this tree, with a berth that runs here and at a time of its own.
    pub(crate) fn run(&self, script: &str, args: &[&str]) -> Output {
        let mut command = Command::new(self.path("scripts/release").join(script));
        command.args(args).current_dir(self.0.path()).env("SOURCE_DATE_EPOCH", TIME).env("BERTH_HERE", BERTH);
        command.output().unwrap()
    }

    /// Its standard output; it succeeds.
    pub(crate) fn ok(&self, script: &str, args: &[&str]) -> String {
        let done = self.run(script, args);
        assert!(done.status.success(), "{script} {args:?}: {}", said(&done));
        String::from_utf8(done.stdout).unwrap()
    }

    /// Its standard error; it fails, and says nothing on standard output.
    pub(crate) fn refused(&self, script: &str, args: &[&str]) -> String {
        let done = self.run(script, args);
        assert_eq!((done.status.code(), done.stdout.len()), (Some(1), 0), "{script} {args:?}: {}", said(&done));
        said(&done)
    }
}

pub(crate) fn said(done: &Output) -> String {
    String::from_utf8_lossy(&done.stderr).into_owned()
}

/// A file that is a program of a machine by its header and no more; 62 is amd64, 183 is arm64.
pub(crate) fn header(dir: &Path, machine: u16) -> String {
    let mut bytes = fs::read(BERTH).unwrap();
    bytes.truncate(64);
    bytes[18..20].copy_from_slice(&machine.to_le_bytes());
    fs::create_dir_all(dir).unwrap();
    let path = dir.join("berth");
    fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The number that this machine's programs have there.
pub(crate) const HERE: (&str, u16) = if cfg!(target_arch = "x86_64") { ("amd64", 62) } else { ("arm64", 183) };
