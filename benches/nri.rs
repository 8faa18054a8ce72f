//! What a runtime waits for and what a node carries: the berth daemon beside a plugin that does the same job on the
//! reference stub in Go (`benches/peer`), both asked by the reference adaptation over real sockets, with real pins. All
//! take turns in one run. Prints the tables of `docs/benchmarks.md`.
//!
//! Root and Go. Runs itself again in mount and network namespaces of its own. `BERTH_BIN` names the binary to measure (the
//! shipped one is static); else the one cargo built. `BERTH_BENCH=short` is the form for CI.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench"
)]

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use berth::netns::Store;
use berth::pin::PinName;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

#[path = "nri/constant.rs"]
mod constant;
#[path = "figures/mod.rs"]
mod figures;
#[path = "../tests/common/isolated.rs"]
mod isolated;
#[path = "../tests/rig/provision.rs"]
#[allow(dead_code, reason = "one component is asked for, and no rig")]
mod provision;
#[path = "nri/runtime.rs"]
mod runtime;

use figures::{Spread, Targets, columns, heading, micros, millis, percentile, rounds, row};
use runtime::{Plugin, Programs, Runtime, Side};

const ENGINE: &str = "/run/engine";
const FEW: usize = 10;

fn many() -> usize {
    rounds(500, 5_000)
}

/// Mounted where a start on a node in use is measured.
const IN_USE: usize = 1_000;

/// Calls in a round.
fn creations() -> usize {
    rounds(100, 500)
}

/// Calls at the begin of a round that do not count.
const WARM_UP: usize = 50;
const SETTLE: Duration = Duration::from_millis(50);

fn lives() -> usize {
    rounds(10, 50)
}

/// The network namespaces of pods, as an engine would have made them.
fn namespaces(numbers: Range<usize>) {
    let store = Store::open(Path::new(ENGINE)).unwrap();
    for number in numbers {
        let name = PinName::parse(&format!("berth-cni-{number}")).unwrap();
        store.create(&name).expect("create a network namespace (root)");
    }
}

/// Plugins and what was asked of them, round by round.
#[derive(Debug)]
struct Asked {
    plugin: Plugin,
    /// How many of its pods are asked for.
    of: usize,
    create: Vec<Vec<Duration>>,
    run: Vec<Vec<Duration>>,
}

/// In the order of the table.
const BERTH: usize = 0;
const PEER: usize = 1;
const BERTH_MANY: usize = 2;
const PEER_MANY: usize = 3;
const BERTH_MANY_FEW: usize = 4;
const STUB: usize = 5;
const CONSTANT: usize = 6;

impl Asked {
    /// A percentile of each round, in microseconds.
    fn create(&self, of_thousand: usize) -> impl Iterator<Item = f64> {
        self.create.iter().map(move |times| micros(percentile(times, of_thousand)))
    }

    fn run(&self, of_thousand: usize) -> impl Iterator<Item = f64> {
        self.run.iter().map(move |times| micros(percentile(times, of_thousand)))
    }
}

fn ask(runtime: &mut Runtime<'_>, tag: &str) -> [Asked; 7] {
    let many = many();
    let plugin = |runtime: &mut Runtime<'_>, name, side, pods| runtime.plugin(&format!("{tag}-{name}"), side, pods);
    let berth_many = plugin(runtime, "berth-many", Side::Berth, many);
    let plugins = [
        (plugin(runtime, "berth", Side::Berth, FEW), FEW),
        (plugin(runtime, "peer", Side::Peer, FEW), FEW),
        (berth_many.clone(), many),
        (plugin(runtime, "peer-many", Side::Peer, many), many),
        (berth_many, FEW),
        (plugin(runtime, "stub", Side::Stub, FEW), FEW),
        (plugin(runtime, "constant", Side::Constant, FEW), FEW),
    ];
    let mut all = plugins.map(|(plugin, of)| Asked { plugin, of, create: Vec::new(), run: Vec::new() });
    let rounds = rounds(3, 15);
    for round in 0..=rounds {
        for (which, asked) in all.iter_mut().enumerate() {
            // What the one before has left to do behind its answers, such as collecting garbage, is not this one's.
            std::thread::sleep(SETTLE);
            runtime.create(&asked.plugin, WARM_UP, asked.of);
            let create = runtime.create(&asked.plugin, creations(), asked.of);
            // The plugin is asked under another number already.
            let pods = if which == BERTH_MANY_FEW { 0 } else { lives() };
            let run = runtime.burst(&asked.plugin, pods);
            if round > 0 {
                // The first one warms up.
                asked.create.push(create);
                asked.run.push(run);
            }
        }
    }
    for asked in all.iter().enumerate().filter(|(which, _)| *which != BERTH_MANY_FEW).map(|(_, asked)| asked) {
        runtime.stop(&asked.plugin);
    }
    all
}

