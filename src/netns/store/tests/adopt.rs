//! What adopt makes, refuses and leaves alone.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use nix::mount::MsFlags;
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::netns::dir::Dir;
use crate::netns::testing::{
    Parked, Witness, bind, engine_file, enter, join, mounts_on, name, new_netns, on_thread, same, with_store,
};
use crate::netns::{Netns, NetnsError, PinState, Released, host_ids};

#[test]
fn adopt_pins_a_bind_mounted_namespace_and_twice_is_once() {
    with_store(|store| {
        let ns = new_netns();
        engine_file("/run/cni-1", &ns);
        let opened = Netns::open(Path::new("/run/cni-1")).unwrap();
        let first = store.adopt(&name("a"), &opened, &[]).unwrap();
        let second = store.adopt(&name("a"), &opened, &[]).unwrap();
        assert_eq!((first.id, second.id), (ns.id(), ns.id()));
        assert_eq!(store.state(&name("a")).unwrap(), PinState::Pinned(ns.id()));
        assert_eq!(mounts_on(&store.path(&name("a"))), 1);
    });
}

#[test]
fn a_pin_from_a_proc_path_survives_its_last_task() {
    with_store(|store| {
        let task = Parked::new(CloneFlags::CLONE_NEWNET, || ());
        let ns = Netns::open_proc(&task.proc("ns/net")).unwrap();
        let id = store.adopt(&name("a"), &ns, &[]).unwrap().id;
        let witness = Witness::of(&task.proc("ns/net"));
        drop((task, ns));
        assert!(witness.lives() && same(&store.path(&name("a")), id));
    });
}

#[test]
fn another_namespace_under_the_name_is_not_replaced() {
    with_store(|store| {
        let (ours, other) = (new_netns(), new_netns());
        store.adopt(&name("a"), &ours, &[]).unwrap();
        let error = store.adopt(&name("a"), &other, &[]).unwrap_err();
        assert!(matches!(error, NetnsError::OccupiedBy { by, .. } if by == ours.id()), "{error}");
        assert!(same(&store.path(&name("a")), ours.id()));
    });
}

#[test]
fn the_hosts_namespace_is_refused_and_leaves_nothing() {
    with_store(|store| {
        let own = Netns::current().unwrap();
        let forbidden = host_ids(Path::new("/proc"), None);
        assert!(forbidden.contains(&own.id()));
        let error = store.adopt(&name("a"), &own, &forbidden).unwrap_err();
        assert!(matches!(error, NetnsError::Forbidden { .. }), "{error}");
        assert_eq!(store.state(&name("a")).unwrap(), PinState::Absent);
    });
}

/// Puts each kind of foreign thing at the pin's place and expects adopt and release to refuse and leave it.
fn left_alone(what: &str, put: impl FnOnce(&Path) + Send) {
    with_store(|store| {
        let path = store.path(&name("a"));
        put(&path);
        let before = fs::symlink_metadata(&path).unwrap();
        for error in [
            store.adopt(&name("a"), &new_netns(), &[]).map(drop).unwrap_err(),
            store.release(&name("a")).map(drop).unwrap_err(),
        ] {
            assert!(matches!(error, NetnsError::Foreign { what: found, .. } if found == what), "{error}");
        }
        assert_eq!(store.state(&name("a")).unwrap(), PinState::Foreign(leak(what)));
        let after = fs::symlink_metadata(&path).unwrap();
        assert_eq!((before.dev(), before.ino(), before.size()), (after.dev(), after.ino(), after.size()));
    });
}

fn leak(what: &str) -> &'static str {
    what.to_owned().leak()
}

#[test]
fn a_file_with_content_is_left_alone() {
    left_alone("file with content", |path| fs::write(path, "x").unwrap());
}

#[test]
fn a_directory_is_left_alone() {
    left_alone("directory", |path| fs::create_dir(path).unwrap());
}

#[test]
fn a_symbolic_link_is_left_alone_and_not_followed() {
    left_alone("symbolic link", |path| {
        fs::write("/run/target", "").unwrap();
        symlink("/run/target", path).unwrap();
    });
}

#[test]
fn a_dangling_symbolic_link_is_left_alone() {
    left_alone("symbolic link", |path| symlink("/run/nowhere", path).unwrap());
}

#[test]
fn a_fifo_is_left_alone_without_waiting_for_a_writer() {
    left_alone("fifo", |path| mkfifo(path, Mode::S_IRWXU).unwrap());
}

#[test]
fn a_namespace_of_another_type_is_left_alone() {
    left_alone("namespace of another type", |path| {
        fs::write(path, "").unwrap();
        bind("/proc/thread-self/ns/uts", path, MsFlags::empty());
    });
}

#[test]
fn a_mounted_file_of_another_file_system_is_left_alone() {
    left_alone("regular file", |path| {
        fs::write(path, "").unwrap();
        bind("/proc/version", path, MsFlags::empty());
    });
}

#[test]
fn a_failed_mount_leaves_no_placeholder() {
    with_store(|store| {
        let ns = new_netns();
        // A directory opened in one mount namespace, used in another: mount(2) answers EINVAL there.
        let dir = Dir::open(Path::new("/run/netns")).unwrap().unwrap();
        let error = on_thread(|| {
            enter(CloneFlags::CLONE_NEWNS);
            store.adopt_below(&dir, &name("a"), &ns).unwrap_err()
        });
        assert!(matches!(error, NetnsError::Io { .. }), "{error}");
        assert_eq!(store.state(&name("a")).unwrap(), PinState::Absent);
    });
}

#[test]
fn a_mount_that_nobody_finds_is_undone() {
    with_store(|store| {
        let dir = Dir::open(Path::new("/run/netns")).unwrap().unwrap();
        bind("/run/netns", "/run/netns", MsFlags::empty()); // covers `dir`
        let error = store.adopt_below(&dir, &name("a"), &new_netns()).unwrap_err();
        assert!(matches!(error, NetnsError::Covered { .. }), "{error}");
        assert_eq!(store.release(&name("a")).unwrap(), Released::WasGone);
    });
}

#[test]
fn create_makes_a_fresh_namespace_with_loopback_up() {
    with_store(|store| {
        let pin = store.create(&name("a")).unwrap();
        assert_ne!(pin.id, Netns::current().unwrap().id());
        let error = store.create(&name("a")).unwrap_err();
        assert!(matches!(error, NetnsError::OccupiedBy { .. }), "{error}");
        let ns = Netns::open(&store.path(&name("a"))).unwrap();
        let up = on_thread(|| {
            join(&ns);
            // Refused with an error other than ENETUNREACH only where `lo` is up.
            std::net::TcpStream::connect("127.0.0.1:9").unwrap_err().kind()
        });
        assert_eq!(up, std::io::ErrorKind::ConnectionRefused);
    });
}
