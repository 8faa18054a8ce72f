//! Interposers, daemon and `berth gc` on the same sandboxes at the same time: real processes, a real kernel, in namespaces
//! of the test's own. Any of them is stopped and continued at any moment, and now and then killed.
//!
//! Two sandboxes live life after life, one of them under its old id, each time in a new network namespace. From when a door has said
//! that a sandbox is pinned until its engine gives the namespace up, and as long as a task is left in it, the pin must not
//! go: the directory is watched for that, so that not even a moment without it is missed. What a process may say instead is
//! only that another is at it. In the end nothing is left.
//!
//! `BERTH_RACES=<seconds>` says how long (12), `BERTH_RACES_SEED` what is tried; the seed is printed. It settles what is done
//! and when, not what the kernel makes of it, so a failure comes again with it often rather than always.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]
#![allow(clippy::print_stderr, reason = "the seed, and what was tried")]

#[path = "races/chance.rs"]
mod chance;
#[path = "common/fake_runtime.rs"]
mod fake_runtime;
#[path = "common/isolated.rs"]
mod isolated;
#[path = "races/keepers.rs"]
mod keepers;
#[path = "races/life.rs"]
mod life;
#[path = "daemon/node.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod node;
#[path = "races/scene.rs"]
mod scene;
#[path = "interpose/stage.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod stage;

use std::time::Duration;

use chance::Chance;
use life::Ids;
use scene::Scene;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().expect(variable))
}

fn body() {
    let seed = number("BERTH_RACES_SEED").expect("chosen outside");
    let time = Duration::from_secs(number("BERTH_RACES").unwrap_or(12));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let scene = Scene::set(Chance::of(seed));
        let (one, other) = (Chance::of(seed + 1), Chance::of(seed + 2));
        tokio::join!(
            scene.ends_after(time),
            life::lives(&scene, Ids::Again, one),
            life::lives(&scene, Ids::Fresh, other),
            keepers::nemesis(&scene),
            keepers::daemon(&scene),
            keepers::gc(&scene),
            keepers::gc(&scene),
        );
        scene.nothing_is_left().await;
        eprintln!("{}", scene.tally());
    });
}

#[test]
fn interposers_daemon_and_gc_at_the_same_sandboxes() {
    if std::env::var_os("BERTH_RACES_SEED").is_none() && std::env::var_os(isolated::INSIDE).is_none() {
        let seed = u64::from(std::process::id());
        return with_seed(seed);
    }
    isolated::run(concat!(module_path!(), "::interposers_daemon_and_gc_at_the_same_sandboxes"), body);
}

/// The same test, as a program of its own that has the seed from its environment.
fn with_seed(seed: u64) {
    eprintln!("BERTH_RACES_SEED={seed}");
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["interposers_daemon_and_gc_at_the_same_sandboxes", "--exact", "--nocapture"])
        .env("BERTH_RACES_SEED", seed.to_string())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "BERTH_RACES_SEED={seed}\n{text}");
}
