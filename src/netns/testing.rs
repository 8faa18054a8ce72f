//! Namespaces and mounts for tests. Tests need root: without it they fail, none is skipped.
#![allow(clippy::disallowed_methods)] // makes by hand what the code must cope with, on threads that end

use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::gettid;

use super::{Netns, NetnsId, Store};
use crate::pin::PinName;
use crate::sys::fd_path;

/// Where each test has its own tmpfs.
pub(crate) const ROOT: &str = "/run";

/// Runs `test` on a thread with mount and network namespaces of its own and an empty tmpfs at [`ROOT`].
pub(crate) fn isolated(test: impl FnOnce() + Send) {
    on_thread(|| {
        enter(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET);
        propagation("/", MsFlags::MS_PRIVATE);
        forget_mounts_below(ROOT);
        tmpfs(ROOT);
        test();
    });
}

/// A machine where `ip netns add` was run once has mounts there. A tmpfs would cover them, and mountinfo go on listing them.
fn forget_mounts_below(root: &str) {
    let last = || {
        let text = fs::read("/proc/thread-self/mountinfo").unwrap();
        super::mountinfo::parse(&text).into_iter().rfind(|mount| mount.point.starts_with(root))
    };
    while let Some(mount) = last() {
        umount2(&mount.point, MntFlags::MNT_DETACH).unwrap();
    }
}

/// As [`isolated`], with a store in `/run/netns`.
pub(crate) fn with_store(test: impl FnOnce(Store) + Send) {
    isolated(|| test(Store::open(Path::new("/run/netns")).unwrap()));
}

/// Runs `work` on a thread of its own to its end; its panics are the caller's.
pub(crate) fn on_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let joined = thread::scope(|scope| scope.spawn(work).join());
    joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// A thread that stays in namespaces of its own until it is dropped. Its task number serves as a process's.
pub(crate) struct Parked {
    pub(crate) tid: u32,
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Parked {
    pub(crate) fn new(flags: CloneFlags, prepare: impl FnOnce() + Send + 'static) -> Self {
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            enter(flags);
            prepare();
            ready.send(gettid().as_raw()).unwrap();
            stopped.recv().unwrap_err();
        });
        let tid = started.recv().expect("the thread's preparation").unsigned_abs();
        Self { tid, stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.tid))
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a parked thread");
        }
    }
}

pub(crate) fn enter(flags: CloneFlags) {
    unshare(flags).expect("tests need root and namespaces");
}

pub(crate) fn propagation(path: &str, how: MsFlags) {
    mount(None::<&str>, path, None::<&str>, how | MsFlags::MS_REC, None::<&str>).unwrap();
}

pub(crate) fn tmpfs(path: &str) {
    mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).expect("mount a tmpfs");
}

pub(crate) fn bind(from: impl AsRef<Path>, onto: impl AsRef<Path>, flags: MsFlags) {
    mount(Some(from.as_ref()), onto.as_ref(), None::<&str>, MsFlags::MS_BIND | flags, None::<&str>).unwrap();
}

/// Moves the calling thread into a mount namespace that has of `/run` only `dir`, as a volume's bind mount.
pub(crate) fn container_with_only(dir: &str) {
    enter(CloneFlags::CLONE_NEWNS);
    tmpfs("/mnt");
    fs::create_dir("/mnt/netns").unwrap();
    bind(dir, "/mnt/netns", MsFlags::empty());
    umount2(ROOT, MntFlags::MNT_DETACH).unwrap();
    bind("/mnt", ROOT, MsFlags::MS_REC);
}

/// Binds a namespace on a new file, as engines do.
pub(crate) fn engine_file(path: impl AsRef<Path>, ns: &Netns) {
    fs::write(path.as_ref(), "").unwrap();
    bind(fd_path(ns.as_fd()), path, MsFlags::empty());
}

pub(crate) fn new_netns() -> Netns {
    Netns::create().expect("create a network namespace")
}

pub(crate) fn name(id: &str) -> PinName {
    PinName::parse(&format!("berth-{id}")).unwrap()
}

/// Which mounts are on `path` now, topmost last, by the thread's own mountinfo.
pub(crate) fn mounts_on(path: &Path) -> usize {
    let text = fs::read("/proc/thread-self/mountinfo").unwrap();
    super::mountinfo::parse(&text).iter().filter(|mount| mount.point == path).count()
}

/// Whether `path` is the namespace `id`.
pub(crate) fn same(path: &Path, id: NetnsId) -> bool {
    Netns::open(path).is_ok_and(|ns| ns.id() == id)
}

/// Moves the calling thread into `ns`.
pub(crate) fn join(ns: &Netns) {
    setns(ns, CloneFlags::CLONE_NEWNET).unwrap();
}

/// One end of a veth pair whose other end is in a namespace: it goes when that namespace dies, and holds nothing.
pub(crate) struct Witness;

impl Witness {
    /// Puts the other end into the namespace at `path`. One per test: the device has a fixed name.
    pub(crate) fn of(path: &Path) -> Self {
        let words = ["link", "add", "witness", "type", "veth", "peer", "name", "p0", "netns"];
        assert!(Command::new("ip").args(words).arg(path).status().unwrap().success());
        assert!(Self.lives());
        Self
    }

    pub(crate) fn lives(&self) -> bool {
        fs::read_to_string("/proc/thread-self/net/dev").unwrap().contains("witness:")
    }

    /// The kernel takes dead namespaces apart in the background.
    pub(crate) fn wait_for_death(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.lives() {
            assert!(Instant::now() < deadline, "the namespace is still alive");
            thread::yield_now();
        }
    }
}

/// A procfs of a PID namespace of its own: it shows only what the test starts.
pub(crate) struct OwnProc {
    pub(crate) path: &'static Path,
    init: Child,
}

impl OwnProc {
    /// Mounts it at `/run/proc`. Processes that the calling thread starts afterwards are in it.
    pub(crate) fn new() -> Self {
        enter(CloneFlags::CLONE_NEWPID);
        fs::create_dir("/run/proc").unwrap();
        // The mount belongs to the PID namespace of who makes it: of the child, not of this thread.
        let script = "mount -t proc proc /run/proc && echo up && exec sleep 1000";
        let mut init = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = [0; 3];
        init.stdout.take().unwrap().read_exact(&mut line).unwrap();
        assert_eq!(&line, b"up\n");
        Self { path: Path::new("/run/proc"), init }
    }
}

impl Drop for OwnProc {
    fn drop(&mut self) {
        // Takes all others of the namespace with it. Not waited for: it ends after the last zombie in it has been
        // reaped, and a test that failed may have left one.
        self.init.kill().expect("end the PID namespace");
    }
}
