//! What a runtime waits for: round trips of the berth binary over a real socket, with real pins, and what the daemon
//! weighs. Prints one table; `docs/benchmarks.md` keeps what it showed.
//!
//! Root. Runs itself again in mount and network namespaces of its own. `BERTH_BIN` names the binary to measure (the
//! shipped one is static); else the one cargo built.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use berth::netns::Store;
use berth::nri::Event;
use berth::nri::api::{Container, LinuxNamespace, PodSandbox};
use berth::pin::PinName;

#[path = "../tests/common/fake_runtime.rs"]
mod fake_runtime;
use fake_runtime::{FakeRuntime, Profile, Session};

const ENGINE: &str = "/run/engine";
const FEW: usize = 10;
const MANY: usize = 5_000;
const ROUNDS: usize = 15;
const CALLS: usize = 500;
const NEW_PODS: usize = 500;

/// A daemon of its own directories, and the runtime's side of its session.
struct Node {
    berth: Child,
    session: Session,
    pods: Vec<PodSandbox>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.berth.kill().unwrap();
        self.berth.wait().unwrap();
    }
}

fn binary() -> PathBuf {
    std::env::var_os("BERTH_BIN").map_or_else(|| env!("CARGO_BIN_EXE_berth").into(), PathBuf::from)
}

/// A pod with a network namespace of its own, as an engine would have made it.
fn pod(engine: &Store, id: &str) -> PodSandbox {
    let name = PinName::parse(&format!("berth-{id}")).unwrap();
    engine.create(&name).expect("create a network namespace (root)");
    let mut pod = fake_runtime::pod(id);
    pod.runtime_handler = "kata".into();
    pod.pid = std::process::id();
    let path = engine.path(&name).to_str().unwrap().to_owned();
    let namespace = LinuxNamespace { type_: "network".into(), path, ..Default::default() };
    pod.linux.mut_or_insert_default().namespaces.push(namespace);
    pod
}

/// A container as containerd announces it: its own identity keys, and a path below `/proc`.
fn container(pod: &PodSandbox) -> Container {
    let mut container = fake_runtime::container("c1", &pod.id);
    container.name = "app".into();
    let keys = [
        ("container-type", "container"),
        ("sandbox-id", &pod.id),
        ("sandbox-name", &pod.name),
        ("sandbox-namespace", &pod.namespace),
    ];
    for (key, value) in keys {
        container.annotations.insert(format!("io.kubernetes.cri.{key}"), value.to_owned());
    }
    let path = format!("/proc/{}/ns/net", std::process::id());
    let namespace = LinuxNamespace { type_: "network".into(), path, ..Default::default() };
    container.linux.mut_or_insert_default().namespaces.push(namespace);
    container
}

async fn node(tag: &str, engine: &Store, count: usize) -> (Node, Duration) {
    let pods: Vec<_> = (0..count).map(|n| pod(engine, &format!("{tag}-{n}"))).collect();
    let socket = format!("/run/{tag}.sock");
    let runtime = FakeRuntime::listen(Path::new(&socket));
    let log = format!("/run/{tag}.log");
    let berth = Command::new(binary())
        .args([
            "nri",
            "--socket",
            &socket,
            "--state-dir",
            &format!("/run/{tag}"),
            "--netns-dir",
            &format!("/run/{tag}-netns"),
        ])
        .stderr(std::fs::File::create(&log).unwrap())
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let session = runtime.accept(Profile::containerd_2_3()).await;
    session.configure().await.unwrap();
    let containers = pods.iter().flat_map(|pod| (0..10).map(move |_| container(pod))).collect();
    let started = Instant::now();
    session.synchronize(pods.clone(), containers).await.unwrap();
    let synchronized = started.elapsed();
    while !std::fs::read_to_string(&log).unwrap().contains(&format!("event=CatchUp pinned={count}")) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (Node { berth, session, pods }, synchronized)
}

impl Node {
    async fn create_container(&self, number: usize) -> Duration {
        let pod = &self.pods[number % self.pods.len()];
        let (pod, container) = (pod.clone(), container(pod));
        let started = Instant::now();
        let answer = self.session.create_container(pod, container).await.unwrap();
        let elapsed = started.elapsed();
        assert_eq!(answer.adjust.linux.namespaces.len(), 1);
        elapsed
    }