/// The ratio of two, round by round.
fn ratio(of: impl Iterator<Item = f64>, to: impl Iterator<Item = f64>) -> Spread {
    Spread::of(of.zip(to).map(|(of, to)| of / to))
}

/// The ratio of what two take beyond what a constant answer takes.
fn own(of: impl Iterator<Item = f64>, to: impl Iterator<Item = f64>, floor: impl Iterator<Item = f64>) -> Spread {
    Spread::of(of.zip(to).zip(floor).map(|((of, to), floor)| (of - floor) / (to - floor)))
}

fn round_trips(programs: &Programs, place: &str, targets: &Targets) {
    let tag = place.split_whitespace().next().unwrap().to_lowercase();
    let all = ask(&mut Runtime::start(programs, Path::new(ENGINE)), &tag);
    println!(
        "\n{place}. Medians of {} rounds of {} and {} calls, µs. \"constant\" reads a frame, decodes nothing and writes a \
         prepared answer; a plugin's own part is what it takes beyond that, its stub included.\n",
        all[0].create.len(),
        creations(),
        lives()
    );
    columns(&["call", "berth p50", "Go p50", "constant p50", "berth against Go", "target", "p99: berth", "Go"]);
    let p50 = |times: Vec<f64>| format!("{:.0}", Spread::of(times).middle);
    let target = |what: &str, ratio: Spread, limit| targets.at_most(&format!("{what}, {place}"), ratio.middle, limit);
    for (pods, berth, peer) in [(FEW, BERTH, PEER), (many(), BERTH_MANY, PEER_MANY)] {
        let (berth, peer, floor) = (&all[berth], &all[peer], &all[CONSTANT]);
        let what = format!("CreateContainer, {pods} pods");
        let found = ratio(berth.create(500), peer.create(500));
        row(&[
            what.clone(),
            p50(berth.create(500).collect()),
            p50(peer.create(500).collect()),
            p50(floor.create(500).collect()),
            found.to_string(),
            target(&what, found, 0.6),
            format!("{:.0}", Spread::of(berth.create(990))),
            format!("{:.0}", Spread::of(peer.create(990))),
        ]);
        let found = own(berth.create(500), peer.create(500), floor.create(500));
        let what = format!("the plugin's own part of it, {pods} pods");
        let less =
            |asked: &Asked| p50(asked.create(500).zip(floor.create(500)).map(|(all, less)| all - less).collect());
        row(&[
            what.clone(),
            less(berth),
            less(peer),
            "0".into(),
            found.to_string(),
            target(&what, found, 0.3),
            String::new(),
            String::new(),
        ]);
        let what = format!("RunPodSandbox with its pin, {pods} pods");
        let found = ratio(berth.run(500), peer.run(500));
        row(&[
            what.clone(),
            p50(berth.run(500).collect()),
            p50(peer.run(500).collect()),
            p50(floor.run(500).collect()),
            found.to_string(),
            target(&what, found, 1.0),
            format!("{:.0}", Spread::of(berth.run(990))),
            format!("{:.0}", Spread::of(peer.run(990))),
        ]);
    }
    flat(&all, place, targets);
}

