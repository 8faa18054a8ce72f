//! The directory as a shared mount, and what iproute2 does to it afterwards.

use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::thread;

use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use crate::netns::testing::{bind, engine_file, enter, mounts_on, name, new_netns, propagation, same, with_store};
use crate::netns::{Netns, NetnsError, PinState, Released, Sharing};
use crate::sys::fd_path;

const DIR: &str = "/run/netns";
const LOCK: &str = "/run/lock";
const ENGINE: &str = "/run/netns/cni-1";

fn ip(words: &[&str]) {
    assert!(Command::new("ip").args(words).status().unwrap().success(), "ip {words:?}");
}

#[test]
fn the_second_time_stacks_nothing() {
    with_store(|store| {
        assert!(matches!(store.ensure_shared(Path::new(LOCK)).unwrap(), Sharing::Made));
        assert!(matches!(store.ensure_shared(Path::new(LOCK)).unwrap(), Sharing::Already));
        assert_eq!(mounts_on(Path::new(DIR)), 1);
    });
}

#[test]
fn many_at_once_make_one_mount() {
    with_store(|store| {
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| store.ensure_shared(Path::new(LOCK)).unwrap());
            }
        });
        assert_eq!(mounts_on(Path::new(DIR)), 1);
    });
}

#[test]
fn a_lock_held_by_others_is_waited_for_a_second_at_most() {
    with_store(|store| {
        let held = std::fs::File::create(LOCK).unwrap();
        held.lock().unwrap();
        let error = store.ensure_shared(Path::new(LOCK)).unwrap_err();
        assert!(matches!(error, NetnsError::Busy { .. }), "{error}");
    });
}

#[test]
fn after_it_ip_netns_add_buries_no_pin() {
    with_store(|store| {
        store.ensure_shared(Path::new(LOCK)).unwrap();
        let pin = store.create(&name("a")).unwrap();
        ip(&["netns", "add", "other"]);
        assert!(same(&store.path(&name("a")), pin.id));
        assert_eq!(mounts_on(&store.path(&name("a"))), 1);
        assert_eq!(store.release(&name("a")).unwrap(), Released::Yes);
        ip(&["netns", "del", "other"]);
    });
}

/// The same below a directory that is already shared, as on hosts with systemd.
#[test]
fn below_a_shared_parent_pins_come_and_go_once() {
    with_store(|store| {
        propagation("/run", MsFlags::MS_SHARED);
        let before = store.create(&name("before")).unwrap();
        ip(&["netns", "add", "other"]);
        assert!(same(&store.path(&name("before")), before.id));
        store.create(&name("after")).unwrap();
        for id in ["before", "after"] {
            assert_eq!(store.release(&name(id)).unwrap(), Released::Yes);
            assert_eq!(store.state(&name(id)).unwrap(), PinState::Absent);
            assert_eq!(mounts_on(&store.path(&name(id))), 0);
        }
    });
}

/// An engine's file that was there before must still be removable by the engine.
#[test]
fn what_was_mounted_before_can_still_be_removed() {
    with_store(|store| {
        let (engine, ours) = (new_netns(), new_netns());
        engine_file(ENGINE, &engine);
        store.adopt(&name("a"), &ours, &[]).unwrap();
        assert!(matches!(store.ensure_shared(Path::new(LOCK)).unwrap(), Sharing::Made));
        assert!(same(&store.path(&name("a")), ours.id()));
        ip(&["netns", "del", "cni-1"]);
        assert_eq!(store.release(&name("a")).unwrap(), Released::Yes);
        assert_eq!(mounts_on(Path::new(ENGINE)), 0);
    });
}

/// What a process leaves that is killed between its bind and its uncovering.
fn leave_covered(engine: &Netns) {
    engine_file(ENGINE, engine);
    std::fs::write(LOCK, "uncovering\n").unwrap();
    bind(DIR, DIR, MsFlags::MS_REC);
    assert_eq!(mounts_on(Path::new(ENGINE)), 2);
}

#[test]
fn what_a_killed_process_left_covered_is_uncovered() {
    with_store(|store| {
        let engine = new_netns();
        leave_covered(&engine);
        for _ in 0..2 {
            store.finish_sharing(Path::new(LOCK)).unwrap();
            assert_eq!(mounts_on(Path::new(ENGINE)), 1);
            assert!(same(Path::new(ENGINE), engine.id()));
            assert_eq!(std::fs::metadata(LOCK).unwrap().len(), 0);
        }
        assert_eq!(mounts_on(Path::new(DIR)), 1);
        ip(&["netns", "del", "cni-1"]);
        assert!(!Path::new(ENGINE).exists());
    });
}

#[test]
fn what_one_has_left_that_was_killed_before_it_covered_anything_stays() {
    with_store(|store| {
        store.finish_sharing(Path::new(LOCK)).unwrap();
        assert!(!Path::new(LOCK).exists(), "nothing is made to find out that there is nothing to do");
        let engine = new_netns();
        engine_file(ENGINE, &engine);
        std::fs::write(LOCK, "uncovering\n").unwrap();
        store.finish_sharing(Path::new(LOCK)).unwrap();
        assert!(same(Path::new(ENGINE), engine.id()));
        assert!(matches!(store.ensure_shared(Path::new(LOCK)).unwrap(), Sharing::Made));
        assert!(same(Path::new(ENGINE), engine.id()));
        assert_eq!(std::fs::metadata(LOCK).unwrap().len(), 0);
    });
}

/// `ip netns add` came first and `ensure_shared` was never called: the pin has a copy below the visible one.
#[test]
fn a_buried_pin_is_found_and_released() {
    with_store(|store| {
        let pin = store.create(&name("a")).unwrap();
        ip(&["netns", "add", "other"]);
        assert_eq!(mounts_on(&store.path(&name("a"))), 2);
        assert!(same(&store.path(&name("a")), pin.id));
        assert_eq!(store.release(&name("a")).unwrap(), Released::Yes);
        assert_eq!(mounts_on(&store.path(&name("a"))), 0);
        assert_eq!(store.state(&name("a")).unwrap(), PinState::Absent);
    });
}

#[test]
fn a_mount_in_a_peer_namespace_is_released_from_here() {
    with_store(|store| {
        store.ensure_shared(Path::new(LOCK)).unwrap();
        let ns = new_netns();
        thread::scope(|scope| {
            let work = || {
                enter(CloneFlags::CLONE_NEWNS);
                store.adopt(&name("a"), &ns, &[]).unwrap();
            };
            scope.spawn(work).join().unwrap();
        });
        assert!(same(&store.path(&name("a")), ns.id()), "propagated");
        assert_eq!(store.adopt(&name("a"), &ns, &[]).unwrap().id, ns.id());
        bind(fd_path(ns.as_fd()), store.path(&name("a")), MsFlags::empty());
        assert_eq!(store.release(&name("a")).unwrap(), Released::Yes);
    });
}