    /// Kilobytes.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.berth.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

fn percentile(sorted: &[Duration], of_thousand: usize) -> Duration {
    sorted[(sorted.len() * of_thousand / 1000).min(sorted.len() - 1)]
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    percentile(times, 500)
}

fn row(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    println!(
        "{what:<52} p50 {:>10.1?}  p99 {:>10.1?}  ({} calls)",
        percentile(&times, 500),
        percentile(&times, 990),
        times.len()
    );
}

async fn measure() {
    std::fs::create_dir(ENGINE).unwrap();
    let engine = Store::open(Path::new(ENGINE)).unwrap();
    println!("binary: {} bytes", std::fs::metadata(binary()).unwrap().len());

    let (empty, _) = node("empty", &engine, 0).await;
    let (hundred, _) = node("hundred", &engine, 100).await;
    println!("resident memory: {} kB without pods, {} kB with 100", empty.resident(), hundred.resident());
    drop((empty, hundred));

    let (few, _) = node("few", &engine, FEW).await;
    let (many, synchronized) = node("many", &engine, MANY).await;
    println!(
        "Synchronize of {MANY} pods with {} containers: {synchronized:.0?}; resident then {} kB",
        MANY * 10,
        many.resident()
    );

    let nodes = [(&few, FEW), (&many, FEW), (&many, MANY)];
    let (mut times, mut ratios) = ([const { Vec::new() }; 3], [const { Vec::new() }; 3]);
    for round in 0..ROUNDS {
        // In turns, so that what else the machine does falls on all.
        let mut medians = Vec::new();
        for ((node, of), times) in nodes.iter().zip(&mut times) {
            let mut block = Vec::new();
            for number in 0..CALLS {
                block.push(node.create_container((round * CALLS + number) * 7 % of).await);
            }
            medians.push(median(&mut block).as_secs_f64());
            times.append(&mut block);
        }
        ratios.iter_mut().zip(&medians).for_each(|(ratios, median)| ratios.push(median / medians[0]));
    }
    let what = ["10 pods known", "5000 known, 10 of them asked for", "5000 known and asked for in turn"];
    for ((what, times), mut ratios) in what.iter().zip(times).zip(ratios) {
        row(&format!("CreateContainer, {what}"), times);
        ratios.sort_unstable_by(f64::total_cmp);
        let [low, middle, high] = [0, ROUNDS / 2, ROUNDS - 1].map(|at| ratios[at]);
        println!("{:<52} {middle:.2} ({low:.2} to {high:.2}, {ROUNDS} rounds)", "  median against the first row's");
    }

    let (mut at_few, mut at_many) = (Vec::new(), Vec::new());
    for number in 0..NEW_PODS {
        for (node, times, tag) in [(&few, &mut at_few, "new-few"), (&many, &mut at_many, "new-many")] {
            let pod = pod(&engine, &format!("{tag}-{number}"));
            let started = Instant::now();
            node.session.event(Event::RunPodSandbox, Some(pod), None).await.unwrap();
            times.push(started.elapsed());
        }
    }
    row(&format!("RunPodSandbox with its pin, {FEW} pods known"), at_few);
    row(&format!("RunPodSandbox with its pin, {MANY} pods known"), at_many);
}

fn main() {
    const INSIDE: &str = "BERTH_BENCH_ISOLATED";
    if std::env::var_os(INSIDE).is_none() {
        // All on one processor: what a wake-up on another one costs depends on where the scheduler happens to put whom,
        // and is more than all of berth's work.
        let script = "mount -t tmpfs -o mode=0755 tmpfs /run && exec taskset --cpu-list 0 \"$@\"";
        let status = Command::new("unshare")
            .args(["--mount", "--net", "--propagation", "private", "--", "sh", "-c", script, "sh"])
            .arg(std::env::current_exe().unwrap())
            .env(INSIDE, "1")
            .status()
            .expect("unshare (util-linux) runs");
        assert!(status.success(), "needs root and namespaces");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(measure());
}
