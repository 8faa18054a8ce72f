//! The lifecycle rule, on what is really so.

use super::*;
use crate::ledger::record::{FileId, Source};
use crate::lifecycle::{Facts, Pin, Tasks};
use std::os::unix::fs::MetadataExt;

#[test]
fn it_stays_while_the_engine_holds_it_even_after_a_removal_was_told() {
    isolated(|| {
        let mut node = Node::new();
        node.keeper.mark_removed(&node.name, Duration::ZERO).expect("mark");
        node.keeper.mark_removed(&node.name, Duration::ZERO).expect("mark again");
        node.change(|record| record.removed = Some(ago(DRAIN_LIMIT)));
        assert_eq!(node.settle(), Some(Outcome::Kept(Why::EngineHoldsIt)));
        assert!(node.held());
    });
}

#[test]
fn it_goes_when_the_file_is_gone_though_nobody_told_and_can_be_settled_again() {
    isolated(|| {
        let mut node = Node::new();
        assert_eq!(node.settle(), Some(Outcome::Kept(Why::EngineHoldsIt)));
        node.engine_lets_go();
        assert_eq!(node.settle(), Some(Outcome::Released(Why::GoneAndEmpty)));
        node.nothing_is_left();
        assert_eq!(node.settle(), None);
    });
}

#[test]
fn a_task_in_it_keeps_it_and_its_end_releases_it() {
    isolated(|| {
        let mut node = Node::new();
        let path = node.keeper.store.path(&node.name);
        let task = Parked::new(CloneFlags::empty(), move || {
            let netns = Netns::open(&path).expect("open");
            crate::netns::testing::join(&netns);
        });
        node.engine_lets_go();
        assert_eq!(node.settle(), Some(Outcome::Draining(Why::TasksLeft)));
        let since = node.record().expect("record").gone.expect("noted");
        assert_eq!(node.settle(), Some(Outcome::Draining(Why::TasksLeft)));
        assert_eq!(node.record().expect("record").gone, Some(since), "the first sight counts");
        assert!(node.held());
        drop(task);
        assert_eq!(node.settle(), Some(Outcome::Released(Why::GoneAndEmpty)));
        node.nothing_is_left();
    });
}

/// While `settle` scanned `/proc`, all of this has happened.
#[test]
fn what_was_seen_of_an_earlier_namespace_or_while_the_engine_held_it_releases_nothing() {
    isolated(|| {
        let node = Node::new();
        let path = node.keeper.store.path(&node.name);
        let _task = Parked::new(CloneFlags::empty(), move || {
            let netns = Netns::open(&path).expect("open");
            crate::netns::testing::join(&netns);
        });
        let sight = Sight { all: true, ..BLIND() };
        let held = node.record().expect("record");
        let facts = node.keeper.look(&node.name, &held, false, true).expect("a look");
        node.engine_lets_go();
        let gone = node.keeper.look(&node.name, &held, false, true).expect("a look");
        node.change(|record| record.gone = Some(ago(GRACE)));

        let earlier = Record { since: Boottime(held.since.0 - 1), ..held.clone() };
        let empty = Facts { tasks: Tasks::None, ..gone };
        let unpinned = Facts { pin: Pin::Missing, ..facts };
        for (record, facts) in [(&earlier, empty), (&held, unpinned)] {
            let error = node.keeper.settle_one(&node.name, record, facts, &sight, Mode::Apply).expect_err("changed");
            assert!(error.is_busy() && error.to_string().contains("berth-s1 has changed"), "{error}");
            assert!(node.held() && node.record().is_some());
        }
    });
}

#[test]
fn a_task_that_never_ends_keeps_it_only_up_to_the_limit() {
    isolated(|| {
        let mut node = Node::new();
        let path = node.keeper.store.path(&node.name);
        let _task = Parked::new(CloneFlags::empty(), move || {
            let netns = Netns::open(&path).expect("open");
            crate::netns::testing::join(&netns);
        });
        node.engine_lets_go();
        node.settle();
        node.change(|record| record.gone = Some(ago(DRAIN_LIMIT)));
        assert_eq!(node.settle(), Some(Outcome::Released(Why::DrainLimit)));
        node.nothing_is_left();
    });
}

