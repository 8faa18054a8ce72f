//! berth's image, as its Dockerfile makes it: what is in it, that anyone can make the same, and that a real engine runs
//! it. `make test-image`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test expects and does not get fails it"
)]

#[path = "image/archive.rs"]
mod archive;
#[path = "image/content.rs"]
mod content;
#[path = "image/reproducible.rs"]
mod reproducible;
mod rig;
#[path = "image/run.rs"]
mod run;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The name that the archives give it, as engines write names out.
const NAME: &str = "docker.io/library/berth:dev";

/// A processor that there is an image for: as images name it, as programs do, and how its programs are recognised.
struct Processor {
    arch: &'static str,
    cpu: &'static str,
    machine: &'static str,
}

const PROCESSORS: [Processor; 2] = [
    Processor { arch: "amd64", cpu: "x86_64", machine: "Advanced Micro Devices X86-64" },
    Processor { arch: "arm64", cpu: "aarch64", machine: "AArch64" },
];

/// This machine's.
fn own() -> &'static Processor {
    PROCESSORS.iter().find(|processor| processor.cpu == std::env::consts::ARCH).expect("an image for this processor")
}

/// What a script of the project prints: a path.
#[track_caller]
fn script(name: &str, args: &[&str], environment: &[(&str, &str)]) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name);
    let mut command = Command::new(path);
    command.args(args).envs(environment.iter().copied());
    PathBuf::from(printed(&mut command).trim())
}

/// What a command prints.
#[track_caller]
fn printed(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let [out, err] = [done.stdout, done.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(done.status.success(), "{command:?}: {}\n{err}", done.status);
    out
}
