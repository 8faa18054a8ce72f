//! The berth binary in a rig.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use super::Rig;
use super::process::Process;

/// The directory of the binary, as the rig sees it.
const DIRECTORY: &str = "/run/rig/berth";
/// The line that says so is logged once in every session with the runtime.
const SYNCHRONIZED: &str = "event=Synchronize";
/// The configuration file, where a test writes one.
pub(crate) const CONFIG: &str = "/run/rig/berth.yaml";

/// The binary under test: the one cargo built for these tests, or what `BERTH_BIN` names.
pub(crate) fn binary() -> PathBuf {
    std::env::var_os("BERTH_BIN").map_or_else(|| env!("CARGO_BIN_EXE_berth").into(), PathBuf::from)
}

/// The same without what only a debugger reads: an install writes, reads and hashes all of it, again and again.
pub(crate) fn lean() -> &'static Path {
    static LEAN: OnceLock<PathBuf> = OnceLock::new();
    LEAN.get_or_init(|| {
        // Of this process, and in its place in one step: other test processes do the same.
        let own = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("berth.{}", std::process::id()));
        let stripped = Command::new("strip").arg("-o").arg(&own).arg(binary()).status();
        assert!(stripped.expect("strip (binutils) runs").success(), "strip failed");
        let path = own.with_extension("stripped");
        std::fs::rename(&own, &path).expect("name the stripped berth");
        path
    })
}

/// Where berth's mounts can be seen, decided by the mount namespace that it runs in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mounts {
    /// In the node's own namespace, as a service of the node.
    Node,
    /// In one of its own whose mounts reach the node, as in a pod with `mountPropagation: Bidirectional`.
    Shared,
    /// In one of its own whose mounts stay there, as in a pod where that was forgotten.
    Private,
}

/// How berth is to be started.
#[derive(Debug)]
pub(crate) struct Start<'rig> {
    rig: &'rig Rig,
    program: PathBuf,
    mounts: Mounts,
    args: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Rig {
    /// `berth nri` as a node runs it, still to be started.
    pub(crate) fn berth(&self) -> Start<'_> {
        let program = PathBuf::from(DIRECTORY).join(binary().file_name().expect("the binary has a name"));
        Start { rig: self, program, mounts: Mounts::Node, args: vec!["nri".into()], environment: Vec::new() }
    }

    /// An administrator's command: `berth list` and the like.
    pub(crate) fn berth_command(&self, args: &[&str]) -> Output {
        let name = binary().file_name().expect("the binary has a name").to_owned();
        let mut command = self.command(PathBuf::from(DIRECTORY).join(name));
        command.args(args).output().expect("nsenter (util-linux) runs")
    }

    /// Has interposers find this configuration, as one that a daemon has left.
    pub(crate) fn publish(&self, yaml: &str) {
        std::fs::DirBuilder::new().mode(0o700).create(self.path("/run/berth")).expect("make the state directory");
        self.write("/run/berth/config.yaml", yaml);
    }
}

impl Start<'_> {
    /// Another binary than the one under test, or the same by another path.
    pub(crate) fn program(mut self, path: &str) -> Self {
        self.program = path.into();
        self
    }

    pub(crate) fn mounts(mut self, mounts: Mounts) -> Self {
        self.mounts = mounts;
        self
    }

    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    pub(crate) fn env(mut self, key: &str, value: &str) -> Self {
        self.environment.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Writes the configuration file and has berth read it.
    pub(crate) fn config(self, yaml: &str) -> Self {
        self.rig.write(CONFIG, yaml);
        self.args(&["--config", CONFIG])
    }

    /// Starts berth and returns when it has been told of all pods, from which on it answers.
    #[track_caller]
    pub(crate) fn start(self) -> Process {
        let mut berth = self.launch_as("berth");
        await_synchronized(&mut berth, 1);
        berth
    }

    /// Starts berth with a log of this name and does not wait for anything.
    pub(crate) fn launch_as(self, name: &str) -> Process {
        Process::start(name, self.command(), self.rig.log_file(name))
    }

    fn command(&self) -> Command {
        let propagation = match self.mounts {
            Mounts::Node => None,
            Mounts::Shared => Some("shared"),
            Mounts::Private => Some("private"),
        };
        let mut command = match propagation {
            None => self.rig.command(&self.program),
            Some(propagation) => {
                let mut command = self.rig.command("unshare");
                command.args(["--mount", "--propagation", propagation, "--"]).arg(&self.program);
                command
            }
        };
        command.args(&self.args).envs(self.environment.iter().map(|(key, value)| (key, value)));
        command
    }
}

/// The runtime has told berth of all its pods, for the `times`th time.
#[track_caller]
pub(crate) fn await_synchronized(berth: &mut Process, times: usize) {
    berth.await_log("that it is synchronized", |log| (log.matches(SYNCHRONIZED).count() >= times).then_some(()));
}
