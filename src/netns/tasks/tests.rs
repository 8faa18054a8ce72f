//! The scan of a procfs, on one that shows only what the test starts.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sched::CloneFlags;

use super::{InUse, Occupancy, comm, in_use};
use crate::netns::testing::{OwnProc, Parked, engine_file, isolated, new_netns};
use crate::netns::{Netns, NetnsId, id_of};

/// `Parked` threads belong to this process, whose PID namespace is the node's.
const NODE: &str = "/proc";

/// What [`start_inside`] starts its processes in.
const ENGINE_FILE: &str = "/run/cni-1";

/// By nsenter(1): a thread that has left its PID namespace cannot start another that would join for it.
fn start_inside(words: &[&str]) -> Child {
    Command::new("nsenter").arg(format!("--net={ENGINE_FILE}")).args(words).spawn().unwrap()
}

fn start(command: &str) -> Child {
    Command::new("sh").args(["-c", command]).stdout(Stdio::null()).spawn().unwrap()
}

fn pids(found: &InUse, id: NetnsId) -> Vec<i32> {
    match found.of(id) {
        Occupancy::Held(pids) => pids.to_vec(),
        other => panic!("{other:?}"),
    }
}

fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_process_is_found_while_it_lives_and_then_the_namespace_is_free() {
    isolated(|| {
        let ns = new_netns();
        engine_file(ENGINE_FILE, &ns);
        let proc = OwnProc::new();
        let mut child = start_inside(&["sleep", "1000"]);
        until("the process is inside", || matches!(in_use(proc.path).unwrap().of(ns.id()), Occupancy::Held(_)));
        let found = in_use(proc.path).unwrap();
        until("its name", || comm(proc.path, pids(&found, ns.id())[0]).as_deref() == Some("sleep"));
        assert_eq!((pids(&found, ns.id()).len(), found.iter().count()), (1, 2));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(in_use(proc.path).unwrap().of(ns.id()), Occupancy::Free);
    });
}

#[test]
fn a_zombie_holds_nothing() {
    isolated(|| {
        let ns = new_netns();
        engine_file(ENGINE_FILE, &ns);
        let proc = OwnProc::new();
        let mut child = start_inside(&["true"]);
        let stat = format!("/proc/{}/stat", child.id());
        until("a zombie", || std::fs::read_to_string(&stat).unwrap().contains(") Z "));
        let found = in_use(proc.path).unwrap();
        assert_eq!((found.of(ns.id()), found.unseen()), (Occupancy::Free, 0));
        child.wait().unwrap();
    });
}

#[test]
fn a_single_thread_in_another_namespace_is_found() {
    isolated(|| {
        let task = Parked::new(CloneFlags::CLONE_NEWNET, || ());
        let found = in_use(Path::new(NODE)).unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(pids(&found, id_of(&task.proc("ns/net")).unwrap()), [own]);
        assert!(pids(&found, Netns::current().unwrap().id()).contains(&own));
    });
}

#[test]
fn a_thread_whose_main_thread_has_ended_is_found() {
    isolated(|| {
        let ns = new_netns();
        engine_file(ENGINE_FILE, &ns);
        let proc = OwnProc::new();
        let script = "import threading, ctypes, time\n\
            threading.Thread(target=time.sleep, args=(1000,)).start()\n\
            ctypes.CDLL(None).pthread_exit(None)\n";
        let mut child = start_inside(&["python3", "-c", script]);
        let stat = format!("/proc/{}/stat", child.id());
        until("a dead main thread", || std::fs::read_to_string(&stat).unwrap().contains(") Z "));
        // Its threads were made before the main one ended, so nothing has to be waited for.
        assert_eq!(pids(&in_use(proc.path).unwrap(), ns.id()).len(), 1);
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

const REFUSED: std::result::Result<NetnsId, nix::errno::Errno> = Err(nix::errno::Errno::EACCES);

#[test]
fn a_task_that_refuses_is_told_by_its_files_of_the_network() {
    isolated(|| {
        let (other, root) = (Parked::new(CloneFlags::CLONE_NEWNET, || ()), std::fs::File::open(NODE).unwrap().into());
        let (own, elsewhere) = (Netns::current().unwrap().id(), id_of(&other.proc("ns/net")).unwrap());
        let (pid, here) = (i32::try_from(std::process::id()).unwrap(), nix::unistd::gettid().as_raw());
        let mut found = InUse::default();
        found.add(pid, here, Ok(own)).unwrap();
        found.add(pid, other.tid.cast_signed(), Ok(elsewhere)).unwrap();
        found.add(1_000_000, here, REFUSED).unwrap();
        found.refused[0].1 = format!("{pid}/task/{}", other.tid);
        found.compare(&root);
        assert_eq!(found.of(elsewhere), Occupancy::Held(&[pid, 1_000_000]));
        assert_eq!((found.of(own), found.unseen()), (Occupancy::Held(&[pid]), 0));
    });
}

#[test]
fn tasks_that_refuse_and_cannot_be_told_are_counted_and_nothing_is_called_free() {
    isolated(|| {
        let root = std::fs::File::open(NODE).unwrap().into();
        let (pid, here) = (i32::try_from(std::process::id()).unwrap(), nix::unistd::gettid().as_raw());
        let (seen, unseen) = (NetnsId { dev: 4, ino: 1 }, NetnsId { dev: 4, ino: 2 });
        let mut found = InUse::default();
        found.add(7, 7, Ok(seen)).unwrap();
        found.add(7, 8, Ok(seen)).unwrap();
        found.add(8, 8, Err(nix::errno::Errno::ESRCH)).unwrap();
        found.examples.clear();
        assert_eq!(found.of(unseen), Occupancy::Free);
        found.add(pid, here, REFUSED).unwrap();
        found.compare(&root);
        assert_eq!(found.of(unseen), Occupancy::Unknown(1));
        assert_eq!(found.of(seen), Occupancy::Held(&[7]));
        assert!(found.add(9, 9, Err(nix::errno::Errno::EIO)).is_err());
    });
}

#[test]
fn processes_that_come_and_go_during_the_scan_are_no_error() {
    isolated(|| {
        let proc = OwnProc::new();
        let mut child = start("while :; do /bin/true; done");
        for _ in 0..300 {
            assert_eq!(in_use(proc.path).unwrap().unseen(), 0);
        }
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn a_procfs_that_is_not_there_is_an_error() {
    assert!(in_use(Path::new("/nowhere")).is_err());
    assert_eq!(comm(Path::new("/nowhere"), 1), None);
}

#[test]
fn a_process_that_executes_itself_over_and_over_is_never_missed() {
    isolated(|| {
        let ns = new_netns();
        engine_file(ENGINE_FILE, &ns);
        let proc = OwnProc::new();
        std::fs::write("/run/again", "#!/bin/sh\nexec /run/again\n").unwrap();
        std::fs::set_permissions("/run/again", std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut child = start_inside(&["/run/again"]);
        until("the process is inside", || matches!(in_use(proc.path).unwrap().of(ns.id()), Occupancy::Held(_)));
        for round in 0..2_000 {
            assert_eq!(pids(&in_use(proc.path).unwrap(), ns.id()).len(), 1, "round {round}");
        }
        child.kill().unwrap();
        child.wait().unwrap();
    });
}