#[test]
fn where_tasks_cannot_be_seen_it_goes_after_the_grace() {
    isolated(|| {
        let mut node = Node::new();
        node.engine_lets_go();
        assert_eq!(node.settle_as(&BLIND(), Mode::Apply), Some(Outcome::Draining(Why::Grace)));
        node.change(|record| record.gone = Some(ago(GRACE)));
        assert_eq!(node.settle_as(&BLIND(), Mode::Apply), Some(Outcome::Released(Why::GoneAndGracePassed)));
        node.nothing_is_left();
    });
}

#[test]
fn a_record_of_the_same_pid_namespace_can_be_judged_by_its_tasks() {
    isolated(|| {
        let mut node = Node::new();
        node.engine_lets_go();
        let other = Sight { pid_ns: Some(1), ..BLIND() };
        assert_eq!(node.settle_as(&other, Mode::Apply), Some(Outcome::Draining(Why::Grace)));
        let same = Sight { pid_ns: pid_namespace(), ..BLIND() };
        assert_eq!(node.settle_as(&same, Mode::Apply), Some(Outcome::Released(Why::GoneAndEmpty)));
    });
}

#[test]
fn absence_in_another_directory_is_no_proof() {
    isolated(|| {
        let mut node = Node::new();
        node.engine_lets_go();
        node.change(|record| record.source.parent.ino += 1);
        assert_eq!(node.settle(), Some(Outcome::Kept(Why::Unobservable)));
        assert!(node.held());
        node.keeper.mark_removed(&node.name, Duration::ZERO).expect("mark");
        assert_eq!(node.settle(), Some(Outcome::Draining(Why::Grace)));
        node.change(|record| record.removed = Some(ago(GRACE)));
        assert_eq!(node.settle(), Some(Outcome::Released(Why::RemovedAndGracePassed)));
        node.nothing_is_left();
    });
}

#[test]
fn absence_counts_wherever_it_was_seen_before() {
    isolated(|| {
        let mut node = Node::new();
        node.change(|record| record.source.parent.ino += 1);
        assert_eq!(node.settle(), Some(Outcome::Kept(Why::EngineHoldsIt)));
        node.engine_lets_go();
        assert_eq!(node.settle(), Some(Outcome::Released(Why::GoneAndEmpty)));
    });
}

#[test]
fn an_unmounted_file_that_is_still_there_is_not_gone() {
    isolated(|| {
        let mut node = Node::new();
        node.engine_lets_go();
        fs::write(&node.engine, "").expect("a plain file, as between unmount and delete");
        assert_eq!(node.settle(), Some(Outcome::Kept(Why::Unobservable)));
        assert!(node.held());
    });
}

#[test]
fn another_namespace_at_the_engines_path_means_that_ours_is_gone_whatever_its_number() {
    isolated(|| {
        let mut node = Node::new();
        node.engine_lets_go();
        engine_file(&node.engine, &new_netns());
        assert_eq!(node.settle(), Some(Outcome::Released(Why::GoneAndEmpty)));
    });
}

#[test]
fn a_missing_pin_is_healed_with_the_same_path() {
    isolated(|| {
        let mut node = Node::new();
        node.keeper.store.release(&node.name).expect("release behind berth's back");
        assert_eq!(node.settle_as(&BLIND(), Mode::Preview), Some(Outcome::Healed));
        assert!(!node.held(), "a preview changes nothing");
        assert_eq!(node.settle(), Some(Outcome::Healed));
        assert!(node.held());
    });
}

#[test]
fn a_kill_after_the_record_is_finished_or_cleared_by_what_is_so_then() {
    isolated(|| {
        let mut node = Node::new();
        let path = node.keeper.store.path(&node.name);
        node.keeper.store.release(&node.name).expect("as if it had not been made");
        fs::write(&path, "").expect("a placeholder");
        assert_eq!(node.settle(), Some(Outcome::Healed));
        assert!(node.held());
        node.keeper.store.release(&node.name).expect("release");
        fs::write(&path, "").expect("a placeholder");
        node.engine_lets_go();
        assert_eq!(node.settle(), Some(Outcome::Released(Why::GoneAndEmpty)));
        node.nothing_is_left();
    });
}

