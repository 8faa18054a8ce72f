//! What is opened as a network namespace, and what is refused with which words.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::{Netns, host_ids, id_of};
use crate::netns::NetnsError;
use crate::netns::testing::{Parked, bind, engine_file, isolated, new_netns};

fn not_a_namespace(path: &str, expected: &str) {
    match Netns::open(Path::new(path)).unwrap_err() {
        NetnsError::NotANamespace { found, .. } => assert_eq!(found, expected),
        other => panic!("{path}: {other}"),
    }
}

#[test]
fn a_bind_mount_and_a_magic_link_are_the_same_namespace() {
    isolated(|| {
        let task = Parked::new(CloneFlags::CLONE_NEWNET, || ());
        let linked = Netns::open_proc(&task.proc("ns/net")).unwrap();
        engine_file("/run/cni-1", &linked);
        let bound = Netns::open(Path::new("/run/cni-1")).unwrap();
        assert_eq!(bound.id(), linked.id());
        assert_eq!(id_of(&task.proc("ns/net")).unwrap(), linked.id());
        assert_ne!(bound.id(), Netns::current().unwrap().id());
    });
}

#[test]
fn current_is_the_threads_not_the_processs() {
    isolated(|| {
        let own = Netns::current().unwrap().id();
        assert_ne!(own, id_of(Path::new("/proc/self/ns/net")).unwrap());
        assert_eq!(own, id_of(Path::new("/proc/thread-self/ns/net")).unwrap());
    });
}

#[test]
fn what_is_no_namespace_is_named() {
    isolated(|| {
        fs::write("/run/file", "").unwrap();
        symlink("/proc/thread-self/ns/net", "/run/link").unwrap();
        mkfifo("/run/fifo", Mode::S_IRWXU).unwrap();
        not_a_namespace("/run/file", "regular file");
        not_a_namespace("/run/link", "symbolic link");
        not_a_namespace("/run/fifo", "fifo"); // does not wait for a writer
        not_a_namespace("/run", "directory");
        not_a_namespace("/dev/null", "device");
        not_a_namespace("/proc/version", "regular file");
        not_a_namespace("/proc/thread-self/ns/net", "symbolic link");
    });
}

#[test]
fn a_link_outside_of_procfs_is_no_magic_link() {
    isolated(|| {
        symlink("/proc/thread-self/ns/net", "/run/link").unwrap();
        let error = Netns::open_proc(Path::new("/run/link")).unwrap_err();
        assert!(matches!(error, NetnsError::NotANamespace { .. }), "{error}");
        let error = Netns::open_proc(Path::new("/proc/thread-self/exe")).unwrap_err();
        assert!(error.to_string().ends_with("is a regular file, not a namespace"), "{error}");
    });
}

#[test]
fn another_type_of_namespace_is_named() {
    isolated(|| {
        for (file, expected) in [
            ("uts", "uts"),
            ("pid", "pid"),
            ("mnt", "mount"),
            ("ipc", "ipc"),
            ("user", "user"),
            ("cgroup", "cgroup"),
            ("time", "time"),
        ] {
            match Netns::open_proc(&Path::new("/proc/thread-self/ns").join(file)).unwrap_err() {
                NetnsError::OtherKind { kind, .. } => assert_eq!(kind, expected),
                other => panic!("{file}: {other}"),
            }
        }
        fs::write("/run/uts", "").unwrap();
        bind("/proc/thread-self/ns/uts", "/run/uts", MsFlags::empty());
        let error = Netns::open(Path::new("/run/uts")).unwrap_err();
        assert_eq!(error.to_string(), "network namespace /run/uts: is a uts namespace");
    });
}

#[test]
fn what_is_missing_is_missing() {
    for path in ["/nowhere", "/proc/version/x", "/proc/4194304/ns/net"] {
        for error in [Netns::open(Path::new(path)).unwrap_err(), Netns::open_proc(Path::new(path)).unwrap_err()] {
            assert!(matches!(error, NetnsError::Missing { .. }), "{error}");
        }
    }
}

#[test]
fn descriptors_are_close_on_exec() {
    isolated(|| {
        for ns in [Netns::current().unwrap(), new_netns()] {
            let flags = FdFlag::from_bits_retain(fcntl(ns.as_fd(), FcntlArg::F_GETFD).unwrap());
            assert!(flags.contains(FdFlag::FD_CLOEXEC));
        }
    });
}

#[test]
fn the_hosts_ids_are_own_init_and_engine_once_each() {
    isolated(|| {
        let engine = Parked::new(CloneFlags::CLONE_NEWNET, || ());
        let ids = host_ids(Path::new("/proc"), Some(engine.tid));
        let expected = ["/proc/thread-self/ns/net".into(), "/proc/1/ns/net".into(), engine.proc("ns/net")];
        // Process 1 may be out of reach where the tests run: then it is left out, as it should be.
        let mut expected: Vec<_> = expected.iter().filter_map(|path| id_of(path).ok()).collect();
        expected.sort();
        assert!(expected.len() >= 2);
        assert_eq!(ids, expected);
        assert_eq!(host_ids(Path::new("/proc"), None).len(), expected.len() - 1);
        assert_eq!(host_ids(Path::new("/nowhere"), Some(1)).len(), 1, "what cannot be read is left out");
    });
}
