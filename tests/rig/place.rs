//! A node as it can be looked at and worked on from here: through one of its processes. That of a rig and that of
//! a cluster are the same in this.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The namespaces of a node, by the id that its first process has here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pid: u32,
}

impl Place {
    /// `pid` is of this process's own namespace.
    pub(crate) fn new(pid: u32) -> Self {
        Self { pid }
    }

    /// Where a path of the node is to be found from here: through the root directory of one of its processes. That
    /// does not hold for symbolic links with an absolute target; `/var/run` is one that engines use.
    pub(crate) fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        let inside = inside.as_ref().strip_prefix("/").expect("paths of a node are absolute");
        let relative = inside.strip_prefix("var").ok().filter(|rest| rest.starts_with("run")).unwrap_or(inside);
        Path::new("/proc").join(self.pid.to_string()).join("root").join(relative)
    }

    /// A command to run as if on the node, with nothing of this process's environment but a PATH.
    pub(crate) fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = self.enter(&["--mount", "--net", "--pid"]);
        command.arg(program.as_ref()).env_clear().env(
            "PATH",
            "/run/rig/bin:/run/rig/containerd:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
        command
    }

    /// A command that sees the node's network, and everything else as this process does.
    pub(crate) fn in_network(&self, program: impl AsRef<Path>) -> Command {
        let mut command = self.enter(&["--net"]);
        command.arg(program.as_ref());
        command
    }

    fn enter(&self, namespaces: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid.to_string()]).args(namespaces).arg("--");
        command
    }

    /// Runs a command on the node; what it printed, or how it failed.
    pub(crate) fn run(&self, program: &str, args: &[&str]) -> Result<String, String> {
        outcome(self.command(program).args(args), &format!("{program} {args:?}"))
    }

    /// Writes a file of the node.
    pub(crate) fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        let written = std::fs::File::create(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.unwrap_or_else(|e| panic!("write {inside} on the node: {e}"));
    }
}

/// What a command printed, or how it failed.
pub(crate) fn outcome(command: &mut Command, what: &str) -> Result<String, String> {
    let done = command.output().unwrap_or_else(|e| panic!("{what}: {e}"));
    let [out, err] = [done.stdout, done.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    if done.status.success() { Ok(out) } else { Err(format!("{what}: {}: {out}{err}", done.status)) }
}
