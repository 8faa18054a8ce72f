//! Pins and records together, on the real kernel: one pod on a node of its own.

mod alone;
mod pin;
mod rule;

use super::*;
use crate::clock::Boottime;
use crate::decide::verdict::Reason;
use crate::identity::{Engine, PodRef, SandboxId, Scope};
use crate::ledger::record::{Origin, Record};
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
        self.pin_by("runtime", "", forbidden)
    }

    fn pin_by(&self, door: &'static str, handler: &str, forbidden: &[NetnsId]) -> Result<Pinned, ApplyError> {
        let netns = Netns::open(&self.engine)?;
        let pod = PodRef { namespace: "ns".into(), name: "web".into(), uid: "u".into() };
        let wanted = Wanted {
            name: &self.name,
            netns: &netns,
            origin: Origin::Adopted,
            source: &self.engine,
            forbidden,
            scope: &scope(),
            sandbox: "s1",
            pod: &pod,
            handler,
            door,
            profile: "default",
            verdict: Reason::IdentityAndNetns,
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
        self.settle_as(&Sight { all: true, ..BLIND() }, Mode::Apply)
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

/// Sees no task, but the node's mounts.
const BLIND: fn() -> Sight =
    || Sight { proc: "/proc".into(), all: false, pid_ns: None, mounts: true, files: true, host: Vec::new() };
