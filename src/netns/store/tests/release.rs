//! What release undoes, however it was made.

use std::fs;

use nix::mount::MsFlags;
use std::os::fd::AsFd;

use crate::netns::testing::{Parked, Witness, bind, mounts_on, name, new_netns, with_store};
use crate::netns::{Netns, NetnsError, PinState, Released};
use crate::sys::fd_path;

#[test]
fn release_frees_name_and_namespace_and_twice_is_ok() {
    with_store(|store| {
        let ns = new_netns();
        store.adopt(&name("a"), &ns, &[]).unwrap();
        let witness = Witness::of(&store.path(&name("a")));
        drop(ns);
        assert!(witness.lives(), "the pin keeps it");
        assert_eq!(store.release(&name("a")).unwrap(), Released::Yes);
        assert!(!store.path(&name("a")).exists());
        assert_eq!(store.release(&name("a")).unwrap(), Released::WasGone);
        witness.wait_for_death();
    });
}

#[test]
fn release_leaves_the_namespace_to_who_holds_it() {
    with_store(|store| {
        let ns = new_netns();
        store.adopt(&name("a"), &ns, &[]).unwrap();
        store.release(&name("a")).unwrap();
        let again = Netns::open(&fd_path(ns.as_fd())).unwrap_err(); // a magic link is a link
        assert!(again.to_string().contains("symbolic link"));
        assert_eq!(Netns::open_proc(&fd_path(ns.as_fd())).unwrap().id(), ns.id());
    });
}

#[test]
fn stacked_mounts_all_go() {
    with_store(|store| {
        let (ns, other) = (new_netns(), new_netns());
        store.adopt(&name("a"), &ns, &[]).unwrap();
        let path = store.path(&name("a"));
        for ns in [&ns, &ns, &other] {
            bind(fd_path(ns.as_fd()), &path, MsFlags::empty());
        }
        assert_eq!(mounts_on(&path), 4);
        assert_eq!(store.release(&name("a")).unwrap(), Released::Yes);
        assert_eq!(mounts_on(&path), 0);
        assert!(!path.exists());
    });
}

#[test]
fn a_placeholder_goes() {
    with_store(|store| {
        fs::write(store.path(&name("a")), "").unwrap();
        assert_eq!(store.state(&name("a")).unwrap(), PinState::Placeholder);
        assert_eq!(store.release(&name("a")).unwrap(), Released::Yes);
        assert_eq!(store.state(&name("a")).unwrap(), PinState::Absent);
    });
}

#[test]
fn release_without_the_directory_is_ok() {
    with_store(|store| {
        fs::remove_dir("/run/netns").unwrap();
        assert_eq!(store.release(&name("a")).unwrap(), Released::WasGone);
        assert_eq!(store.state(&name("a")).unwrap(), PinState::Absent);
        assert!(store.list().unwrap().pins.is_empty());
    });
}

#[test]
fn a_pin_that_others_have_open_goes_at_once() {
    with_store(|store| {
        store.create(&name("a")).unwrap();
        let held = Netns::open(&store.path(&name("a"))).unwrap();
        assert_eq!(store.release(&name("a")).unwrap(), Released::Yes);
        drop(held);
    });
}

#[test]
fn a_pin_copied_into_another_mount_namespace_does_not_stop_release() {
    with_store(|store| {
        store.create(&name("a")).unwrap();
        let copy = Parked::new(nix::sched::CloneFlags::CLONE_NEWNS, || ()); // private: keeps its copy
        assert_eq!(store.release(&name("a")).unwrap(), Released::Yes);
        assert!(!copy.proc("root/run/netns/berth-a").exists());
    });
}

#[test]
fn a_foreign_mount_below_the_pin_is_not_unmounted() {
    with_store(|store| {
        let path = store.path(&name("a"));
        fs::write(&path, "").unwrap();
        bind("/proc/version", &path, MsFlags::empty());
        bind(fd_path(new_netns().as_fd()), &path, MsFlags::empty());
        let error = store.release(&name("a")).unwrap_err();
        assert!(matches!(error, NetnsError::Foreign { .. }), "{error}");
        assert_eq!(mounts_on(&path), 1);
        assert!(!fs::read(&path).unwrap().is_empty());
    });
}

#[test]
fn an_empty_foreign_file_mounted_on_the_placeholder_stays_mounted() {
    with_store(|store| {
        let path = store.path(&name("a"));
        fs::write(&path, "").unwrap();
        fs::write("/run/empty", "").unwrap();
        bind("/run/empty", &path, MsFlags::empty()); // same file system: looks like a placeholder
        let error = store.release(&name("a")).unwrap_err();
        assert!(
            matches!(&error, NetnsError::Io { source, .. }
            if source.kind() == std::io::ErrorKind::ResourceBusy),
            "{error}"
        );
        assert_eq!(mounts_on(&path), 1);
    });
}
