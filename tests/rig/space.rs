//! The namespaces that one rig lives in: mounts (fresh `/run` and `/var/lib`), network, process ids. Nothing of the
//! rig is seen outside, and nothing of it outlives this value: when its first process goes, all others go.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use super::place::Place;
use super::process::child_of;
use super::provision::provision;

#[derive(Debug)]
pub(crate) struct Space {
    unshare: Child,
    stdin: Option<ChildStdin>,
    place: Place,
}

impl Space {
    /// Makes the namespaces and waits until they are furnished. `further` directories are seen in `/run/rig`, by name.
    pub(crate) fn new(berth: &Path, further: &[(&str, &Path)]) -> Self {
        let directory = berth.parent().expect("the binary is in a directory");
        let name = berth.file_name().expect("the binary has a name");
        let components = provision();
        let mut unshare = Command::new("unshare")
            .args(["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private"])
            .args(["--", "sh", "-c", concat!(include_str!("../common/forget-run.sh"), include_str!("init.sh")), "rig"])
            .args([&components.containerd_dir, directory, &components.images])
            .arg(name)
            .args(further.iter().flat_map(|(name, directory)| [OsStr::new(name), directory.as_os_str()]))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare (util-linux) runs");
        let stdin = unshare.stdin.take();
        let mut line = String::new();
        let stdout = unshare.stdout.take().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("read from the rig's first process");
        assert_eq!(line.trim(), "ready", "the rig's namespaces could not be furnished; its reason is on stderr");
        let first = child_of(unshare.id()).expect("the rig has a first process");
        Self { unshare, stdin, place: Place::new(first.as_raw().unsigned_abs()) }
    }

    /// The namespaces, to look at and to work in.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// As [`Place::path`].
    pub(crate) fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.place.path(inside)
    }

    /// As [`Place::command`].
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        self.place.command(program)
    }

    /// As [`Place::write`].
    pub(crate) fn write(&self, inside: &str, text: &str) {
        self.place.write(inside, text);
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // `unshare` ends when its child has, and that one when every process of the namespace has.
        if let Err(e) = self.unshare.wait() {
            eprintln!("rig: wait for its namespaces to go: {e}");
        }
    }
}
