//! The test rig: a real engine, alone in its own namespaces, with its directories and sockets at the very paths that
//! they have on a node. Rigs do not meet each other or the host, and leave nothing behind.
//!
//! ```text
//! Rig ── Space          mount, network and process id namespaces; fresh /run and /var/lib
//!     ├─ Place          the same as a node: its paths, commands on it
//!     ├─ Engine         containerd or CRI-O: where its parts are, how it is started
//!     ├─ Process        that engine; restarted and killed by the test
//!     ├─ Cri            the kubelet's side of its socket
//!     └─ read           what holds: config.json, netns inodes, mounts, reachability
//! Berth                 the berth binary in the rig, with its log
//! ```
#![allow(dead_code, reason = "each test crate uses its own part of the rig")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a rig that does not work fails the test")]
#![allow(clippy::print_stderr, reason = "a failing test shows the logs")]

pub(crate) mod berth;
pub(crate) mod cgroup;
pub(crate) mod checked;
mod config;
pub(crate) mod containerd;
pub(crate) mod cri;
pub(crate) mod cri_stub;
pub(crate) mod crio;
pub(crate) mod engine;
pub(crate) mod holds;
pub(crate) mod kubelet;
pub(crate) mod listener;
pub(crate) mod manifest;
pub(crate) mod node;
mod permit;
pub(crate) mod place;
pub(crate) mod plugin;
pub(crate) mod process;
pub(crate) mod provision;
pub(crate) mod read;
mod space;
mod sweep;
pub(crate) mod wait;

use std::ops::Deref;
use std::path::{Path, PathBuf};

use ::berth::nri::Level;
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tonic::Status;

use self::cgroup::Cgroup;
use self::containerd::Handler;
use self::cri::{Cri, Network, Pod, Sandbox};
use self::engine::Engine;
use self::permit::Permit;
use self::place::Place;
use self::process::Process;
use self::provision::provision;
use self::read::netns_id;
use self::space::Space;
use self::sweep::Sweeper;

/// What a container does that is only there: it ends at once when it is told to.
pub(crate) const IDLE: &str = "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done";

/// A web server that answers with one known line.
pub(crate) const SERVE: &str = "trap 'exit 0' TERM; httpd -f -p 80 -h /www & wait";

/// An engine of the test's own. Fields are in the order in which they must go.
#[derive(Debug)]
pub(crate) struct Rig {
    cri: Option<Cri>,
    process: Option<Process>,
    engine: Engine,
    space: Space,
    cgroup: Cgroup,
    logs: TempDir,
    sweeper: Option<Sweeper>,
    _permit: Permit,
}

impl Deref for Rig {
    type Target = Place;

    fn deref(&self) -> &Place {
        self.space.place()
    }
}

impl Rig {
    /// A rig whose containerd runs and has its images.
    pub(crate) fn start() -> Self {
        let mut rig = Self::furnished();
        rig.start_engine();
        rig
    }

    /// A rig whose containerd is still to be started, so that the test can prepare its directories.
    pub(crate) fn furnished() -> Self {
        Self::with_handlers(&[])
    }

    /// A rig with handlers of the test's own, whose containerd is still to be started.
    pub(crate) fn with_handlers(handlers: &[Handler]) -> Self {
        let rig = Self::furnish(Engine::Containerd, &[]);
        containerd::configure(&rig.space, handlers);
        rig
    }

    /// A rig whose engine is still to be configured; `further` directories are seen in it by name.
    fn furnish(engine: Engine, further: &[(&str, &Path)]) -> Self {
        let permit = Permit::take();
        let space = Space::new(&berth::binary(), further);
        let logs = tempfile::Builder::new().prefix("berth-rig-").tempdir().expect("make a directory for the logs");
        Self { cri: None, process: None, engine, space, cgroup: Cgroup::new(), logs, sweeper: None, _permit: permit }
    }

    pub(crate) fn start_engine(&mut self) {
        self.boot();
        self.engine.import_images(&self.space, self.cri());
    }

    /// Ends the engine with `signal` and starts it again; the pods go on running meanwhile.
    pub(crate) fn restart_engine(&mut self, signal: Signal) {
        self.stop_engine(signal);
        self.boot();
    }

    /// Ends the engine with `signal`.
    pub(crate) fn stop_engine(&mut self, signal: Signal) {
        self.cri = None;
        let mut engine = self.process.take().expect("the engine was started");
        engine.signal(signal);
        engine.wait(wait::DEADLINE);
    }

    /// Waits for the engine's end, which something else has brought about, and starts it again.
    pub(crate) fn revive_engine(&mut self) {
        self.cri = None;
        self.process.take().expect("the engine was started").wait(wait::DEADLINE);
        self.boot();
    }

