//! What berth's code costs beyond the kernel: pins with their records beside the same system calls written down flat.
//! Both sides take turns in one run, so that what else the machine does falls on both; ratios, with their spread. And
//! beside `ip netns`. Prints the tables of `docs/benchmarks.md`; `BERTH_BENCH=short` is the form for CI.
//!
//! Root. Runs in mount and network namespaces of its own, on a tmpfs.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a bench")]
#![allow(unsafe_code, clippy::disallowed_methods, reason = "the bare side is bare on purpose")]

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

#[path = "figures/mod.rs"]
mod figures;

use figures::{Spread, Targets, columns, heading, micros, percentile, rounds, row};

use berth::apply::{Keeper, Mode, Sight, Wanted, Which};
use berth::decide::verdict::Reason;
use berth::identity::{Engine, PodRef, SandboxId, Scope};
use berth::ledger::record::{Origin, Record};
use berth::netns::Netns;
use berth::pin::PinName;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::{Mode as FileMode, fstat, fstatat, stat};
use nix::sys::statfs::fstatfs;
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

const NETNS: &str = "/run/netns";
const PIN: &str = "/run/netns/berth-bench";
const ENGINE: &str = "/run/engine/cni-1";
const RECORD: &str = "/run/berth/sandboxes/berth-bench.json";
const LOCK: &str = "/run/berth/locks/berth-bench";
const FRESH: OFlag = OFlag::O_CREAT.union(OFlag::O_EXCL).union(OFlag::O_NOFOLLOW).union(OFlag::O_CLOEXEC);

fn fd_path(fd: &impl AsRawFd) -> String {
    format!("/proc/thread-self/fd/{}", fd.as_raw_fd())
}

fn ask_type(fd: &impl AsRawFd) {
    // SAFETY: NS_GET_NSTYPE takes no argument and writes no memory; the descriptor is open.
    assert_eq!(unsafe { libc::ioctl(fd.as_raw_fd(), 0xb703) }, libc::CLONE_NEWNET);
}

/// Opening a namespace and making sure that it is one.
fn bare_open(path: &str) -> OwnedFd {
    let found = open(path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, FileMode::empty()).unwrap();
    fstatfs(&found).unwrap();
    let ns = open(fd_path(&found).as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, FileMode::empty()).unwrap();
    ask_type(&ns);
    fstat(&ns).unwrap();
    ns
}

fn bare_dir() -> OwnedFd {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let dir = open(NETNS, flags, FileMode::empty()).unwrap();
    fstat(&dir).unwrap();
    geteuid();
    dir
}

fn bare_lock() -> File {
    let lock = fs::OpenOptions::new().create(true).truncate(false).write(true).open(LOCK).unwrap();
    lock.try_lock().unwrap();
    lock.metadata().unwrap();
    lock
}

fn bare_record(bytes: &[u8]) {
    let temp = "/run/berth/sandboxes/.tmp-bare";
    let mut file = fs::OpenOptions::new().create_new(true).read(true).write(true).open(temp).unwrap();
    file.write_all(bytes).unwrap();
    fs::rename(temp, RECORD).unwrap();
}

fn bare_bind(ns: &OwnedFd) {
    let dir = bare_dir();
    fstatat(&dir, "berth-bench", AtFlags::AT_SYMLINK_NOFOLLOW).unwrap_err();
    let placeholder = File::from(openat(&dir, "berth-bench", FRESH, FileMode::S_IRUSR).unwrap());
    placeholder.try_lock().unwrap();
    fstat(&placeholder).unwrap();
    fstatat(&dir, "berth-bench", AtFlags::AT_SYMLINK_NOFOLLOW).unwrap();
    mount(Some(fd_path(ns).as_str()), fd_path(&placeholder).as_str(), None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .unwrap();
    stat(PIN).unwrap();
}

fn bare_release() {
    let dir = bare_dir();
    fstatat(&dir, "berth-bench", AtFlags::AT_SYMLINK_NOFOLLOW).unwrap();
    let pin = openat(&dir, "berth-bench", OFlag::O_RDONLY | OFlag::O_CLOEXEC, FileMode::empty()).unwrap();
    fstatfs(&pin).unwrap();
    ask_type(&pin);
    fstat(&pin).unwrap();
    umount2(fd_path(&pin).as_str(), MntFlags::MNT_DETACH).unwrap();
    drop(pin);
    fstatat(&dir, "berth-bench", AtFlags::AT_SYMLINK_NOFOLLOW).unwrap();
    unlinkat(&dir, "berth-bench", UnlinkatFlags::NoRemoveDir).unwrap();
}

/// A namespace with `lo` up, made on a thread of its own.
fn bare_create() -> OwnedFd {
    let make = || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None).unwrap();
        // SAFETY: all zeroes is a valid `ifreq`; both ioctls take a pointer to one that lives for the call.
        unsafe {
            let mut request: libc::ifreq = std::mem::zeroed();
            request.ifr_name[0] = 108;
            request.ifr_name[1] = 111;
            assert_eq!(libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request), 0);
            request.ifr_ifru.ifru_flags |= 1;
            assert_eq!(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw mut request), 0);
        }
        open("/proc/thread-self/ns/net", OFlag::O_RDONLY | OFlag::O_CLOEXEC, FileMode::empty()).unwrap()
    };
    std::thread::spawn(make).join().unwrap()
}

