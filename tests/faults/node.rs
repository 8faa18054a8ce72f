//! A node on which berth is installed: `/etc`, `/opt`, `/usr/local` and `/var/lib` are the test's own, and containerd, which
//! does not run, reads its configuration when it is asked.
#![allow(clippy::disallowed_methods, reason = "mounts, in a mount namespace of the test's own")]

use std::collections::BTreeSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::provision::provision;
use crate::scene::berth;
use crate::state::State;

/// What is looked at.
const OWN: [&str; 6] = ["/etc/containerd", "/etc/berth", "/etc/nri", "/opt/nri", "/usr/local", "/var/lib/berth"];
const CONFIG: &str = "/etc/containerd/config.toml";
const RECORD: &str = "/var/lib/berth/install.json";
/// How far an install has come.
pub(crate) const STATE: &str = " state";
/// Temporary files of an install.
pub(crate) const TEMP: &str = "/.berth-tmp-*";

/// containerd, asked each thing once: what it makes of files depends on nothing else here, and it is asked in each run.
const ASKED_ONCE: &str = r#"#!/bin/sh
set -eu
case $1 in
    --version) key=version ;;
    # `--config FILE config dump`: that file, and what it may import, whatever the directory of a candidate is called.
    *) key=$(cat "$2" "${2%/*}"/conf.d/* "${2%/*}"/import*/* 2>/dev/null | sed 's/\.berth-tmp-[A-Za-z0-9]*//' | cksum) ;;
esac
answer="ANSWERS/$key"
if [ ! -s "$answer" ]; then
    new=$(mktemp "ANSWERS/new.XXXXXX")
    CONTAINERD "$@" >"$new"
    mv "$new" "$answer"
fi
exec cat "$answer"
"#;

/// The node's own handler is in front of no VM: nothing here runs.
const HANDLERS: &str = "version = 3
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.vm]
runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.vm.options]
BinaryName = 'RUNC'
";

/// Clears the node: it is as it was before everything.
pub(crate) fn clear() {
    for dir in ["/etc", "/opt", "/usr/local", "/var/lib"] {
        // Where it is not mounted yet, there is nothing to be taken away.
        while is_own(dir) {
            umount2(dir, MntFlags::MNT_DETACH).unwrap();
        }
    }
    crate::scene::clear();
    for dir in ["etc", "opt"] {
        let [upper, work] = ["upper", "work"].map(|part| format!("/run/own/{dir}/{part}"));
        fs::create_dir_all(&upper).unwrap();
        fs::create_dir_all(&work).unwrap();
        let layers = format!("lowerdir=/{dir},upperdir={upper},workdir={work}");
        let none = MsFlags::empty();
        mount(Some("faults"), format!("/{dir}").as_str(), Some("overlay"), none, Some(layers.as_str())).unwrap();
    }
    for dir in ["/usr/local", "/var/lib"] {
        mount(Some("faults"), dir, Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).unwrap();
    }
    for dir in OWN {
        drop(fs::remove_dir_all(dir));
    }
    fs::create_dir_all("/usr/local/bin").unwrap();
    fs::create_dir_all("/etc/containerd").unwrap();
    fs::write(CONFIG, HANDLERS.replace("RUNC", provision().runc.to_str().unwrap())).unwrap();
    fs::create_dir("/run/asked").unwrap();
    let engine = ASKED_ONCE.replace("ANSWERS", answers().to_str().unwrap());
    let engine = engine.replace("CONTAINERD", provision().containerd_dir.join("containerd").to_str().unwrap());
    fs::write(ENGINE, engine).unwrap();
    fs::set_permissions(ENGINE, fs::Permissions::from_mode(0o755)).unwrap();
}

const ENGINE: &str = "/run/asked/containerd";

fn is_own(dir: &str) -> bool {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts.lines().any(|line| line.split(' ').nth(4) == Some(dir) && line.contains(" faults "))
}

/// Where the engine's answers are kept.
fn answers() -> &'static Path {
    static DIR: OnceLock<tempfile::TempDir> = OnceLock::new();
    DIR.get_or_init(|| tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()).path()
}

/// berth without what only a debugger reads: all of it is written, read and hashed again and again.
fn lean() -> &'static Path {
    static LEAN: OnceLock<PathBuf> = OnceLock::new();
    LEAN.get_or_init(|| {
        let path = answers().join("berth");
        let stripped = Command::new("strip").arg("-o").arg(&path).arg(berth()).status();
        assert!(stripped.expect("strip (binutils) runs").success(), "strip failed");
        path
    })
}

/// One of berth's commands for this node.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(lean());
    command.args(args).args(["--apply", "--engine", "containerd", "--engine-program", ENGINE]);
    command
}

/// The engine takes its configuration as it is now.
#[track_caller]
pub(crate) fn assert_engine_takes_its_configuration() {
    let output = Command::new(ENGINE).args(["--config", CONFIG, "config", "dump"]).output().unwrap();
    assert!(output.status.success() && !output.stdout.is_empty(), "{output:?}");
}

/// Everything in the node's directories that berth has any business with.
pub(crate) fn see() -> State {
    let mut lines = BTreeSet::new();
    OWN.iter().for_each(|dir| look(Path::new(dir), &mut lines));
    State(lines)
}

/// The record of an install, without when it was changed. How far it says that the install has come, is a line by itself.
fn record(path: &Path, lines: &mut BTreeSet<String>) {
    let text = fs::read_to_string(path).unwrap();
    let mut record: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{RECORD}: {error}: {text:?}"));
    let state = record["state"].take();
    let own = record["own"].take();
    record["restart_since"].take();
    lines.insert(format!("{RECORD} {record}"));
    lines.insert(format!("{RECORD}{STATE} {state} {}", own.as_array().map_or(0, Vec::len)));
}

fn look(path: &Path, lines: &mut BTreeSet<String>) {
    let Ok(data) = fs::symlink_metadata(path) else { return };
    let name = path.display().to_string();
    let mode = data.permissions().mode();
    if let Some((dir, _)) = name.split_once("/.berth-tmp-") {
        lines.insert(format!("{dir}{TEMP}"));
    } else if name == RECORD {
        record(path, lines);
    } else if data.is_dir() {
        lines.insert(format!("{name} directory {mode:o}"));
        fs::read_dir(path).unwrap().for_each(|entry| look(&entry.unwrap().path(), lines));
    } else if data.is_symlink() {
        lines.insert(format!("{name} -> {}", fs::read_link(path).unwrap().display()));
    } else {
        let mut sum = DefaultHasher::new();
        fs::read(path).unwrap().hash(&mut sum);
        lines.insert(format!("{name} {mode:o} {} bytes {:x}", data.len(), sum.finish()));
    }
}
