//! What is left of a daemon's privileges, on each of its threads.

use std::collections::BTreeSet;
use std::fs;

use crate::fake_runtime::Profile;
use crate::isolated;
use crate::node::{Berth, Pod, block_on, ready};
use berth::nri::Event;

/// The lines of a status about privileges.
const ABOUT: [&str; 7] = ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:", "Seccomp:"];

/// What the kernel says of every thread; once, where all are alike.
fn privileges(pid: i32) -> BTreeSet<String> {
    let status = |task: fs::DirEntry| fs::read_to_string(task.path().join("status")).unwrap();
    let about = |text: String| {
        let lines = text.lines().filter(|line| ABOUT.iter().any(|field| line.starts_with(field)));
        lines.map(|line| line.split_whitespace().collect::<String>()).collect::<Vec<_>>().join(" ")
    };
    fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|task| about(status(task.unwrap()))).collect()
}

/// The permitted and effective ones, and the bounding set, by bit.
fn left(capabilities: u64, bounding: u64) -> BTreeSet<String> {
    let [none, left, bounding] = [0, capabilities, bounding].map(|bits| format!("{bits:016x}"));
    [format!("CapInh:{none} CapPrm:{left} CapEff:{left} CapBnd:{bounding} CapAmb:{none} NoNewPrivs:1 Seccomp:2")].into()
}

async fn running(before: &[&str], args: &[&str]) -> (BTreeSet<String>, String) {
    let (_runtime, session, berth) = ready(Profile::containerd_2_3(), || Berth::start_under(before, args)).await;
    let pod = Pod::new("s1");
    // Its blocking threads are there then.
    session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
    assert!(fs::read_dir(format!("/proc/{}/task", berth.pid())).unwrap().count() > 2);
    (privileges(berth.pid().as_raw()), berth.log())
}

const SYS_PTRACE: u64 = 1 << 19;
const SYS_ADMIN: u64 = 1 << 21;

isolated! {
    fn a_daemon_that_makes_pins_may_mount_and_look_at_tasks_and_no_more() {
        block_on(async {
            // Even where some could be had back by becoming another program.
            let before = ["setpriv", "--inh-caps=+chown", "--ambient-caps=+chown", "--"];
            let (privileges, log) = running(&before, &[]).await;
            assert_eq!(privileges, left(SYS_ADMIN | SYS_PTRACE, 0));
            assert!(log.contains("msg=confined capabilities=SYS_PTRACE,SYS_ADMIN\n"), "{log}");
        });
    }

    fn a_daemon_that_leaves_them_to_interposers_may_nothing() {
        block_on(async {
            let (privileges, log) = running(&[], &["--pins-by", "interposers"]).await;
            assert_eq!(privileges, left(0, 0));
            assert!(log.contains("msg=confined capabilities=none\n"), "{log}");
        });
    }

    fn what_was_not_there_is_not_asked_for() {
        block_on(async {
            let before = ["setpriv", "--bounding-set=-all,+sys_admin", "--inh-caps=-all", "--"];
            let (privileges, log) = running(&before, &[]).await;
            assert_eq!(privileges, left(SYS_ADMIN, SYS_ADMIN));
            assert!(log.contains("msg=confined capabilities=SYS_ADMIN\n"), "{log}");
        });
    }
}