/// Runs all in turns; the times of each at the median, in microseconds, round by round.
fn in_turns<const N: usize>(each: usize, mut work: [&mut dyn FnMut(); N]) -> [Vec<f64>; N] {
    let mut medians = [const { Vec::new() }; N];
    for round in 0..=rounds(5, 21) {
        let mut times = [const { Vec::new() }; N];
        for _ in 0..each {
            for (times, work) in times.iter_mut().zip(&mut work) {
                let started = Instant::now();
                work();
                times.push(started.elapsed());
            }
        }
        if round > 0 {
            // The first one warms up.
            medians.iter_mut().zip(&times).for_each(|(medians, times)| medians.push(micros(percentile(times, 500))));
        }
    }
    medians
}

/// Prints what the second costs in terms of the first.
fn compare(what: &str, targets: &Targets, mut floor: impl FnMut(), mut ours: impl FnMut()) {
    let [floor, ours] = in_turns(rounds(100, 300), [&mut floor, &mut ours]);
    let ratio = Spread::of(ours.iter().zip(&floor).map(|(ours, floor)| ours / floor));
    row(&[
        what.to_owned(),
        ratio.to_string(),
        targets.at_most(what, ratio.middle, 1.1),
        format!("{:.0}", Spread::of(floor).middle),
    ]);
}

/// The tool that people make such namespaces with, beside making one and removing it here. Without the time that the
/// kernel takes after the last has let go.
fn tool(mut ours: impl FnMut()) {
    let ip = |what: &str| {
        let done = Command::new("ip").args(["netns", what, "bench"]).status().expect("ip (iproute2) runs");
        assert!(done.success(), "ip netns {what}");
    };
    let mut tool = || ["add", "del"].into_iter().for_each(ip);
    let [tool, ours] = in_turns(rounds(10, 30), [&mut tool, &mut ours]);
    let ratio = Spread::of(ours.iter().zip(&tool).map(|(ours, tool)| ours / tool));
    let [tool, ours] = [tool, ours].map(|times| format!("{:.0}", Spread::of(times).middle));
    println!();
    columns(&["µs", "berth, create with loopback and record, and release", "`ip netns add`, `ip netns del`", "ratio"]);
    row(&["".to_owned(), ours, tool, ratio.to_string()]);
}

fn main() {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET).expect("root and namespaces");
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_PRIVATE | MsFlags::MS_REC, None::<&str>).unwrap();
    mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
    fs::create_dir("/run/engine").unwrap();
    let keeper = Keeper::open(Path::new("/run/berth"), Path::new(NETNS)).unwrap();
    let (scope, sandbox) = (Scope::cri(Engine::Containerd), SandboxId::try_from("bench").unwrap());
    let name = PinName::of(&scope, &sandbox);
    let engine = || {
        fs::write(ENGINE, "").unwrap();
        let ns = bare_create();
        mount(Some(fd_path(&ns).as_str()), ENGINE, None::<&str>, MsFlags::MS_BIND, None::<&str>).unwrap();
    };
    engine();
    let pin = || {
        let netns = Netns::open(Path::new(ENGINE)).unwrap();
        let wanted = Wanted {
            name: &name,
            netns: &netns,
            origin: Origin::Adopted,
            source: Path::new(ENGINE),
            forbidden: &[],
            scope: &scope,
            sandbox: "bench",
            pod: &PodRef { namespace: "default".into(), name: "web".into(), uid: "u".into() },
            handler: "kata",
            door: "nri",
            profile: "default",
            verdict: Reason::IdentityAndNetns,
            config: 1,
            pid_ns: Some(1),
        };
        keeper.pin(&wanted, Duration::ZERO).unwrap();
    };
    pin();
    let record: Record = keeper.ledger.get(&name).unwrap().unwrap();
    let bytes = record.encode().unwrap();
    let unpin = || {
        let lock = keeper.ledger.lock(&name, Duration::ZERO).unwrap();
        keeper.store.release(&name).unwrap();
        keeper.ledger.remove(&name).unwrap();
        lock.remove().unwrap();
    };
    unpin();

    let bare_unpin = || {
        let lock = bare_lock();
        bare_release();
        fs::remove_file(RECORD).unwrap();
        fs::remove_file(LOCK).unwrap();
        drop(lock);
    };
    let targets = Targets::default();
    heading("Pins");
    columns(&["", "berth against the bare calls", "target", "the bare calls, µs"]);
    compare(
        "adopt with its record, release",
        &targets,
        || {
            let ns = bare_open(ENGINE);
            fs::metadata("/run/engine").unwrap();
            let lock = bare_lock();
            File::open(RECORD).unwrap_err();
            stat(PIN).unwrap_err();
            bare_record(&bytes);
            bare_bind(&ns);
            drop(lock);
            bare_unpin();
        },
        || {
            pin();
            unpin();
        },
    );
    let create = || {
        let lock = keeper.ledger.lock(&name, Duration::ZERO).unwrap();
        keeper.ledger.put(&name, &record).unwrap();
        keeper.store.create(&name).unwrap();
        drop(lock);
        unpin();
    };
    compare(
        "create with loopback and record, release",
        &targets,
        || {
            let lock = bare_lock();
            bare_record(&bytes);
            bare_bind(&bare_create());
            drop(lock);
            bare_unpin();
        },
        create,
    );
    tool(create);
    look(&keeper, pin);
    targets.conclude();
}

/// What a pass over pins that stay costs, for each pin.
fn look(keeper: &Keeper, pin: impl Fn()) {
    pin();
    let sight = Sight::here(Path::new("/proc"));
    let names: Vec<_> = keeper.ledger.list().unwrap().records.into_iter().map(|(name, _)| name).collect();
    let times: Vec<_> = (0..2000)
        .map(|_| {
            let started = Instant::now();
            keeper.settle(Which::These(&names), &sight, Mode::Apply, &mut std::collections::HashSet::new());
            started.elapsed()
        })
        .collect();
    println!("\nApplying the lifecycle rule to a pin that stays takes {:.1} µs.", micros(percentile(&times, 500)));
}
