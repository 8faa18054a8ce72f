//! What an interposer adds to a container's creation: wall time from spawn to exit of berth in front of a delegate that
//! ends at once, against the delegate alone, and beside a wrapper in Go that does the same by way of the typed
//! specification (`benches/go-wrapper`). All take turns in one run. Prints the table of `docs/benchmarks.md`.
//!
//! Root and Go. Runs itself again in mount and network namespaces of its own. `BERTH_BIN` names the binary to measure (the
//! shipped one is static); else the one cargo built. `BERTH_BENCH=short` is the form for CI.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench"
)]

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[path = "figures/mod.rs"]
mod figures;
#[path = "../tests/common/isolated.rs"]
mod isolated;
#[path = "interpose/node.rs"]
mod node;
#[path = "../tests/rig/provision.rs"]
#[allow(dead_code, reason = "one component is asked for, and no rig")]
mod provision;
#[path = "interpose/spec.rs"]
mod spec;

use figures::{Spread, Targets, columns, heading, millis, percentile, rounds, row};
use node::{Node, RUNTIME, SHIM, Side, creating, words};
use spec::Container;

fn blocks() -> usize {
    rounds(3, 15)
}

fn each() -> usize {
    rounds(15, 60)
}

/// What berth may add of what the wrapper adds.
const SHARE: f64 = 0.25;
/// The sandbox that is created over and over.
const SANDBOX: &str = "3f1bf2f0a8e94e5d9be0e6f2b4c1d7a6e5f4c3b2a1908f7e6d5c4b3a29181706";
/// The container that joins the first pod, likewise.
const MEMBER: &str = "c0ffee00a8e94e5d9be0e6f2b4c1d7a6e5f4c3b2a1908f7e6d5c4b3a29181706";
const ALL: &[Side] = &[Side::Direct, Side::Berth, Side::Go];

/// What a creation is to do beside writing who the container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Netns {
    /// Nothing: the host's network.
    Host,
    /// To give a member the pin, which stands.
    Pinned,
    /// To pin a sandbox's and give it the pin.
    ToPin,
}

/// One command line, run by several sides.
#[derive(Debug)]
struct Case<'a> {
    what: String,
    /// The most that berth may add at the median.
    target: Duration,
    node: &'a Node,
    sides: &'static [Side],
    program: &'static str,
    args: Vec<String>,
    bundle: PathBuf,
    /// What is in the bundle before each run.
    text: String,
    /// `None`: nothing is created.
    netns: Option<Netns>,
}

impl<'a> Case<'a> {
    fn passing(node: &'a Node, args: &[&str]) -> Self {
        Self {
            what: args[0].to_owned(),
            target: Duration::from_micros(400),
            args: words(&[&["--root", "/run/containerd/runc/k8s.io"], args].concat()),
            netns: None,
            ..Self::creating(node, RUNTIME, "create", Netns::Host)
        }
    }

    fn creating(node: &'a Node, program: &'static str, command: &str, netns: Netns) -> Self {
        let (engine, through, of) = (node::netns("bench"), node.pause.netns(), node.sandbox());
        let (id, what, container) = match netns {
            Netns::Host => (SANDBOX, "sandbox of the host's network", Container::sandbox(SANDBOX, None)),
            Netns::Pinned => (MEMBER, "member, the pin stands", Container::member(&of, &through)),
            Netns::ToPin => (SANDBOX, "sandbox, pinned", Container::sandbox(SANDBOX, Some(&engine))),
        };
        let text = spec::text(container);
        let bundle = node.bundle(id, &text);
        let args = match program {
            SHIM => words(&[
                "-namespace",
                "k8s.io",
                "-address",
                "/run/x.sock",
                "-publish-binary",
                "/bin/x",
                "-id",
                id,
                command,
            ]),
            _ => creating(command, &bundle, id),
        };
        Self {
            what: format!("{command}: {what}"),
            target: Duration::from_micros(if netns == Netns::ToPin { 1000 } else { 700 }),
            node,
            sides: ALL,
            program,
            args,
            bundle,
            text,
            netns: Some(netns),
        }
    }

    /// Without the wrapper in Go, which knows no shims and is no other with more pods.
    fn without_go(self, what: &str) -> Self {
        Self { what: format!("{} {what}", self.what), sides: &ALL[..2], ..self }
    }

    /// Runs it once; how long that took from spawn to exit.
    fn run(&self, side: Side) -> Duration {
        fs::write(self.bundle.join("config.json"), &self.text).unwrap();
        let mut command = self.node.command(side, self.program, &self.args);
        command.current_dir(&self.bundle);
        let started = Instant::now();
        let status = command.status().unwrap();
        let elapsed = started.elapsed();
        assert!(status.success(), "{}: {side:?}", self.what);
        self.check(side);
        self.node.release(side, SANDBOX);
        elapsed
    }

