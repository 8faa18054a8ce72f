//! Several at once on one name. A flock belongs to the open file, so threads contend as processes do.

use std::sync::Barrier;
use std::thread;

use super::child::Child;
use crate::netns::testing::{mounts_on, name, new_netns, same, with_store};
use crate::netns::{NetnsError, PinState, Store};

const ROUNDS: usize = 200;

/// Runs both at the same moment.
fn together<A: Send, B: Send>(a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    let start = Barrier::new(2);
    thread::scope(|scope| {
        let a = scope.spawn(|| {
            start.wait();
            a()
        });
        start.wait();
        let b = b();
        (a.join().unwrap(), b)
    })
}

#[test]
fn two_adopters_of_one_namespace_make_one_mount() {
    with_store(|store| {
        let ns = new_netns();
        for _ in 0..ROUNDS {
            let adopt = || store.adopt(&name("a"), &ns, &[]).unwrap();
            together(adopt, adopt);
            assert_eq!(mounts_on(&store.path(&name("a"))), 1);
            store.release(&name("a")).unwrap();
        }
    });
}

#[test]
fn of_two_adopters_of_different_namespaces_one_is_refused() {
    with_store(|store| {
        let (ours, theirs) = (new_netns(), new_netns());
        for _ in 0..ROUNDS {
            let (a, b) = together(|| store.adopt(&name("a"), &ours, &[]), || store.adopt(&name("a"), &theirs, &[]));
            let (winner, loser) = if a.is_ok() { (a, b) } else { (b, a) };
            let winner = winner.unwrap().id;
            let loser = loser.unwrap_err();
            assert!(matches!(loser, NetnsError::OccupiedBy { by, .. } if by == winner), "{loser}");
            assert!(same(&store.path(&name("a")), winner));
            assert_eq!(mounts_on(&store.path(&name("a"))), 1);
            store.release(&name("a")).unwrap();
        }
    });
}

#[test]
fn adopt_against_release_ends_in_one_of_both() {
    with_store(|store| {
        let ns = new_netns();
        for _ in 0..ROUNDS {
            together(|| store.adopt(&name("a"), &ns, &[]).unwrap(), || store.release(&name("a")).unwrap());
            let state = store.state(&name("a")).unwrap();
            assert!(matches!(state, PinState::Absent | PinState::Pinned(_)), "{state:?}");
            store.release(&name("a")).unwrap();
            assert_eq!(mounts_on(&store.path(&name("a"))), 0);
        }
    });
}

#[test]
fn two_releases_are_both_ok() {
    with_store(|store| {
        let ns = new_netns();
        for _ in 0..ROUNDS {
            store.adopt(&name("a"), &ns, &[]).unwrap();
            let release = || store.release(&name("a")).unwrap();
            together(release, release);
            assert_eq!(store.state(&name("a")).unwrap(), PinState::Absent);
        }
    });
}

#[test]
fn processes_that_adopt_and_release_at_once_all_succeed() {
    with_store(|store: Store| {
        let children: Vec<_> = (0..3).map(|_| Child::start("200")).collect();
        for child in children {
            child.finish();
        }
        assert_eq!(store.release(&name("a")).map(|_| mounts_on(&store.path(&name("a")))).unwrap(), 0);
    });
}