fn flat(all: &[Asked; 7], place: &str, targets: &Targets) {
    let many = many();
    println!();
    columns(&["against the same with 10 pods", "berth", "target", "Go"]);
    let found = ratio(all[BERTH_MANY_FEW].create(500), all[BERTH].create(500));
    let what = format!("CreateContainer, {many} pods known, {FEW} of them asked for");
    row(&[
        what.clone(),
        found.to_string(),
        targets.at_most(&format!("{what}, {place}"), found.middle, 1.1),
        String::new(),
    ]);
    let pairs = [(BERTH_MANY, BERTH), (PEER_MANY, PEER)];
    let [berth, peer] = pairs.map(|(side, few)| ratio(all[side].create(500), all[few].create(500)).to_string());
    row(&[format!("CreateContainer, {many} pods known and asked for in turn"), berth, String::new(), peer]);
    let [berth, peer] = pairs.map(|(side, few)| ratio(all[side].run(500), all[few].run(500)).to_string());
    row(&[format!("RunPodSandbox, {many} pods known"), berth, String::new(), peer]);
    let stub = own(all[STUB].create(500), all[PEER].create(500), all[CONSTANT].create(500));
    let [berth, peer] = [BERTH_MANY, PEER_MANY].map(|side| &all[side].plugin);
    println!(
        "\nOf the Go plugin's own part, the reference stub takes {stub}. Synchronize of {many} pods with {} containers, in \
         pieces: berth {:.0} ms, Go {:.0} ms.",
        2 * many,
        millis(berth.synchronized),
        millis(peer.synchronized)
    );
}

const BOTH: [(&str, Side); 2] = [("berth", Side::Berth), ("peer", Side::Peer)];

/// Two sides' figures, and the ratio of the first to the second, round by round.
fn beside<const N: usize>(rounds: &[[[f64; N]; 2]], which: usize) -> [Spread; 3] {
    let side = |side: usize| Spread::of(rounds.iter().map(|round| round[side][which]));
    [side(0), side(1), Spread::of(rounds.iter().map(|round| round[0][which] / round[1][which]))]
}

/// How long both take to start, round by round.
fn starts(programs: &Programs, place: &str) -> Vec<[[f64; 1]; 2]> {
    let mut runtime = Runtime::start(programs, Path::new(ENGINE));
    let start = |round| {
        BOTH.map(|(name, side)| {
            let plugin = runtime.plugin(&format!("{name}-{place}-{round}"), side, 0);
            runtime.stop(&plugin);
            [millis(plugin.came)]
        })
    };
    (0..rounds(5, 31)).map(start).collect()
}

fn start(programs: &Programs, targets: &Targets) {
    let empty = starts(programs, "empty");
    namespaces(0..IN_USE);
    let in_use = starts(programs, "in-use");
    heading("Start");
    println!("From exec to registered, configured and synchronized, for the first time in a directory of its own.\n");
    let what = format!("with {IN_USE} network namespaces mounted");
    columns(&["milliseconds", "berth", "target", "Go", "berth against Go"]);
    for (what, took, limit) in [("with nothing mounted", empty, Some(10.0)), (&what, in_use, None)] {
        let [berth, peer, ratio] = beside(&took, 0);
        let target = limit.map_or_else(String::new, |limit| targets.at_most("start, ms", berth.middle, limit));
        row(&[what.to_owned(), berth.to_string(), target, peer.to_string(), ratio.to_string()]);
    }
    let size = |path: &Path| std::fs::metadata(path).unwrap().len() as f64 / 1e6;
    let (berth, peer) = (size(&programs.berth), size(&programs.peer));
    println!();
    columns(&["megabytes", "berth", "target", "Go", "berth against Go"]);
    row(&[
        "the binary, static and stripped".into(),
        format!("{berth:.2}"),
        targets.at_most("size, MB", berth, 5.0),
        format!("{peer:.2}"),
        format!("{:.2}", berth / peer),
    ]);
}

/// What is resident with so many pods, which have come one by one, each with two containers.
const POPULATIONS: [usize; 3] = [0, 100, 1_000];

