//! Pins without records, records without pins, and other berths at work.

use super::*;
use crate::lifecycle::Tasks;

#[test]
fn a_pin_without_a_record_goes_only_when_nobody_has_the_namespace() {
    isolated(|| {
        let mut node = Node::new();
        node.keeper.ledger.remove(&node.name).expect("the state was lost");
        assert_eq!(node.settle(), Some(Outcome::Kept(Why::EngineHoldsIt)));
        node.engine_lets_go();
        assert_eq!(node.settle_as(&BLIND(), Mode::Apply), Some(Outcome::Kept(Why::Unobservable)));
        assert!(node.held());
        assert_eq!(node.settle(), Some(Outcome::Released(Why::GoneAndEmpty)));
        node.nothing_is_left();
    });
}

#[test]
fn a_pin_without_a_record_stays_while_it_is_mounted_anywhere_else() {
    isolated(|| {
        let mut node = Node::new();
        node.keeper.ledger.remove(&node.name).expect("the state was lost");
        fs::create_dir("/run/elsewhere").expect("another directory of an engine");
        engine_file("/run/elsewhere/x", &Netns::open(&node.engine).expect("open"));
        node.engine_lets_go();
        assert_eq!(node.settle(), Some(Outcome::Kept(Why::EngineHoldsIt)));
        assert!(node.held());
    });
}

#[test]
fn what_has_become_another_pin_since_it_was_listed_without_a_record_is_left() {
    isolated(|| {
        let mut node = Node::new();
        node.keeper.ledger.remove(&node.name).expect("the state was lost");
        // It was a placeholder, or held another namespace, when it was listed.
        let other = NetnsId { ino: node.id.ino + 1, ..node.id };
        for id in [None, Some(other)] {
            let orphan = super::super::settle::Orphan { name: node.name.clone(), id, held: false };
            let error = node.keeper.settle_orphan(&orphan, Tasks::None, Mode::Apply).expect_err("changed");
            assert!(error.is_busy() && node.held(), "{error}");
        }
        node.engine_lets_go();
        assert_eq!(node.settle(), Some(Outcome::Released(Why::GoneAndEmpty)));
    });
}

#[test]
fn what_may_stand_where_it_cannot_be_seen_is_neither_healed_nor_taken_for_an_orphan() {
    isolated(|| {
        let mut node = Node::new();
        let elsewhere = Sight { all: true, mounts: false, ..BLIND() };
        node.keeper.store.release(&node.name).expect("not seen from here");
        assert_eq!(node.settle_as(&elsewhere, Mode::Apply), Some(Outcome::Kept(Why::Unobservable)));
        assert!(!node.held());
        node.keeper.ledger.remove(&node.name).expect("another state directory");
        fs::write(node.keeper.store.path(&node.name), "").expect("what a pin looks like where it is not mounted");
        assert_eq!(node.settle_as(&elsewhere, Mode::Apply), Some(Outcome::Kept(Why::Unobservable)));
        assert!(node.keeper.store.path(&node.name).exists());
    });
}

#[test]
fn a_pin_that_another_berth_released_is_reported_as_absent() {
    isolated(|| {
        let node = Node::new();
        node.keeper.store.release(&node.name).expect("release");
        node.keeper.ledger.remove(&node.name).expect("remove");
        let names = [node.name.clone()];
        let settlement = node.keeper.settle(Which::These(&names), &BLIND(), Mode::Apply, &mut HashSet::new());
        assert_eq!((settlement.absent.as_slice(), settlement.settled.len()), (&names[..], 0));
    });
}

#[test]
fn only_pins_whose_end_cannot_be_seen_are_missed_in_the_full_list() {
    isolated(|| {
        let node = Node::new();
        let missing = |pods: &[PinName]| {
            let pods = pods.iter().cloned().collect();
            node.keeper.unobservable_and_absent(&scope(), &pods, &HashSet::new()).expect("list")
        };
        assert!(missing(&[]).is_empty(), "the engine's file says that it lives");
        node.change(|record| record.source.parent.ino += 1);
        node.engine_lets_go();
        let this = std::slice::from_ref(&node.name);
        assert_eq!(missing(&[]), this);
        assert!(missing(this).is_empty());
        let other = Scope::cri(Engine::CriO);
        assert!(
            node.keeper.unobservable_and_absent(&other, &HashSet::new(), &HashSet::new()).expect("list").is_empty()
        );
    });
}

#[test]
fn a_pin_whose_record_is_a_newer_berths_is_left_alone() {
    isolated(|| {
        let mut node = Node::new();
        fs::write("/run/berth/sandboxes/berth-s1.json", br#"{"version":9}"#).expect("newer");
        node.engine_lets_go();
        let sight = Sight { all: true, ..BLIND() };
        let settlement = node.keeper.settle(Which::All, &sight, Mode::Apply, &mut node.seen);
        assert_eq!((settlement.settled.len(), settlement.errors.len()), (0, 1));
        assert!(node.held());
    });
}

#[test]
fn what_another_berth_is_at_is_left_for_later() {
    isolated(|| {
        let mut node = Node::new();
        node.engine_lets_go();
        let lock = node.keeper.ledger.lock(&node.name, Duration::ZERO).expect("lock");
        let sight = Sight { all: true, ..BLIND() };
        let settlement = node.keeper.settle(Which::All, &sight, Mode::Apply, &mut node.seen);
        assert_eq!(settlement.busy, [node.name.clone()]);
        assert!(node.pin(&[]).is_err() && node.held());
        drop(lock);
        assert_eq!(node.settle(), Some(Outcome::Released(Why::GoneAndEmpty)));
    });
}
