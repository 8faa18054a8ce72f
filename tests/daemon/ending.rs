//! SIGTERM and SIGINT: what has begun is finished, the runtime sees the plugin leave, and the process is gone with 0
//! within two seconds. Pins stay.

use std::fs::{self, File};
use std::time::{Duration, Instant};

use berth::nri::Event;
use inotify::{Inotify, WatchMask};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal;

use crate::fake_runtime::{FakeRuntime, Profile};
use crate::isolated;
use crate::node::{Berth, Pod, SOCKET, annotation, block_on, eventually, ready, swapped};

const LIMIT: Duration = Duration::from_secs(2);
const LOCK: &str = "/run/berth/locks/berth-s1";

/// The lock of the pod's pin, held as by an interposer that is at it.
struct Held {
    _lock: File,
    opened: Inotify,
}

impl Held {
    fn take() -> Self {
        let lock = File::options().create(true).truncate(false).write(true).open(LOCK).unwrap();
        lock.lock().unwrap();
        let opened = Inotify::init().unwrap();
        opened.watches().add(LOCK, WatchMask::OPEN).unwrap();
        Self { _lock: lock, opened }
    }

    /// berth has come as far as that lock and asks for it again and again.
    async fn awaited(&mut self) {
        let (mut times, mut buffer) = (0, [0; 1024]);
        eventually("berth waits for the lock", || {
            times += self.opened.read_events(&mut buffer).map_or(0, Iterator::count);
            (times >= 3).then_some(())
        })
        .await;
    }
}

/// It is told to end, and ends in time with 0, from then on.
async fn ends(berth: &mut Berth, since: Instant) {
    let status = berth.ended().await;
    assert!(status.success() && since.elapsed() < LIMIT, "{status} after {:?}", since.elapsed());
}

/// A runtime that would wait longer than two seconds.
fn patient() -> Profile {
    Profile { request_timeout: Duration::from_secs(30), ..Profile::containerd_2_3() }
}

isolated! {
    fn events_in_progress_are_answered_and_what_they_make_is_whole() {
        for signal in [Signal::SIGTERM, Signal::SIGINT] {
            block_on(async {
                let (_runtime, mut session, mut berth) = ready(patient(), || Berth::start(&[])).await;
                let pod = Pod::new("s1");
                let mut held = Held::take();
                let mut creating = Box::pin(session.create_container(pod.message.clone(), pod.container()));
                tokio::select! {
                    answer = &mut creating => panic!("answered without the lock: {answer:?}"),
                    () = held.awaited() => {}
                }
                let started = Instant::now();
                berth.signal(signal);
                berth.logged(&format!("msg=stopping signal={signal}")).await;
                // Impatience changes nothing, and SIGHUP kills nobody.
                for more in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
                    berth.signal(more);
                }
                drop(held);
                let answer = creating.as_mut().await.unwrap();
                drop(creating);
                assert_eq!(annotation(&answer, "ocid/sandbox_id"), Some("s1"));
                assert_eq!(swapped(&answer), Some("/run/netns/berth-s1".into()));
                ends(&mut berth, started).await;
                // Its side of the connection was closed, not broken.
                session.hung_up().await.unwrap_or_else(|error| assert!(error.is_hang_up(), "{error}"));
                assert!(pod.is_pinned() && fs::exists("/run/berth/sandboxes/berth-s1.json").unwrap());
                pod.engine_lets_go();
                assert!(crate::node::command(&["gc"]).status.success());
                pod.gone().await;
            });
        }
    }

    fn what_cannot_be_finished_in_time_is_refused_and_leaves_nothing_half_made() {
        block_on(async {
            let (_runtime, session, mut berth) = ready(patient(), || Berth::start(&[])).await;
            let pod = Pod::new("s1");
            let mut held = Held::take();
            let creating = session.create_container(pod.message.clone(), pod.container());
            tokio::pin!(creating);
            tokio::select! {
                answer = &mut creating => panic!("answered without the lock: {answer:?}"),
                () = held.awaited() => {}
            }
            let started = Instant::now();
            berth.signal(Signal::SIGTERM);
            let error = creating.await.unwrap_err().to_string();
            assert!(error.contains("lock of berth-s1 is held by another berth"), "{error}");
            ends(&mut berth, started).await;
            assert!(!pod.pin().exists() && !fs::exists("/run/berth/sandboxes/berth-s1.json").unwrap());
        });
    }

    fn a_daemon_that_serves_nobody_ends_as_well() {
        block_on(async {
            // Before there is a runtime.
            let mut first = Berth::start(&[]);
            first.logged("trying again").await;
            // And while another one serves.
            let mut second = Berth::start(&[]);
            second.logged("passive until it ends").await;
            for berth in [&mut second, &mut first] {
                let started = Instant::now();
                berth.signal(Signal::SIGTERM);
                ends(berth, started).await;
            }
            // And while the runtime has not answered the registration, and while it has not synchronized.
            let runtime = FakeRuntime::listen(SOCKET.as_ref());
            let mut third = Berth::start(&[]);
            let session = runtime.accept(Profile { hold_registration: true, ..patient() }).await;
            let started = Instant::now();
            third.signal(Signal::SIGTERM);
            ends(&mut third, started).await;
            drop(session);
            let mut fourth = Berth::start(&[]);
            let session = runtime.accept(patient()).await;
            session.configure().await.unwrap();
            let started = Instant::now();
            fourth.signal(Signal::SIGTERM);
            ends(&mut fourth, started).await;
        });
    }

    fn many_pods_at_once_are_whole_or_absent_when_it_ends_amid_them() {
        block_on(async {
            let (_runtime, session, mut berth) = ready(patient(), || Berth::start(&[])).await;
            let pods: Vec<_> = (0..40).map(|at| Pod::new(&format!("s{at}"))).collect();
            let all = pods.iter().map(|pod| session.event(Event::RunPodSandbox, Some(pod.message.clone()), None));
            let all = futures::future::join_all(all);
            tokio::pin!(all);
            // One cannot be answered yet, so not all are. The others are quick: the first is looked for without a rest.
            let held = Held::take();
            let first = async {
                while !pods.iter().any(Pod::is_pinned) {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                _ = &mut all => panic!("all were answered before the first was pinned"),
                () = first => {}
            }
            let started = Instant::now();
            berth.signal(Signal::SIGTERM);
            drop(held);
            let answers = all.await;
            ends(&mut berth, started).await;
            let mut pinned = 0;
            for (pod, answer) in pods.iter().zip(answers) {
                let record = format!("/run/berth/sandboxes/berth-{}.json", pod.message.id);
                assert_eq!(pod.is_pinned(), fs::exists(record).unwrap(), "{}", pod.message.id);
                assert!(pod.is_pinned() || answer.is_err(), "{} was answered and not pinned", pod.message.id);
                pinned += usize::from(pod.is_pinned());
            }
            assert!(pinned > 0);
        });
    }

    fn a_standard_error_that_nobody_reads_stops_neither_the_service_nor_the_end() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        while std::io::Write::write(&mut writer, b"no room is left for a line").is_ok() {}
        fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
        block_on(async {
            let runtime = FakeRuntime::listen(SOCKET.as_ref());
            let mut berth = Berth::start_saying(writer, &[]);
            let session = runtime.accept_ready(Profile::containerd_2_3()).await;
            let pod = Pod::new("s1");
            for _ in 0..100 {
                session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            }
            let started = Instant::now();
            berth.signal(Signal::SIGTERM);
            ends(&mut berth, started).await;
            assert!(pod.is_pinned());
        });
        drop(reader);
    }
}
