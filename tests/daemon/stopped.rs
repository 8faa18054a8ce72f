//! A daemon that was stopped (SIGSTOP) where it holds a lock: interposers wait a second for it and no longer, then their
//! failure policy speaks; when it goes on, all is well.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use berth::nri::Event;
use nix::errno::Errno;
use nix::sys::fanotify::{EventFFlags, Fanotify, FanotifyResponse, InitFlags, MarkFlags, MaskFlags, Response};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fake_runtime::{FakeRuntime, Profile};
use crate::isolated;
use crate::node::{Berth, Pod, SOCKET, block_on, ready};
use crate::stage::{
    assert_delegated, bundle, command, configured, containerd, create, delegate, interposer, network, refused, text,
};

/// Asks the test whenever a directory is opened, or a file in it; the kernel does, and has the opener wait.
struct Gate(Fanotify);

impl Gate {
    fn before(dir: &str) -> Self {
        let flags = InitFlags::FAN_CLASS_CONTENT | InitFlags::FAN_NONBLOCK;
        let group = Fanotify::init(flags, EventFFlags::O_RDONLY).unwrap();
        let mask = MaskFlags::FAN_OPEN_PERM | MaskFlags::FAN_EVENT_ON_CHILD | MaskFlags::FAN_ONDIR;
        group.mark(MarkFlags::FAN_MARK_ADD, mask, nix::fcntl::AT_FDCWD, Some(dir)).unwrap();
        Self(group)
    }

    /// Stops the process where it holds the lock: it is told to stop while it waits at the gate, and so stops when it is
    /// through. Where that is without the lock it goes on to the next time.
    fn stop_with(self, pid: Pid, lock: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut told = false;
        loop {
            assert!(Instant::now() < deadline, "the daemon never held {lock}");
            told |= self.let_pass(pid);
            if told && is_stopped(pid) {
                if is_held(lock) {
                    return;
                }
                kill(pid, Signal::SIGCONT).unwrap();
                told = false;
            }
        }
    }

    /// Lets everybody pass who waits; whether the process is among them, which has been told to stop then.
    fn let_pass(&self, pid: Pid) -> bool {
        let events = match self.0.read_events() {
            Err(Errno::EAGAIN) => return false,
            events => events.unwrap(),
        };
        let own = events.iter().any(|event| event.pid() == pid.as_raw());
        if own {
            kill(pid, Signal::SIGSTOP).unwrap();
        }
        for event in &events {
            self.0.write_response(FanotifyResponse::new(event.fd().unwrap(), Response::FAN_ALLOW)).unwrap();
        }
        own
    }
}

/// Every thread of the process is stopped.
fn is_stopped(pid: Pid) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    // A thread that ends meanwhile is not there any more when it is looked at.
    let stats = tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok());
    stats.into_iter().all(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
}

fn is_held(lock: &str) -> bool {
    let Ok(file) = fs::File::open(lock) else { return false };
    matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock))
}

/// A runtime that waits for a plugin that was stopped.
fn patient() -> Profile {
    Profile { request_timeout: Duration::from_secs(30), ..Profile::containerd_2_3() }
}

/// The bundle of a sandbox in the network of `file`.
fn sandbox(id: &'static str, file: &str) -> std::path::PathBuf {
    bundle(id, &containerd("sandbox", id), &network(file))
}

/// What the interposer says after it has waited for a second, and not for much longer.
fn refused_after_a_second(berth: &Path, dir: &Path, id: &str) -> String {
    let (before, started) = (text(dir), Instant::now());
    let told = refused(&create(berth, dir, id));
    let waited = started.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(2)).contains(&waited), "{waited:?}");
    assert_eq!(text(dir), before);
    told
}

isolated! {
    fn the_lock_of_a_sandbox_costs_that_sandbox_a_second_and_no_other_one() {
        delegate("runc");
        let interposer = interposer("berth-runc");
        block_on(async {
            let (_runtime, session, berth) = ready(patient(), || Berth::start(&[])).await;
            let (pod, other) = (Pod::new("s1"), Pod::new("s2"));
            let [mine, others] = [("s1", &pod), ("s2", &other)].map(|(id, pod)| sandbox(id, &pod.file));
            let pid = berth.pid();
            let gate = Gate::before("/run/berth/sandboxes");
            let stop = tokio::task::spawn_blocking(move || gate.stop_with(pid, "/run/berth/locks/berth-s1"));
            let pinning = session.event(Event::RunPodSandbox, Some(pod.message.clone()), None);
            tokio::pin!(pinning);
            tokio::select! {
                answer = &mut pinning => panic!("answered without ever holding the lock: {answer:?}"),
                stopped = stop => stopped.unwrap(),
            }

            let told = refused_after_a_second(&interposer, &mine, "s1");
            assert!(told.contains("lock of berth-s1 is held by another berth for more than 1000 ms (the profile says"), "{told}");
            let started = Instant::now();
            assert_delegated(&create(&interposer, &others, "s2"));
            assert!(other.is_pinned() && started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
            let yaml = configured("profiles: [{name: a, onFailure: Ignore}]");
            let args = ["--root", "/r/k8s.io", "create", "--bundle", mine.to_str().unwrap(), "s1"];
            let before = text(&mine);
            assert_delegated(&command(&interposer, &args).env("BERTH_CONFIG", yaml).output().unwrap());
            assert_eq!(text(&mine), before);

            kill(pid, Signal::SIGCONT).unwrap();
            pinning.await.unwrap();
            assert!(pod.is_pinned());
            assert_delegated(&create(&interposer, &mine, "s1"));
            assert!(text(&mine).contains("/run/netns/berth-s1"));
            for pod in [&pod, &other] {
                session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
                pod.engine_lets_go();
                pod.gone().await;
            }
        });
    }

    fn the_lock_of_the_netns_directory_costs_a_second_until_the_daemon_goes_on() {
        delegate("runc");
        let interposer = interposer("berth-runc");
        block_on(async {
            let pod = Pod::new("s1");
            let dir = sandbox("s1", &pod.file);
            let runtime = FakeRuntime::listen(Path::new(SOCKET));
            let berth = Berth::start(&[]);
            let session = runtime.accept(patient()).await;
            let pid = berth.pid();
            let gate = Gate::before("/run/netns");
            let stop = tokio::task::spawn_blocking(move || gate.stop_with(pid, "/run/berth/netns.lock"));
            let configuring = session.configure();
            tokio::pin!(configuring);
            tokio::select! {
                answer = &mut configuring => panic!("answered without ever holding the lock: {answer:?}"),
                stopped = stop => stopped.unwrap(),
            }

            let told = refused_after_a_second(&interposer, &dir, "s1");
            assert!(told.contains("lock /run/berth/netns.lock is held by another process for more than 1000 ms (the profile"), "{told}");
            assert!(!fs::exists("/run/netns/berth-s1").unwrap());
            kill(pid, Signal::SIGCONT).unwrap();
            configuring.await.unwrap();
            session.synchronize(Vec::new(), Vec::new()).await.unwrap();
            assert_delegated(&create(&interposer, &dir, "s1"));
            assert!(pod.is_pinned());
        });
    }
}
