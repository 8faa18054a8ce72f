use super::*;
use crate::clock::Boottime;
use crate::identity::{Engine, PodRef, SandboxId, Scope};
use crate::ledger::record::Record;
use crate::lifecycle::{DRAIN_LIMIT, GRACE, Why};
use crate::netns::testing::{Parked, engine_file, isolated, new_netns};
use crate::netns::{Netns, PinState};
use nix::sched::CloneFlags;
use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

/// One pod on a node of its own: an engine's netns file, pinned.
struct Node {
    keeper: Keeper,
    name: PinName,
    engine: PathBuf,
    id: NetnsId,
    seen: HashSet<PinName>,
}

fn scope() -> Scope {
    Scope::cri(Engine::Containerd)
}

impl Node {
    fn new() -> Self {
        let keeper = Keeper::open(Path::new("/run/berth"), Path::new("/run/netns")).expect("open");
        let engine = PathBuf::from("/run/netns/cni-1");
        let netns = new_netns();
        engine_file(&engine, &netns);
        let name = PinName::of(&scope(), &SandboxId::try_from("s1").expect("id"));
        let node = Self { keeper, name, engine, id: netns.id(), seen: HashSet::new() };
        assert_eq!(node.pin(&[]).expect("pin"), Pinned::Now);
        node
    }

    fn pin(&self, forbidden: &[NetnsId]) -> Result<Pinned, ApplyError> {
        let netns = Netns::open(&self.engine)?;
        let pod = PodRef { namespace: "ns".into(), name: "web".into(), uid: "u".into() };
        let wanted = Wanted {
            name: &self.name,
            netns: &netns,
            source: &self.engine,
            forbidden,
            scope: &scope(),
            sandbox: "s1",
            pod: &pod,
            handler: "kata",
            door: "nri",
            profile: "default",
            config: 7,
            pid_ns: pid_namespace(),
        };
        self.keeper.pin(&wanted, Duration::ZERO)
    }

    /// What a stop does in the end: the engine unmounts and deletes its file.
    fn engine_lets_go(&self) {
        let engine = self.engine.to_str().expect("path");
        assert!(std::process::Command::new("umount").arg(engine).status().expect("umount").success());
        fs::remove_file(&self.engine).expect("remove");
    }

    fn settle(&mut self) -> Option<Outcome> {
        self.settle_as(&Sight { proc: "/proc".into(), all: true, pid_ns: None }, Mode::Apply)
    }

    fn settle_as(&mut self, sight: &Sight, mode: Mode) -> Option<Outcome> {
        let settlement = self.keeper.settle(Which::All, sight, mode, &mut self.seen);
        assert!(settlement.errors.is_empty(), "{:?}", settlement.errors);
        settlement.settled.iter().find(|settled| settled.name == self.name).map(|settled| settled.outcome)
    }

    fn change(&self, change: impl FnOnce(&mut Record)) {
        let mut record = self.record().expect("record");
        change(&mut record);
        self.keeper.ledger.put(&self.name, &record).expect("put");
    }

    fn record(&self) -> Option<Record> {
        self.keeper.ledger.get(&self.name).expect("get")
    }

    fn held(&self) -> bool {
        self.keeper.store.leads_to(&self.name, self.id)
    }

    fn nothing_is_left(&self) {
        assert_eq!(self.keeper.store.state(&self.name).expect("state"), PinState::Absent);
        assert_eq!(self.record(), None);
        for dir in ["/run/netns", "/run/berth/sandboxes", "/run/berth/locks"] {
            let left: Vec<_> = fs::read_dir(dir).expect(dir).map(|entry| entry.expect(dir).file_name()).collect();
            assert!(left.is_empty(), "{dir}: {left:?}");
        }
    }
}

fn ago(age: Duration) -> Boottime {
    Boottime(Boottime::now().0 - u64::try_from(age.as_millis()).expect("small"))
}

const BLIND: fn() -> Sight = || Sight { proc: "/proc".into(), all: false, pid_ns: None };

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
