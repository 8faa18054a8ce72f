//! A node with a fake runtime and the berth binary, in the test's own namespaces.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use berth::nri::api::{Container, CreateContainerResponse, LinuxNamespace, PodSandbox};

use crate::fake_runtime::{self, FakeRuntime, Profile, Session};

pub(crate) const SOCKET: &str = "/run/nri.sock";

/// How long one thing may take. `BERTH_TEST_LIMIT` says another number of seconds, for machines that are emulated.
fn limit() -> Duration {
    let told =
        std::env::var("BERTH_TEST_LIMIT").map(|seconds| seconds.parse().expect("BERTH_TEST_LIMIT is in seconds"));
    Duration::from_secs(told.unwrap_or(15))
}

/// Runs `test` on an event loop, within a limit.
pub(crate) fn block_on<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(limit() * 3, test).await.expect("the test ends in time") })
}

/// Waits until `condition` gives something.
pub(crate) async fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The binary under test: the one cargo built for these tests, or what `BERTH_BIN` names.
fn binary() -> String {
    std::env::var("BERTH_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_berth").to_owned())
}

/// The running binary.
pub(crate) struct Berth {
    child: Child,
    log: PathBuf,
}

impl Berth {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_under(&[], args)
    }

    /// As `start`, by a program that becomes berth.
    pub(crate) fn start_under(before: &[&str], args: &[&str]) -> Self {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let log = PathBuf::from(format!("/run/berth-{number}.log"));
        let child = Self::spawn(before, args, fs::File::create(&log).unwrap());
        Self { child, log }
    }

    /// As `start`, with this standard error; its log is not for the test.
    pub(crate) fn start_saying(stderr: impl Into<Stdio>, args: &[&str]) -> Self {
        Self { child: Self::spawn(&[], args, stderr), log: PathBuf::from("/dev/null") }
    }

    fn spawn(before: &[&str], args: &[&str], stderr: impl Into<Stdio>) -> Child {
        let binary = binary();
        let line = [before, &[&binary, "nri", "--socket", SOCKET], args].concat();
        let mut command = Command::new(line[0]);
        command.args(&line[1..]).env("BERTH_LOG", "info").stdin(Stdio::null()).stderr(stderr);
        command.spawn().unwrap()
    }

    /// As `start`, with this configuration.
    pub(crate) fn configured(yaml: &str) -> Self {
        fs::write("/run/config.yaml", yaml).unwrap();
        Self::start(&["--config", "/run/config.yaml"])
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) async fn logged(&self, text: &str) {
        eventually(text, || self.log().contains(text).then_some(())).await;
    }

    pub(crate) fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.child.id().cast_signed())
    }

    pub(crate) fn signal(&mut self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(self.pid(), signal).unwrap();
    }

    pub(crate) async fn ended(&mut self) -> ExitStatus {
        eventually("berth ends", || self.child.try_wait().unwrap()).await
    }

    pub(crate) async fn kill(mut self) {
        self.child.kill().unwrap();
        self.ended().await;
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// Runs a berth command to its end.
pub(crate) fn command(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_berth")).args(args).output().unwrap()
}

/// The runtime, listening, and berth, synchronized with nothing.
pub(crate) async fn ready(profile: Profile, berth: impl FnOnce() -> Berth) -> (FakeRuntime, Session, Berth) {
    let runtime = FakeRuntime::listen(Path::new(SOCKET));
    let berth = berth();
    let session = runtime.accept_ready(profile).await;
    berth.logged("event=Synchronize").await;
    (runtime, session, berth)
}

/// A pod of a named handler with an engine's netns file.
pub(crate) struct Pod {
    pub(crate) message: PodSandbox,
    pub(crate) file: String,
}

fn ip(args: &[&str]) {
    let status = Command::new("ip").args(args).status().expect("ip (iproute2) runs");
    assert!(status.success(), "ip {args:?}");
}

fn network(path: &str) -> LinuxNamespace {
    LinuxNamespace { type_: "network".into(), path: path.into(), ..Default::default() }
}

impl Pod {
    /// A pod whose network namespace the engine has made.
    pub(crate) fn new(id: &str) -> Self {
        ip(&["netns", "add", &format!("cni-{id}")]);
        Self::at(id, &format!("/var/run/netns/cni-{id}"))
    }

    /// A pod of which the engine says that its namespace is at `file`.
    pub(crate) fn at(id: &str, file: &str) -> Self {
        let mut message = fake_runtime::pod(id);
        message.runtime_handler = "kata".into();
        message.pid = std::process::id();
        message.linux.mut_or_insert_default().namespaces.push(network(file));
        Self { message, file: file.into() }
    }

    pub(crate) fn container(&self) -> Container {
        let mut container = fake_runtime::container("c1", &self.message.id);
        container.name = "app".into();
        container
    }

    /// A container whose network namespace path is `path`.
    pub(crate) fn container_at(&self, path: &str) -> Container {
        let mut container = self.container();
        container.linux.mut_or_insert_default().namespaces.push(network(path));
        container
    }

    pub(crate) fn pin(&self) -> PathBuf {
        PathBuf::from(format!("/run/netns/berth-{}", self.message.id))
    }

    /// What the engine does last of all when the pod is stopped.
    pub(crate) fn engine_lets_go(&self) {
        ip(&["netns", "del", &format!("cni-{}", self.message.id)]);
    }

    /// Whether the pin is this pod's namespace.
    pub(crate) fn is_pinned(&self) -> bool {
        inode(&self.pin()).is_some() && inode(&self.pin()) == inode(Path::new(&self.file))
    }

    pub(crate) async fn gone(&self) {
        eventually("nothing is left", || {
            let id = &self.message.id;
            let left = [
                self.pin(),
                format!("/run/berth/sandboxes/berth-{id}.json").into(),
                format!("/run/berth/locks/berth-{id}").into(),
            ];
            left.iter().all(|path| fs::symlink_metadata(path).is_err()).then_some(())
        })
        .await;
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(&format!("berth-{}", self.message.id)), "{mounts}");
    }
}

/// The number of the file a path leads to, if it is a namespace.
pub(crate) fn inode(path: &Path) -> Option<(u64, u64)> {
    let id = berth::netns::Netns::open(path).ok()?.id();
    Some((id.dev, id.ino))
}

/// The network namespace path that an answer gives.
pub(crate) fn swapped(answer: &CreateContainerResponse) -> Option<String> {
    let namespaces = &answer.adjust.linux.namespaces;
    assert!(namespaces.len() <= 1, "{namespaces:?}");
    namespaces.first().map(|namespace| namespace.path.clone())
}

/// One annotation of an answer.
pub(crate) fn annotation<'a>(answer: &'a CreateContainerResponse, key: &str) -> Option<&'a str> {
    answer.adjust.annotations.get(key).map(String::as_str)
}