    /// What was measured did the work.
    fn check(&self, side: Side) {
        let after = fs::read_to_string(self.bundle.join("config.json")).unwrap();
        let Some(netns) = self.netns.filter(|_| side != Side::Direct) else {
            return assert_eq!(after, self.text, "{}: {side:?}", self.what);
        };
        assert!(after.contains("ocid/sandbox_id"), "{}: {side:?}", self.what);
        let of = if netns == Netns::Pinned { self.node.sandbox() } else { SANDBOX.to_owned() };
        let pin = self.node.pin(side, &of);
        let told = after.contains(pin.to_str().unwrap());
        assert_eq!((told, pin.exists()), (netns != Netns::Host, netns != Netns::Host), "{}: {side:?}", self.what);
    }
}

/// Times of a side: of all its runs, and the median of each block.
#[derive(Debug, Default)]
struct Times {
    all: Vec<Duration>,
    medians: Vec<Duration>,
}

impl Times {
    /// Milliseconds that this side took more than another at the median, block by block.
    fn above(&self, other: &Self) -> Vec<f64> {
        self.medians.iter().zip(&other.medians).map(|(own, other)| millis(*own) - millis(*other)).collect()
    }
}

/// All sides of all cases in turns, so that what else the machine does falls on all.
fn measure(cases: &[Case<'_>]) -> Vec<Vec<Times>> {
    let none = |case: &Case<'_>| case.sides.iter().map(|_| Times::default()).collect();
    let mut times: Vec<Vec<Times>> = cases.iter().map(none).collect();
    for block in 0..=blocks() {
        for round in 0..each() {
            for (case, times) in cases.iter().zip(&mut times) {
                for turn in 0..case.sides.len() {
                    let at = (round + turn) % case.sides.len();
                    times[at].all.push(case.run(case.sides[at]));
                }
            }
        }
        for side in times.iter_mut().flatten() {
            match block {
                0 => side.all.clear(), // it warms up
                _ => side.medians.push(percentile(&side.all[(block - 1) * each()..], 500)),
            }
        }
    }
    times
}

fn report(case: &Case<'_>, times: &[Times], targets: &Targets) {
    let (direct, berth) = (&times[0], &times[1]);
    let added = berth.above(direct);
    let go = times.get(2).map(|go| go.above(direct));
    let share = go.iter().map(|go| Spread::of(added.iter().zip(go).map(|(berth, go)| berth / go)));
    let both = |of| [direct, berth].map(|side| format!("{:.2}", millis(percentile(&side.all, of)))).join(", ");
    let adds = Spread::of(added.iter().copied());
    let target = |share: Spread| targets.at_most(&format!("{}, share", case.what), share.middle, SHARE);
    row(&[
        case.what.clone(),
        adds.to_string(),
        targets.at_most(&case.what, adds.middle, millis(case.target)),
        go.iter().map(|go| format!("{:.2}", Spread::of(go.iter().copied()).middle)).collect(),
        share.clone().map(|share| share.to_string()).collect(),
        share.map(target).collect(),
        both(500),
        both(990),
    ]);
}

fn compare() {
    let go = provision::components(&["go-wrapper"]).remove("BERTH_BENCH_GO_WRAPPER").unwrap();
    let berth = std::env::var_os("BERTH_BIN").map_or_else(|| env!("CARGO_BIN_EXE_berth").into(), PathBuf::from);
    node::install(&berth, go.as_ref());
    let [one, eight, many] = [1, 8, 110].map(Node::with_pods);
    let configured = Node::with_pods(2).configured();
    let with = |node, what| {
        [Netns::Pinned, Netns::ToPin].map(|netns| Case::creating(node, RUNTIME, "create", netns).without_go(what))
    };
    let shim = |netns| Case::creating(&one, SHIM, "start", netns).without_go("(shim)");
    let mut cases = vec![
        Case::passing(&one, &["state", SANDBOX]),
        Case::passing(&one, &["kill", SANDBOX, "9"]),
        Case::creating(&one, RUNTIME, "create", Netns::Host),
        Case::creating(&one, RUNTIME, "create", Netns::Pinned),
        Case::creating(&one, RUNTIME, "create", Netns::ToPin),
        Case::creating(&one, RUNTIME, "restore", Netns::ToPin).without_go(""),
        shim(Netns::Pinned),
        shim(Netns::ToPin),
    ];
    cases.push(Case::passing(&configured, &["state", SANDBOX]).without_go("(configuration file)"));
    cases.extend(with(&configured, "(configuration file)"));
    cases.extend(with(&eight, "(8 pods)"));
    cases.extend(with(&many, "(110 pods)"));
    heading("Interposers");
    println!("Medians of {} blocks of {}; a config.json of {} bytes.\n", blocks(), each(), cases[4].text.len());
    columns(&[
        "milliseconds",
        "berth adds",
        "target",
        "Go adds",
        "berth's share",
        "target",
        "p50: alone, with berth",
        "p99",
    ]);
    let targets = Targets::default();
    for (case, times) in cases.iter().zip(measure(&cases)) {
        report(case, &times, &targets);
    }
    targets.conclude();
}

fn main() {
    const INSIDE: &str = "BERTH_BENCH_ISOLATED";
    if std::env::var_os(INSIDE).is_some() {
        return compare();
    }
    let status = isolated::again(&[], "exec \"$@\"").env(INSIDE, "1").status().expect("unshare (util-linux) runs");
    assert!(status.success(), "needs root, namespaces and Go, or missed a target by far");
}
