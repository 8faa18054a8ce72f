//! A kill at any point: every state that one can leave, made by hand, then met at random with a real process.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::mount::MsFlags;

use super::child::{Child, ENGINE_FILE};
use crate::netns::testing::{bind, engine_file, mounts_on, name, new_netns, same, with_store};
use crate::netns::{Netns, PinState, Released, Store};

/// The states between the steps of adopt and of release, in order.
#[derive(Debug, Clone, Copy)]
enum Left {
    Nothing,
    Placeholder,
    Mounted,
    MountedTwice,
}

fn leave(left: Left, path: &Path) {
    let mounts = match left {
        Left::Nothing => return,
        Left::Placeholder => 0,
        Left::Mounted => 1,
        Left::MountedTwice => 2,
    };
    fs::write(path, "").unwrap();
    for _ in 0..mounts {
        bind(ENGINE_FILE, path, MsFlags::empty());
    }
}

fn each_state(check: impl Fn(&Store, &Netns) + Sync) {
    for left in [Left::Nothing, Left::Placeholder, Left::Mounted, Left::MountedTwice] {
        with_store(|store| {
            let ns = new_netns();
            engine_file(ENGINE_FILE, &ns);
            leave(left, &store.path(&name("a")));
            check(&store, &ns);
        });
    }
}

#[test]
fn adopt_finishes_every_state() {
    each_state(|store, ns| {
        assert_eq!(store.adopt(&name("a"), ns, &[]).unwrap().id, ns.id());
        assert!(same(&store.path(&name("a")), ns.id()));
        assert_eq!(store.release(&name("a")).unwrap(), Released::Yes);
        assert_eq!(mounts_on(&store.path(&name("a"))), 0);
    });
}

#[test]
fn release_finishes_every_state() {
    each_state(|store, _| {
        store.release(&name("a")).unwrap();
        assert_eq!(store.state(&name("a")).unwrap(), PinState::Absent);
        assert_eq!(mounts_on(&store.path(&name("a"))), 0);
        assert!(store.list().unwrap().pins.is_empty());
    });
}

#[test]
fn a_pin_whose_mount_was_taken_away_is_healed() {
    with_store(|store| {
        let ns = new_netns();
        store.adopt(&name("a"), &ns, &[]).unwrap();
        let pinned = Netns::open(&store.path(&name("a"))).unwrap();
        crate::sys::detach(std::os::fd::AsFd::as_fd(&pinned)).unwrap();
        assert_eq!(store.state(&name("a")).unwrap(), PinState::Placeholder);
        assert_eq!(store.adopt(&name("a"), &ns, &[]).unwrap().id, ns.id());
        assert_eq!(mounts_on(&store.path(&name("a"))), 1);
    });
}

#[test]
fn a_process_killed_at_any_moment_leaves_what_is_finished() {
    with_store(|store| {
        for round in 0..40_u64 {
            let child = Child::start("1000000");
            let end = Instant::now() + Duration::from_micros(round * 7919 % 1000);
            while Instant::now() < end {
                std::hint::spin_loop();
            }
            child.kill();
            let ns = Netns::open(Path::new(ENGINE_FILE)).unwrap();
            assert!(!matches!(store.state(&name("a")).unwrap(), PinState::Foreign(_)));
            if round % 2 == 0 {
                store.adopt(&name("a"), &ns, &[]).unwrap();
                assert!(same(&store.path(&name("a")), ns.id()));
            }
            store.release(&name("a")).unwrap();
            assert_eq!(mounts_on(&store.path(&name("a"))), 0);
            assert_eq!(store.state(&name("a")).unwrap(), PinState::Absent);
        }
    });
}
