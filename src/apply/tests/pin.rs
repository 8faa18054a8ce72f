//! Pinning, and what it takes back.

use super::*;
use crate::decide::facts::Door;
use crate::identity::Role;

#[test]
fn pinning_twice_changes_nothing_the_second_time() {
    isolated(|| {
        let node = Node::new();
        let before = node.record();
        assert_eq!(node.pin(&[]).expect("again"), Pinned::Already);
        assert_eq!(node.record(), before);
        assert!(node.held());
    });
}

#[test]
fn the_hosts_namespace_is_refused_and_leaves_no_record() {
    isolated(|| {
        let mut node = Node::new();
        node.engine_lets_go();
        assert_eq!(node.settle(), Some(Outcome::Released(Why::GoneAndEmpty)));
        let host = new_netns();
        engine_file(&node.engine, &host);
        let error = node.pin(&[host.id()]).expect_err("forbidden").to_string();
        assert!(error.contains("is the host's own"), "{error}");
        assert_eq!(node.record(), None);
        assert_eq!(node.keeper.store.state(&node.name).expect("state"), PinState::Absent);
    });
}

#[test]
fn a_pin_that_cannot_be_made_takes_its_record_back() {
    isolated(|| {
        let mut node = Node::new();
        node.engine_lets_go();
        node.settle();
        engine_file(&node.engine, &new_netns());
        fs::create_dir("/run/netns/berth-s1").expect("something foreign in its place");
        let error = node.pin(&[]).expect_err("occupied").to_string();
        assert!(error.contains("/run/netns/berth-s1") && error.contains("directory"), "{error}");
        assert_eq!(node.record(), None);
        assert!(Path::new("/run/netns/berth-s1").is_dir(), "what is not ours stays");
    });
}

#[test]
fn a_pod_that_is_pinned_again_is_not_removed_any_more() {
    isolated(|| {
        let node = Node::new();
        node.keeper.mark_removed(&node.name, Duration::ZERO).expect("mark");
        assert!(node.record().expect("record").removed.is_some());
        assert_eq!(node.pin(&[]).expect("again"), Pinned::Already);
        assert_eq!(node.record().expect("record").removed, None);
    });
}

#[test]
fn a_pin_of_another_namespace_is_found_before_its_record_is_overwritten() {
    isolated(|| {
        let node = Node::new();
        node.engine_lets_go();
        engine_file(&node.engine, &new_netns());
        let before = node.record();
        let error = node.pin(&[]).expect_err("occupied").to_string();
        assert!(error.contains("is taken by network namespace"), "{error}");
        assert_eq!(node.record(), before);
    });
}

#[test]
fn a_pin_of_another_namespace_whose_record_was_lost_is_given_none_that_is_not_its_own() {
    isolated(|| {
        let mut node = Node::new();
        node.keeper.ledger.remove(&node.name).expect("as an operator does with a damaged one");
        node.engine_lets_go();
        engine_file(&node.engine, &new_netns());
        let error = node.pin(&[]).expect_err("occupied").to_string();
        assert!(error.contains("is taken by network namespace"), "{error}");
        assert_eq!(node.record(), None);
        assert_eq!(node.settle(), Some(Outcome::Released(Why::GoneAndEmpty)));
        assert_eq!(node.pin(&[]).expect("its place is free"), Pinned::Now);
    });
}

#[test]
fn a_further_door_is_noted_once_and_tells_the_handler_that_the_first_did_not_know() {
    isolated(|| {
        let node = Node::new();
        let before = node.record().expect("record");
        assert_eq!((before.doors(), before.handler.as_str()), (vec!["runtime"], ""));
        for _ in 0..2 {
            assert_eq!(node.pin_by("nri", "kata", &[]).expect("again"), Pinned::Already);
            assert_eq!(node.pin(&[]).expect("again"), Pinned::Already);
        }
        let after = node.record().expect("record");
        assert_eq!(
            (after.doors(), after.handler.as_str(), after.since),
            (vec!["runtime", "nri"], "kata", before.since)
        );
    });
}

#[test]
fn a_door_that_finds_the_pin_standing_is_noted_and_nothing_depends_on_it() {
    isolated(|| {
        let node = Node::new();
        for _ in 0..2 {
            node.keeper.mark_door(&node.name, Door::Shim, Role::Sandbox);
            assert_eq!(node.record().expect("record").doors(), ["runtime", "shim"]);
        }
        node.keeper.mark_door(&node.name, Door::Runtime, Role::Member);
        assert!(!node.record().expect("record").members);
        node.keeper.mark_door(&node.name, Door::Shim, Role::Member);
        node.keeper.mark_door(&node.name, Door::Shim, Role::Sandbox);
        assert!(node.record().expect("record").members);
        let held = node.keeper.ledger.lock(&node.name, Duration::ZERO).expect("lock");
        node.keeper.mark_door(&node.name, Door::Nri, Role::Member);
        assert_eq!(node.record().expect("record").doors(), ["runtime", "shim"], "somebody else is at it");
        held.remove().expect("unlock");
        node.keeper.ledger.remove(&node.name).expect("remove");
        node.keeper.mark_door(&node.name, Door::Nri, Role::Member);
        assert_eq!(node.record(), None);
        assert!(!Path::new("/run/berth/locks/berth-s1").exists());
    });
}