    /// The engine's process, as seen by the test.
    pub(crate) fn engine_pid(&self) -> nix::unistd::Pid {
        self.process.as_ref().expect("the engine was started").pid()
    }

    fn boot(&mut self) {
        self.process = Some(self.engine.start(&self.space, self.log_file(self.engine.name())));
        self.cri = Some(self.connect());
    }

    /// What the engine has logged since it was started.
    pub(crate) fn engine_log(&self) -> String {
        self.process.as_ref().expect("the engine was started").log()
    }

    pub(crate) fn cri(&self) -> &Cri {
        self.cri.as_ref().expect("the engine was started")
    }

    /// A further connection, for a thread of its own.
    pub(crate) fn connect(&self) -> Cri {
        Cri::connect(&self.path(self.engine.socket())).expect("connect to the engine")
    }

    /// Gives berth a further name in the rig, by which it is an interposer; its path there.
    pub(crate) fn name_berth(&self, name: &str) -> String {
        let binary = berth::binary();
        let target = Path::new("../berth").join(binary.file_name().expect("the binary has a name"));
        let path = format!("{}/{name}", containerd::NAMES);
        std::os::unix::fs::symlink(target, self.path(&path)).expect("name berth in the rig");
        path
    }

    /// Puts a program on the node's PATH; the directory that it comes from may be covered there.
    pub(crate) fn install(&self, name: &str, program: impl AsRef<Path>) {
        let program = program.as_ref();
        let copied = std::fs::copy(program, self.path(containerd::PROGRAMS).join(name));
        copied.unwrap_or_else(|e| panic!("install {} in the rig: {e}", program.display()));
    }

    pub(crate) fn log_file(&self, name: &str) -> PathBuf {
        self.logs.path().join(name)
    }

    /// A pod in the Kubernetes namespace `default`, under a handler.
    pub(crate) fn pod(&self, name: &str, handler: &str) -> Sandbox {
        self.run_pod(&Pod::new(name, handler)).expect("run the pod")
    }

    pub(crate) fn host_network_pod(&self, name: &str, handler: &str) -> Sandbox {
        self.run_pod(&Pod { network: Network::Host, ..Pod::new(name, handler) }).expect("run the pod")
    }

    pub(crate) fn run_pod(&self, pod: &Pod) -> Result<Sandbox, Status> {
        self.cri().run_pod(pod, self.cgroup.parent())
    }

    /// A container that runs; its id.
    pub(crate) fn container(&self, pod: &Sandbox, name: &str, script: &str) -> String {
        let id = self.cri().create_container(pod, name, script).expect("create the container");
        self.cri().start_container(&id).expect("start the container");
        id
    }

    /// A process that does nothing in a network namespace and that the engine knows nothing of.
    pub(crate) fn task_in(&self, netns: &str) -> Process {
        let namespace = self.netns_of_file(netns).expect("the namespace is there");
        let mut command = self.command("nsenter");
        command.args([&format!("--net={netns}"), "--", "sleep", "3600"]);
        let task = Process::start("task", command, self.log_file("task"));
        let joined = || netns_id(format!("/proc/{}/ns/net", task.pid()));
        wait::eventually("the task has joined the namespace", || (joined() == Some(namespace)).then_some(()));
        task
    }

    /// The engine has the running shim of a sandbox create its members, instead of starting the shim for each.
    pub(crate) fn asks_running_shims(&self) -> bool {
        provision().containerd_version >= (2, 0)
    }

    /// The engine has an NRI that berth can register with.
    pub(crate) fn has_nri(&self) -> bool {
        self.engine == Engine::CriO || provision().containerd_version >= (1, 7)
    }

    /// The engine makes the network namespace of a pod with a user namespace itself and names it in the sandbox's
    /// specification. Before, the OCI runtime made it, and no member was told a path that outlives the sandbox's process.
    pub(crate) fn names_network_of_users(&self) -> bool {
        provision().containerd_version >= (2, 0)
    }

    /// What this engine's NRI can do.
    pub(crate) fn level(&self) -> Level {
        self.engine.level()
    }

    /// The engine honours another network namespace path for a member. Where it does not, berth gives members their
    /// identity and pins nothing.
    pub(crate) fn can_swap(&self) -> bool {
        self.level() >= Level::Namespaces
    }

    pub(crate) fn cgroup_parent(&self) -> &str {
        self.cgroup.parent()
    }

    /// Makes that cgroup, for who does not make it himself.
    pub(crate) fn make_cgroup(&self) {
        self.cgroup.make();
    }

    /// For a rig in a static, which nothing drops: has what it leaves outside of its namespaces removed when this process
    /// has ended.
    pub(crate) fn sweep_at_exit(&mut self) {
        self.sweeper = Some(Sweeper::start(self.cgroup.parent(), self.logs.path()));
    }
}
