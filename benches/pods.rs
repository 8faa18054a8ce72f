//! What berth adds to the start of a pod on a real containerd: from the request for its sandbox to its container being
//! started, with every door in use (the plugin registered, an interposer in front of the shim and another in front of the
//! OCI runtime) and without any. One containerd, pods in turn and paired; before each block the plugin is started, or
//! there is none. Prints a table of `docs/benchmarks.md`.
//!
//! Root. `BERTH_BIN` names the binary to measure (the shipped one is static); else the one cargo built.
//! `BERTH_BENCH=short` is the form for CI.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench"
)]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a bench")]

use std::time::{Duration, Instant};

#[path = "figures/mod.rs"]
mod figures;
#[path = "../tests/rig/mod.rs"]
mod rig;

use figures::{Targets, columns, heading, millis, percentile, rounds, row};
use rig::containerd::{Handler, NAMES};
use rig::provision::provision;
use rig::{IDLE, Rig};

/// Who starts a pod. The plain pods run twice: what lies between the two is what the machine does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Plain,
    Berth,
    PlainAgain,
}

const SIDES: [Side; 3] = [Side::Plain, Side::Berth, Side::PlainAgain];
const PLAIN: &str = "plain";
const EVERY_DOOR: &str = "every-door";
/// Pods of one side that follow each other.
const BLOCK: usize = 5;

/// RunPodSandbox, CreateContainer, StartContainer, and all of them.
type Steps = [Duration; 4];
const STEPS: [&str; 4] = ["RunPodSandbox", "CreateContainer", "StartContainer", "the whole start"];

fn rig() -> Rig {
    let runc = provision().runc.to_str().unwrap();
    let shim = Some(format!("{NAMES}/containerd-shim-berth-runc-v2"));
    let every_door = Handler { shim, ..Handler::oci(EVERY_DOOR, &format!("{NAMES}/berth-runc")) };
    let mut rig = Rig::with_handlers(&[Handler::oci(PLAIN, runc), every_door]);
    rig.start_engine();
    rig
}

/// Starts a pod and ends it again; how long its start took.
fn pod(rig: &Rig, name: &str, handler: &str) -> Steps {
    let started = Instant::now();
    let pod = rig.pod(name, handler);
    let ran = started.elapsed();
    let id = rig.cri().create_container(&pod, "app", IDLE).expect("create the container");
    let created = started.elapsed();
    rig.cri().start_container(&id).expect("start the container");
    let all = started.elapsed();
    check(rig, &pod.id, handler);
    rig.cri().stop_pod(&pod.id).expect("stop the pod");
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    [ran, created - ran, all - created, all]
}

/// What was measured did the work, or left it.
fn check(rig: &Rig, pod: &str, handler: &str) {
    let pinned = rig.path(format!("/run/netns/berth-{pod}")).exists();
    assert_eq!(pinned, handler == EVERY_DOOR, "pod {pod} of handler {handler}");
}

/// A block of one side, with the plugin registered if it is berth's.
fn block(rig: &Rig, side: Side, number: usize) -> Vec<Steps> {
    let handler = if side == Side::Berth { EVERY_DOOR } else { PLAIN };
    let berth = (side == Side::Berth).then(|| rig.berth().start());
    let steps =
        (0..BLOCK).map(|which| pod(rig, &format!("{side:?}-{number}-{which}").to_lowercase(), handler)).collect();
    if let Some(berth) = berth {
        berth.kill();
    }
    steps
}

/// The median of paired ratios, and between which two it is with 95% (order statistics: no shape is assumed).
fn paired(of: &[Steps], to: &[Steps], step: usize) -> [f64; 3] {
    let ratio = |(of, to): (&Steps, &Steps)| of[step].as_secs_f64() / to[step].as_secs_f64();
    let mut ratios: Vec<_> = of.iter().zip(to).map(ratio).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let (middle, reach) = (ratios.len() / 2, (0.98 * (ratios.len() as f64).sqrt()).ceil() as usize);
    [middle, middle.saturating_sub(reach), (middle + reach).min(ratios.len() - 1)].map(|at| ratios[at])
}

fn main() {
    let rig = rig();
    let blocks = rounds(2, 40);
    let mut all = [const { Vec::new() }; SIDES.len()];
    // The first blocks warm up.
    SIDES.iter().for_each(|side| drop(block(&rig, *side, 0)));
    for number in 1..=blocks {
        for turn in 0..SIDES.len() {
            // Each comes first, second and last as often as the others.
            let which = (number + turn) % SIDES.len();
            all[which].extend(block(&rig, SIDES[which], number));
        }
    }
    report(&all);
}

fn report([plain, berth, again]: &[Vec<Steps>; 3]) {
    let targets = Targets::default();
    heading("A pod's start");
    println!("On containerd {:?}, {} pods of each side, paired.\n", provision().containerd_version, plain.len());
    columns(&[
        "step",
        "without, ms",
        "with berth, ms",
        "ratio of pairs (95% of the median)",
        "target",
        "without against without",
    ]);
    for (step, what) in STEPS.iter().enumerate() {
        let median = |side: &[Steps]| {
            let times: Vec<_> = side.iter().map(|steps| steps[step]).collect();
            format!("{:.1}", millis(percentile(&times, 500)))
        };
        let told = |[middle, low, high]: [f64; 3]| format!("{middle:.3} ({low:.3} to {high:.3})");
        let found = paired(berth, plain, step);
        let last = step == STEPS.len() - 1;
        let target = if last { targets.at_most("a pod's start", found[0], 1.02) } else { String::new() };
        row(&[(*what).to_owned(), median(plain), median(berth), told(found), target, told(paired(again, plain, step))]);
    }
    targets.conclude();
}
