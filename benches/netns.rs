//! What the store costs beyond the kernel: adopt and release of one pin, against the same system calls bare.
//!
//! Needs root. Runs in mount and network namespaces of its own, on a tmpfs.
#![allow(missing_docs)] // criterion's macros
#![allow(clippy::disallowed_methods)] // the bare side is bare on purpose
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;

use berth::netns::{Netns, Store, in_use};
use berth::pin::PinName;
use criterion::{Criterion, criterion_group, criterion_main};
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, stat};
use nix::unistd::unlink;

const DIR: &str = "/run/netns";

/// The main thread is the only one yet: all that follow inherit.
fn enter() {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).unwrap();
    let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
    fs::create_dir(DIR).unwrap();
}

/// What a careless program does: placeholder, bind, look; detach, unlink.
fn bare(source: &str, pin: &Path) {
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    drop(open(pin, flags, Mode::S_IRUSR).unwrap());
    mount(Some(source), pin, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    stat(pin).unwrap();
    umount2(pin, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW).unwrap();
    unlink(pin).unwrap();
}

fn pins(c: &mut Criterion) {
    enter();
    let store = Store::open(Path::new(DIR)).unwrap();
    let name = PinName::new("bench").unwrap();
    let ns = Netns::current().unwrap();
    let file = fs::File::open("/proc/thread-self/ns/net").unwrap();
    let source = format!("/proc/self/fd/{}", file.as_raw_fd());
    let mut group = c.benchmark_group("adopt+release");
    group.bench_function("bare system calls", |b| b.iter(|| bare(&source, &store.path(&name))));
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