fn memory(programs: &Programs, targets: &Targets) {
    heading("Memory");
    let mut runtime = Runtime::start(programs, Path::new(ENGINE));
    let mut found = [const { Vec::new() }; POPULATIONS.len()];
    for round in 0..rounds(1, 5) {
        let plugins = BOTH.map(|(name, side)| runtime.plugin(&format!("{name}-grows-{round}"), side, 0));
        let mut there = 0;
        for (pods, found) in POPULATIONS.iter().zip(&mut found) {
            for plugin in &plugins {
                runtime.run(plugin, pods - there);
            }
            there = *pods;
            // What gives memory back by and by, such as Go's runtime, has time to.
            std::thread::sleep(Duration::from_secs(2));
            found.push([0, 1].map(|side: usize| plugins[side].resident().map(|kilobytes| kilobytes / 1e3)));
        }
        for plugin in &plugins {
            runtime.stop(plugin);
        }
    }
    columns(&["resident, MB", "berth", "Go", "berth against Go", "target", "of it no file's: berth", "Go"]);
    for (pods, found) in POPULATIONS.iter().zip(found) {
        let [berth, peer, ratio] = beside(&found, 0);
        let [own, peers_own, _] = beside(&found, 1);
        let target = targets.at_most(&format!("memory with {pods} pods"), ratio.middle, 0.4);
        row(&[
            format!("{pods} pods"),
            berth.to_string(),
            peer.to_string(),
            ratio.to_string(),
            target,
            format!("{:.2}", own.middle),
            format!("{:.2}", peers_own.middle),
        ]);
    }
}

/// Ten pods in a second.
const RATE: Duration = Duration::from_millis(100);

fn pods(programs: &Programs) {
    heading("A pod's whole life");
    let mut runtime = Runtime::start(programs, Path::new(ENGINE));
    let sides = [BOTH[0], BOTH[1], ("constant", Side::Constant)];
    let plugins = sides.map(|(name, side)| runtime.plugin(&format!("{name}-lives"), side, FEW));
    let each = 30;
    let (mut work, mut switches) = (Vec::new(), Vec::new());
    for round in 0..=rounds(1, 5) {
        let found = plugins.each_ref().map(|plugin| {
            let before = (plugin.worked(), plugin.switched());
            runtime.live(plugin, each, RATE);
            [micros(plugin.worked() - before.0), plugin.switched() - before.1].map(|all| all / each as f64)
        });
        if round > 0 {
            work.push([[found[0][0], found[2][0]], [found[1][0], found[2][0]]]);
            switches.push([[found[0][1], found[2][1]], [found[1][1], found[2][1]]]);
        }
    }
    for plugin in &plugins {
        runtime.stop(plugin);
    }
    println!(
        "Ten pods in a second, each with two containers, from RunPodSandbox to RemovePodSandbox; idle time included.\n"
    );
    columns(&["for each pod", "berth", "Go", "berth against Go"]);
    for (what, found) in [("processor time, µs", work), ("context switches", switches)] {
        let [berth, peer, ratio] = beside(&found, 0);
        row(&[what.to_owned(), format!("{berth:.0}"), format!("{peer:.0}"), ratio.to_string()]);
    }
}

fn measure() {
    let path = |key: &str, given: &std::collections::HashMap<String, String>| given[key].clone().into();
    let given = provision::components(&["peer"]);
    let programs = Programs {
        berth: std::env::var_os("BERTH_BIN").map_or_else(|| env!("CARGO_BIN_EXE_berth").into(), Into::into),
        peer: path("BERTH_BENCH_PEER", &given),
        runtime: path("BERTH_BENCH_RUNTIME", &given),
    };
    let targets = Targets::default();
    std::fs::create_dir(ENGINE).unwrap();
    start(&programs, &targets);
    namespaces(IN_USE..many().max(IN_USE));
    heading("The runtime's wait");
    let this = Pid::from_raw(0);
    let all = sched_getaffinity(this).unwrap();
    let mut one = CpuSet::new();
    one.set((0..CpuSet::count()).find(|cpu| all.is_set(*cpu).unwrap()).unwrap()).unwrap();
    for (place, set) in [("All on one processor", one), ("Where the scheduler puts them", all)] {
        sched_setaffinity(this, &set).unwrap();
        round_trips(&programs, place, &targets);
    }
    memory(&programs, &targets);
    pods(&programs);
    targets.conclude();
}

fn main() {
    const INSIDE: &str = "BERTH_BENCH_ISOLATED";
    let args: Vec<_> = std::env::args().collect();
    if let [_, constant, socket] = &args[..]
        && constant == "constant"
    {
        return constant::serve(Path::new(socket));
    }
    if std::env::var_os(INSIDE).is_some() {
        return measure();
    }
    let status = isolated::again(&[], "exec \"$@\"").env(INSIDE, "1").status().expect("unshare (util-linux) runs");
    assert!(status.success(), "needs root, namespaces and Go, or missed a target by far");
}