#[test]
fn a_pin_that_is_missing_here_waits_for_the_tasks_of_its_namespace() {
    isolated(|| {
        let mut node = Node::new();
        let engine = node.engine.clone();
        let task = Parked::new(CloneFlags::empty(), move || {
            crate::netns::testing::join(&Netns::open(&engine).expect("open"));
        });
        node.keeper.store.release(&node.name).expect("release");
        node.engine_lets_go();
        assert_eq!(node.settle(), Some(Outcome::Draining(Why::TasksLeft)));
        drop(task);
        assert_eq!(node.settle(), Some(Outcome::Released(Why::GoneAndEmpty)));
        node.nothing_is_left();
    });
}

#[test]
fn a_directory_that_is_no_procfs_shows_that_nobody_is_there_to_nobody() {
    isolated(|| {
        let mut node = Node::new();
        node.engine_lets_go();
        fs::create_dir("/run/empty").expect("a volume that was forgotten");
        assert!(!Sight::here(Path::new("/run/empty")).all);
        assert!(!Sight::here(Path::new("/proc")).all || pid_namespace() == Some(0xEFFF_FFFC));
        let believed = Sight { proc: "/run/empty".into(), all: true, ..BLIND() };
        assert_eq!(node.settle_as(&believed, Mode::Apply), Some(Outcome::Draining(Why::Grace)));
        assert!(node.held());
    });
}

/// The namespace as if berth had made it for the bundle `/run/job/bundle`.
fn made() -> Node {
    let bundle = PathBuf::from("/run/job/bundle");
    fs::create_dir_all(&bundle).expect("bundle");
    let node = Node::new();
    let own = fs::metadata(&bundle).map(|data| FileId { dev: data.dev(), ino: data.ino() }).expect("bundle");
    node.change(|record| {
        record.origin = Origin::Created;
        record.source = Source { path: bundle, bundle: Some(own), ..record.source.clone() };
    });
    node
}

#[test]
fn one_that_was_made_stays_with_its_bundle_and_goes_with_it_though_the_directory_above_goes_too() {
    isolated(|| {
        let mut node = made();
        let here = Sight { all: true, ..BLIND() };
        assert_eq!(node.settle_as(&here, Mode::Apply), Some(Outcome::Kept(Why::EngineHoldsIt)));
        fs::remove_dir_all("/run/job").expect("remove");
        node.seen.clear();
        let elsewhere = Sight { all: true, files: false, ..BLIND() };
        let names = [node.name.clone()];
        node.keeper.mark_ends(Which::These(&names), &mut node.seen);
        assert_eq!(node.record().expect("record").gone, None, "who may not unmount may not see it either");
        assert_eq!(node.settle_as(&elsewhere, Mode::Apply), Some(Outcome::Kept(Why::Unobservable)));
        assert_eq!(node.settle_as(&here, Mode::Apply), Some(Outcome::Released(Why::GoneAndEmpty)));
    });
}

#[test]
fn one_that_was_made_for_another_bundle_at_the_same_path_goes_and_one_without_that_knowledge_stays() {
    isolated(|| {
        let mut node = made();
        let here = Sight { all: true, ..BLIND() };
        fs::rename("/run/job", "/run/earlier").expect("rename");
        fs::create_dir_all("/run/job/bundle").expect("another");
        let known = node.record().expect("record");
        node.change(|record| record.source.bundle = None);
        assert_eq!(node.settle_as(&here, Mode::Apply), Some(Outcome::Kept(Why::EngineHoldsIt)));
        node.change(|record| *record = known);
        assert_eq!(node.settle_as(&here, Mode::Apply), Some(Outcome::Released(Why::GoneAndEmpty)));
    });
}

#[test]
fn what_another_berth_has_released_is_told_from_what_is_still_there() {
    isolated(|| {
        let mut node = Node::new();
        let gone = PinName::parse("berth-gone").expect("a name");
        let known = [node.name.clone(), gone.clone()].into();
        assert_eq!(node.keeper.unrecorded(known, &[]), std::slice::from_ref(&gone));
        let settlement = node.keeper.settle(Which::All, &BLIND(), Mode::Apply, &mut node.seen);
        fs::write(format!("/run/berth/sandboxes/{gone}.json"), "{").expect("write");
        assert!(node.keeper.unrecorded([node.name.clone(), gone].into(), &settlement.settled).is_empty());
    });
}
