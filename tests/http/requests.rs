//! What is asked, well and badly, by one and by hundreds.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};

use crate::client::{TCP, answers, connect, get, listening, raw, rest};
use crate::fake_runtime::Profile;
use crate::isolated;
use crate::node::{Berth, Pod, block_on, eventually, ready, swapped};

/// A berth that answers.
async fn answering() -> Berth {
    let berth = listening();
    answers(TCP, "/healthz", 200).await;
    berth
}

fn head(answer: &str) -> String {
    answer.split("\r\n\r\n").next().unwrap().to_lowercase()
}

isolated! {
    fn pages_methods_and_heads_are_as_http_wants_them() {
        block_on(async {
            let _berth = answering().await;
            let full = raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
            assert!(head(&full).starts_with("http/1.1 200 ok\r\n") && full.ends_with("\r\n\r\nok\n"), "{full}");
            for line in ["content-type: text/plain; charset=utf-8", "content-length: 3", "cache-control: no-store", "connection: close"] {
                assert!(head(&full).contains(line), "{line}: {full}");
            }
            let short = raw(b"HEAD /healthz HTTP/1.1\r\nhost: x\r\n\r\n");
            assert!(head(&short).contains("content-length: 3") && short.ends_with("\r\n\r\n"), "{short}");
            for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
                let answer = raw(format!("{method} /metrics HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi").as_bytes());
                assert!(head(&answer).starts_with("http/1.1 405 ") && head(&answer).contains("allow: get, head"), "{answer}");
            }
            for path in ["/", "/metrics/", "//metrics", "/healthz/x", "/../etc/passwd", "/%2e%2e/metrics"] {
                assert_eq!(get(path).status, 404, "{path}");
            }
            for path in ["/healthz?verbose", "http://elsewhere/healthz"] {
                assert_eq!(get(path).status, 200, "{path}");
            }
        });
    }

    fn what_is_no_request_ends_the_connection_and_nothing_else() {
        block_on(async {
            let berth = answering().await;
            let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(100_000));
            let header = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(100_000));
            let headers = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(100));
            let bad: [&[u8]; 9] = [
                b"\r\n\r\n", b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", long.as_bytes(), header.as_bytes(), headers.as_bytes(),
            ];
            for bytes in bad {
                let answer = raw(bytes);
                let status = answer.split(' ').nth(1).unwrap_or_default();
                assert!(matches!(status, "" | "400" | "414" | "431" | "505"), "{answer}");
            }
            // Further requests on the same connection are not answered, and a body is not read.
            let two = raw(&b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50));
            assert_eq!(two.matches("HTTP/1.1 200").count(), 1, "{two}");
            let huge = raw(&[&b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999999\r\n\r\n"[..], &[b'x'; 1 << 20]].concat());
            assert!(huge.is_empty() || huge.starts_with("HTTP/1.1 405"), "{huge}");
            assert_eq!(get("/healthz").status, 200);
            assert!(!berth.log().contains("panicked"), "{}", berth.log());
        });
    }

    fn a_head_that_does_not_come_and_an_answer_that_is_not_read_cost_seconds() {
        block_on(async {
            let _berth = answering().await;
            let started = Instant::now();
            let mut silent = connect();
            let mut slow = connect();
            slow.write_all(b"GET /healthz HT").unwrap();
            for stream in [&mut silent, &mut slow] {
                let said = rest(stream);
                assert!(said.is_empty() || said.contains(" 408 "), "{said}");
            }
            assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
            // One byte at a time is no excuse.
            let mut dripping = connect();
            let started = Instant::now();
            while dripping.write_all(b"G").is_ok() && started.elapsed() < Duration::from_secs(20) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
        });
    }

    fn a_state_directory_that_hangs_costs_metrics_and_nothing_else() {
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), listening).await;
            let pod = Pod::new("s1");
            session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            assert_eq!(get("/metrics").status, 200);
            let threads = || std::fs::read_dir(format!("/proc/{}/task", berth.pid())).unwrap().count();
            let before = threads();
            // Whoever opens it now waits until somebody answers for it.
            let flags = InitFlags::FAN_CLASS_CONTENT | InitFlags::FAN_NONBLOCK;
            let gate = Fanotify::init(flags, EventFFlags::O_RDONLY).unwrap();
            let mask = MaskFlags::FAN_OPEN_PERM | MaskFlags::FAN_ONDIR;
            gate.mark(MarkFlags::FAN_MARK_ADD, mask, nix::fcntl::AT_FDCWD, Some("/run/berth/sandboxes")).unwrap();
            // The count of records is good for five seconds; then it is made anew.
            let hangs = || {
                let scrape = std::thread::spawn(|| raw(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"));
                std::thread::sleep(Duration::from_millis(300));
                (!scrape.is_finished()).then_some(scrape)
            };
            let mut waiting = vec![eventually("the next count hangs", hangs).await];
            waiting.extend((0..8).map(|_| std::thread::spawn(|| raw(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n"))));
            let started = Instant::now();
            for _ in 0..20 {
                assert_eq!(get("/healthz").status, 200);
                let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
                assert!(swapped(&answer).is_some());
            }
            assert!(started.elapsed() < Duration::from_millis(1600), "{:?}", started.elapsed());
            assert!(waiting.iter().all(|scrape| !scrape.is_finished()), "nobody is answered meanwhile");
            assert!(threads() <= before + 1, "one thread waits for all of them");
            drop(gate);
            for scrape in waiting {
                assert!(scrape.join().unwrap().contains("berth_records{state=\"pinned\"} 1"));
            }
        });
    }

    fn hundreds_of_bad_clients_disturb_no_container_and_take_no_descriptors() {
        block_on(async {
            let (_runtime, session, berth) = ready(Profile::containerd_2_3(), listening).await;
            let pods: Vec<_> = (0..20).map(|n| Pod::new(&format!("s{n}"))).collect();
            // What watches over pins is opened with the first of them.
            for pod in &pods {
                session.create_container(pod.message.clone(), pod.container()).await.unwrap();
            }
            assert_eq!(get("/metrics").status, 200);
            let pid = berth.pid();
            let descriptors = || std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
            let before = descriptors();
            let crowd = Crowd::gather();
            let (mut longest, mut most, started) = (Duration::ZERO, 0, Instant::now());
            while started.elapsed() < Duration::from_secs(6) || !crowd.has_been_at_it() {
                assert!(started.elapsed() < Duration::from_secs(30), "{:?}", crowd.0);
                for pod in &pods {
                    let started = Instant::now();
                    let answer = session.create_container(pod.message.clone(), pod.container()).await.unwrap();
                    longest = longest.max(started.elapsed());
                    assert!(swapped(&answer).is_some());
                }
                most = most.max(descriptors());
            }
            let (tried, refused, served) = crowd.disperse();
            // The runtime waits two seconds; after 80 % of them the daemon would answer that it is late.
            assert!(longest < Duration::from_millis(1600), "{longest:?}");
            // Sixteen connections, one that is told no, and what a page reads.
            assert!(most <= before + 16 + 1 + 5, "{before} before, {most} at most");
            eventually("their descriptors are closed", || (descriptors() <= before).then_some(())).await;
            assert_eq!(get("/readyz").status, 200);
            eprintln!(
                "longest CreateContainer {longest:?}; descriptors {before}, {most} at most; \
                 {tried} clients, {refused} refused, {served} served"
            );
        });
    }
}

/// What the crowd has done so far.
#[derive(Debug, Default)]
struct Deeds {
    stop: AtomicBool,
    tried: AtomicU32,
    refused: AtomicU32,
    served: AtomicU32,
}

/// Clients of all bad kinds on threads of their own, some hundreds at once.
struct Crowd(Arc<Deeds>, Vec<JoinHandle<()>>);

impl Crowd {
    fn gather() -> Self {
        let deeds = Arc::new(Deeds::default());
        let kinds = [silent, slow, malformed, huge, scraping, scraping];
        let threads = kinds.map(|kind| {
            let deeds = Arc::clone(&deeds);
            std::thread::spawn(move || {
                while !deeds.stop.load(Ordering::Relaxed) {
                    kind(&deeds)
                }
            })
        });
        Self(deeds, threads.into())
    }

    fn has_been_at_it(&self) -> bool {
        let Deeds { tried, refused, served, .. } = &*self.0;
        tried.load(Ordering::Relaxed) >= 500
            && refused.load(Ordering::Relaxed) >= 100
            && served.load(Ordering::Relaxed) >= 20
    }

    fn disperse(mut self) -> (u32, u32, u32) {
        self.0.stop.store(true, Ordering::Relaxed);
        self.1.drain(..).for_each(|thread| thread.join().unwrap());
        let Deeds { tried, refused, served, .. } = &*self.0;
        let [tried, refused, served] = [tried, refused, served].map(|count| count.load(Ordering::Relaxed));
        (tried, refused, served)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

impl Deeds {
    fn connect(&self) -> Option<TcpStream> {
        self.tried.fetch_add(1, Ordering::Relaxed);
        let stream = TcpStream::connect(TCP).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Some(stream)
    }

    fn note(&self, answer: &str) {
        match answer.split(' ').nth(1) {
            Some("503") => self.refused.fetch_add(1, Ordering::Relaxed),
            Some("200") => self.served.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}

/// A hundred connections on which nothing is said, for half a second.
fn silent(deeds: &Deeds) {
    let held: Vec<_> = (0..100).filter_map(|_| deeds.connect()).collect();
    std::thread::sleep(Duration::from_millis(500));
    drop(held);
    std::thread::sleep(Duration::from_millis(200));
}

/// Fifty heads that never end.
fn slow(deeds: &Deeds) {
    let mut held: Vec<_> = (0..50).filter_map(|_| deeds.connect()).collect();
    for byte in b"GET /metrics" {
        held.iter_mut().for_each(|stream| stream.write_all(&[*byte]).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(30));
    }
    std::thread::sleep(Duration::from_millis(100));
}

fn malformed(deeds: &Deeds) {
    if let Some(mut stream) = deeds.connect() {
        stream.write_all(b"\0\x16\x03GET GET\r\n\r\n").unwrap_or_default();
        deeds.note(&rest(&mut stream));
    }
}

fn huge(deeds: &Deeds) {
    if let Some(mut stream) = deeds.connect() {
        stream.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap_or_default();
        stream.write_all(&[b'x'; 1 << 20]).unwrap_or_default();
        deeds.note(&rest(&mut stream));
    }
}

fn scraping(deeds: &Deeds) {
    if let Some(mut stream) = deeds.connect() {
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").unwrap_or_default();
        deeds.note(&rest(&mut stream));
    }
}
