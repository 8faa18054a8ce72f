//! Reach, by text and against mount namespaces of other tasks. In each of the latter the answer is compared with what
//! a mount really does.

use std::path::Path;

use nix::mount::MsFlags;
use nix::sched::CloneFlags;

use super::{Reach, Way, judge};
use crate::netns::Store;
use crate::netns::testing::{Parked, container_with_only, name, propagation, with_store};

const DIR: &str = "/run/netns";
const PROC: &str = "/proc";
const HOST: &[u8] = b"1 0 8:1 / / rw shared:1 - ext4 a rw\n2 1 0:24 / /run rw shared:5 - tmpfs a rw\n";

fn judged(own: &[u8], engine: Option<&[u8]>) -> Reach {
    judge(Way::There, own, engine, Path::new(DIR))
}

fn no(reach: Reach) -> String {
    match reach {
        Reach::No(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_container_with_bidirectional_propagation_reaches_the_host() {
    let own = b"9 8 0:50 / / rw - overlay a rw\n12 9 0:24 /netns /run/netns rw shared:5 - tmpfs a rw\n";
    assert_eq!(judged(own, Some(HOST)), Reach::Shared);
    assert_eq!(judged(own, None), Reach::SharedUnproven);
}

#[test]
fn a_container_that_only_receives_does_not() {
    let own = b"9 8 0:50 / / rw - overlay a rw\n12 9 0:24 /netns /run/netns rw master:5 - tmpfs a rw\n";
    assert_eq!(no(judged(own, Some(HOST))), "the mount at /run/netns, which /run/netns is on, is not shared");
    no(judged(own, None));
}

#[test]
fn a_container_that_receives_or_shares_sees_what_the_engine_mounts() {
    let seen = |own: &[u8], engine| judge(Way::Here, own, engine, Path::new(DIR));
    let slave = b"9 8 0:50 / / rw - overlay a rw\n12 9 0:24 /netns /run/netns rw master:5 - tmpfs a rw\n";
    let peer = b"9 8 0:50 / / rw - overlay a rw\n12 9 0:24 /netns /run/netns rw shared:5 - tmpfs a rw\n";
    let both = b"9 8 0:50 / / rw - overlay a rw\n12 9 0:24 /netns /run/netns rw shared:77 master:5 - tmpfs a rw\n";
    for own in [&slave[..], peer, both] {
        assert_eq!(seen(own, Some(HOST)), Reach::Receives);
        assert_eq!(seen(own, None), Reach::ReceivesUnproven);
    }
    let private = b"9 8 0:50 / / rw - overlay a rw\n12 9 0:24 /netns /run/netns rw - tmpfs a rw\n";
    assert_eq!(no(seen(private, None)), "the mount at /run/netns, which /run/netns is on, receives no mounts");
    let other = b"9 8 0:50 / / rw - overlay a rw\n12 9 0:24 /netns /run/netns rw master:77 - tmpfs a rw\n";
    assert_eq!(no(seen(other, Some(HOST))), "the engine's mount at /run does not give to peer group 77");
}

#[test]
fn an_engine_that_receives_from_us_is_reached() {
    let engine = b"1 0 8:1 / / rw master:1 - ext4 a rw\n2 1 0:24 / /run rw master:5 - tmpfs a rw\n";
    assert_eq!(judged(HOST, Some(engine)), Reach::Shared);
}

#[test]
fn a_shared_mount_of_ones_own_making_reaches_nobody() {
    let own = b"9 8 0:50 / / rw - overlay a rw\n12 9 0:24 /netns /run/netns rw shared:77 - tmpfs a rw\n";
    assert_eq!(no(judged(own, Some(HOST))), "the engine's mount at /run does not receive from peer group 77");
}

#[test]
fn another_directory_under_the_same_path_is_told() {
    let device = b"12 1 0:99 / /run/netns rw shared:5 - tmpfs a rw\n1 0 8:1 / / rw - ext4 a rw\n";
    let place = b"12 1 0:24 /else /run/netns rw shared:5 - tmpfs a rw\n1 0 8:1 / / rw - ext4 a rw\n";
    for own in [&device[..], place] {
        assert_eq!(no(judged(own, Some(HOST))), "/run/netns is another directory in the engine's mount namespace");
    }
    no(judged(HOST, Some(b"")));
    no(judged(b"", None));
}

/// Makes a pin, and says whether the engine has got it at the same path.
fn arrives(store: &Store, engine: &Parked) -> bool {
    store.create(&name("a")).unwrap();
    let file = engine.proc("root").join("run/netns/berth-a");
    let arrived = crate::netns::Netns::open(&file).is_ok();
    store.release(&name("a")).unwrap();
    arrived
}

fn engine(flags: MsFlags) -> Parked {
    Parked::new(CloneFlags::CLONE_NEWNS, move || propagation("/", flags))
}

#[test]
fn the_engine_in_the_same_mount_namespace() {
    with_store(|store| {
        let engine = Parked::new(CloneFlags::CLONE_NEWNET, || ());
        assert_eq!(store.reach(Way::There, Some(engine.tid), Path::new(PROC)), Reach::Same);
        assert!(arrives(&store, &engine));
    });
}

#[test]
fn the_engine_in_a_peer_a_slave_and_a_private_namespace() {
    with_store(|store| {
        propagation("/run", MsFlags::MS_SHARED);
        for (flags, reached) in [(MsFlags::MS_SHARED, true), (MsFlags::MS_SLAVE, true), (MsFlags::MS_PRIVATE, false)] {
            let engine = engine(flags);
            let reach = store.reach(Way::There, Some(engine.tid), Path::new(PROC));
            assert_eq!(reach == Reach::Shared, reached, "{reach}");
            assert_eq!(arrives(&store, &engine), reached);
        }
        assert_eq!(store.reach(Way::There, None, Path::new(PROC)), Reach::SharedUnproven);
    });
}

#[test]
fn a_private_mount_reaches_nobody() {
    with_store(|store| {
        let engine = engine(MsFlags::MS_SHARED);
        no(store.reach(Way::There, Some(engine.tid), Path::new(PROC)));
        assert!(!arrives(&store, &engine));
        no(store.reach(Way::There, None, Path::new(PROC)));
    });
}

/// As a DaemonSet: the directory alone, bound into a mount namespace of its own.
#[test]
fn we_in_a_container() {
    for (flags, reached) in [(MsFlags::MS_SHARED, true), (MsFlags::MS_SLAVE, false), (MsFlags::MS_PRIVATE, false)] {
        with_store(|store| {
            propagation("/run", MsFlags::MS_SHARED);
            let engine = engine(MsFlags::MS_SHARED);
            container_with_only("/run/netns");
            propagation("/run/netns", flags);
            let reach = store.reach(Way::There, Some(engine.tid), Path::new(PROC));
            assert_eq!(reach == Reach::Shared, reached, "{flags:?}: {reach}");
            assert_eq!(arrives(&store, &engine), reached, "{flags:?}");
        });
    }
}

#[test]
fn an_engine_that_cannot_be_read_is_told() {
    with_store(|store| {
        let why = no(store.reach(Way::There, Some(4_194_304), Path::new(PROC)));
        assert!(why.starts_with("/proc/4194304/ns/mnt cannot be read: "), "{why}");
    });
}
