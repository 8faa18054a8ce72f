//! What the store costs beyond the kernel: adopt and release of one pin, side by side with bare system
//! calls.
//!
//! Needs root. Runs in mount and network namespaces of its own, on a tmpfs.
#![allow(missing_docs)] // criterion's macros
#![allow(clippy::disallowed_methods)] // the bare side is bare on purpose
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use berth::netns::{Netns, Store, in_use};
use berth::pin::PinName;
use criterion::{Criterion, criterion_group, criterion_main};
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, fstat, fstatat, stat};
use nix::sys::statfs::fstatfs;
use nix::unistd::{UnlinkatFlags, geteuid, unlink, unlinkat};

const DIR: &str = "/run/netns";
const CREATE: OFlag = OFlag::O_CREAT.union(OFlag::O_EXCL).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

/// The main thread is the only one yet: all that follow inherit.
fn enter() {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
    let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
    fs::create_dir(DIR).unwrap();
}

/// The least that makes and undoes a pin: no check, names resolved anew for each call. The price of the checks is the
/// distance from here.
fn least(source: &str, pin: &Path) {
    drop(open(pin, CREATE, Mode::S_IRUSR).unwrap());
    mount(Some(source), pin, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    stat(pin).unwrap();
    umount2(pin, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW).unwrap();
    unlink(pin).unwrap();
}

/// The store's own sequence of system calls, written down flat. The price of the store's code is the distance from here.
fn same(source: &str, dir: &str, pin: &Path, name: &str) {
    {
        let dir = open_dir(dir);
        fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).unwrap_err();
        let placeholder = File::from(openat(&dir, name, CREATE, Mode::S_IRUSR).unwrap());
        placeholder.try_lock().unwrap();
        fstat(&placeholder).unwrap();
        fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).unwrap();
        let onto = fd_path(&placeholder);
        mount(Some(source), onto.as_str(), None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
        stat(pin).unwrap();
    }
    let dir = open_dir(dir);
    fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).unwrap();
    let mounted = openat(&dir, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).unwrap();
    fstatfs(&mounted).unwrap();
    fstatfs(&mounted).unwrap(); // in place of NS_GET_NSTYPE, which needs unsafe
    fstat(&mounted).unwrap();
    umount2(fd_path(&mounted).as_str(), MntFlags::MNT_DETACH).unwrap();
    drop(mounted);
    fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW).unwrap();
    unlinkat(&dir, name, UnlinkatFlags::NoRemoveDir).unwrap();
}

fn open_dir(path: &str) -> OwnedFd {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let dir = open(path, flags, Mode::empty()).unwrap();
    fstat(&dir).unwrap();
    geteuid();
    dir
}

fn fd_path(fd: &impl AsRawFd) -> String {
    format!("/proc/thread-self/fd/{}", fd.as_raw_fd())
}

fn pins(c: &mut Criterion) {
    enter();
    let store = Store::open(Path::new(DIR)).unwrap();
    let name = PinName::parse("berth-bench").unwrap();
    let ns = Netns::current().unwrap();
    let file = File::open("/proc/thread-self/ns/net").unwrap();
    let source = fd_path(&file);
    let mut group = c.benchmark_group("adopt+release");
    let pin = store.path(&name);
    group.bench_function("least system calls", |b| b.iter(|| least(&source, &pin)));
    group.bench_function("same system calls", |b| {
        b.iter(|| same(&source, DIR, &pin, name.as_str()));
    });
    group.bench_function("store", |b| {
        b.iter(|| {
            store.adopt(&name, &ns, &[]).unwrap();
            store.release(&name).unwrap()
        });
    });
    group.finish();
    store.adopt(&name, &ns, &[]).unwrap();
    c.bench_function("state of a pin", |b| b.iter(|| store.state(&name).unwrap()));
    c.bench_function("adopt of a pin that is there", |b| {
        b.iter(|| store.adopt(&name, &ns, &[]).unwrap());
    });
    store.release(&name).unwrap();
}

/// Threads stand for tasks: 1000 more of them, in this process.
fn scan(c: &mut Criterion) {
    let proc = Path::new("/proc");
    c.bench_function("scan of tasks", |b| b.iter(|| in_use(proc).unwrap()));
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let stopped = std::sync::Mutex::new(stopped);
    std::thread::scope(|scope| {
        for _ in 0..1000 {
            scope.spawn(|| stopped.lock().map(|stopped| stopped.recv().is_err()).is_ok());
        }
        c.bench_function("scan of 1000 tasks more, threads", |b| b.iter(|| in_use(proc).unwrap()));
        drop(stop);
    });
    let children: Vec<_> =
        (0..1000).map(|_| std::process::Command::new("sleep").arg("1000").spawn().unwrap()).collect();
    c.bench_function("scan of 1000 tasks more, processes", |b| b.iter(|| in_use(proc).unwrap()));
    for mut child in children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

criterion_group!(benches, pins, scan);
criterion_main!(benches);
