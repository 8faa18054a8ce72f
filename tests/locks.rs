//! The files under which pins and records are changed go with what they are for.
#![allow(clippy::unwrap_used, reason = "a test that cannot run fails")]

use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use berth::apply::Keeper;
use berth::clock::Boottime;
use berth::ledger::record::{FileId, Origin, Pod, Record, Source, VERSION};
use berth::pin::PinName;

#[test]
fn a_removal_that_is_told_while_the_pin_is_released_leaves_no_lock_behind() {
    let dir = tempfile::tempdir().unwrap();
    let keeper = Keeper::open(&dir.path().join("state"), &dir.path().join("netns")).unwrap();
    let name = PinName::parse("berth-1").unwrap();
    keeper.ledger.put(&name, &record()).unwrap();
    let lock = keeper.ledger.lock(&name, Duration::ZERO).unwrap();

    std::thread::scope(|scope| {
        let (told, tid) = channel();
        let (keeper, name) = (&keeper, &name);
        let marking = scope.spawn(move || {
            told.send(nix::unistd::gettid()).unwrap();
            keeper.mark_removed(name, Duration::from_secs(10))
        });
        await_asleep(tid.recv().unwrap());
        keeper.ledger.remove(name).unwrap();
        lock.remove().unwrap();
        marking.join().unwrap().unwrap();
    });
    assert_eq!(files(&dir.path().join("state/locks")), Vec::<String>::new());
    assert_eq!(files(&dir.path().join("state/sandboxes")), Vec::<String>::new());
}

/// The thread has nothing to do but to wait for the lock.
fn await_asleep(tid: nix::unistd::Pid) {
    let stat = format!("/proc/self/task/{tid}/stat");
    while !std::fs::read_to_string(&stat).unwrap().contains(") S ") {
        std::thread::yield_now();
    }
}

fn files(dir: &Path) -> Vec<String> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

fn record() -> Record {
    let id = FileId { dev: 1, ino: 1 };
    Record {
        version: VERSION,
        engine: "containerd".into(),
        scope: "k8s.io".into(),
        sandbox: "1".into(),
        pod: Pod { namespace: "default".into(), name: "web".into(), uid: "uid".into() },
        handler: "vm".into(),
        door: "nri".into(),
        doors: Vec::new(),
        members: false,
        profile: "default".into(),
        verdict: "identity-and-netns".into(),
        config: "0".into(),
        origin: Origin::Adopted,
        source: Source { path: "/run/netns/cni-1".into(), parent: id, bundle: None },
        netns: id,
        since: Boottime::now(),
        pid_ns: None,
        gone: None,
        removed: None,
    }
}
