//! The units for systemd.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]

#[path = "common/isolated.rs"]
mod isolated;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use berth::apply::PinsBy;
use berth::confine::{Libc, allowed};

const UNITS: [&str; 3] = ["berth.service", "berth-gc.service", "berth-gc.timer"];

/// What gives a service a mount namespace of its own, from which its pins would reach nobody (systemd.exec(5)); and what
/// would remove its state.
const NEVER: [&str; 26] = [
    "BindPaths",
    "BindReadOnlyPaths",
    "DynamicUser",
    "ExecPaths",
    "InaccessiblePaths",
    "LogNamespace",
    "MountFlags",
    "NoExecPaths",
    "PrivateDevices",
    "PrivateIPC",
    "PrivateMounts",
    "PrivateTmp",
    "ProcSubset",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "ProtectProc",
    "ProtectSystem",
    "ReadOnlyPaths",
    "ReadWritePaths",
    "RootDirectory",
    "RootImage",
    "RuntimeDirectory",
    "TemporaryFileSystem",
];

fn path(unit: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/systemd").join(unit)
}

isolated! {
    fn systemd_finds_nothing_wrong_with_the_units() {
        // Units are checked down to the programs that they name.
        fs::create_dir("/run/bin").unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_berth"), "/run/bin/berth").unwrap();
        assert!(Command::new("mount").args(["--bind", "/run/bin", "/usr/local/bin"]).status().unwrap().success());
        let verify = |units: &[PathBuf]| {
            let output = Command::new("systemd-analyze").arg("verify").args(units).output().expect("systemd-analyze runs");
            (output.status.success(), String::from_utf8(output.stderr).unwrap())
        };
        assert_eq!(verify(&UNITS.map(path)), (true, String::new()));
        // It would have found something.
        fs::write("/run/berth.service", "[Service]\nExecStart=/nowhere\nResart=always\n").unwrap();
        let (_, told) = verify(&["/run/berth.service".into()]);
        assert!(told.contains("Resart") && told.contains("/nowhere"), "{told}");
    }
}

#[test]
fn no_unit_has_mounts_or_state_of_its_own() {
    for unit in UNITS {
        let text = fs::read_to_string(path(unit)).unwrap();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let key = line.split('=').next().unwrap();
            assert!(!NEVER.contains(&key), "{unit}: {line}");
        }
    }
}

#[test]
fn what_the_units_run_is_what_berth_understands() {
    for unit in UNITS {
        let text = fs::read_to_string(path(unit)).unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("ExecStart=")) {
            let words = line.split(' ').chain(["--help"]);
            assert_eq!(words.clone().next(), Some("/usr/local/bin/berth"));
            let output = Command::new(env!("CARGO_BIN_EXE_berth")).args(words.skip(1)).output().unwrap();
            assert!(output.status.success(), "{line}: {output:?}");
        }
    }
}

/// The calls of a set of systemd's and of those that it is made of.
fn calls_of(set: &str) -> BTreeSet<String> {
    let output = Command::new("systemd-analyze").args(["syscall-filter", set]).output().expect("systemd-analyze runs");
    let text = String::from_utf8(output.stdout).unwrap();
    let words = text.lines().skip(1).map(str::trim).filter(|word| !word.is_empty() && !word.starts_with('#'));
    words.flat_map(|word| if word.starts_with('@') { calls_of(word) } else { [word.to_owned()].into() }).collect()
}

/// systemd kills for any other call, the daemon's own filter refuses.
#[test]
fn what_the_daemon_calls_is_let_through() {
    let text = fs::read_to_string(path("berth.service")).unwrap();
    let filter = text.lines().find_map(|line| line.strip_prefix("SystemCallFilter=")).expect("a filter");
    let through: BTreeSet<_> = filter
        .split(' ')
        .flat_map(|word| if word.starts_with('@') { calls_of(word) } else { [word.to_owned()].into() })
        .collect();
    let called = [Libc::Gnu, Libc::Musl].into_iter().flat_map(|libc| allowed(libc, PinsBy::Daemon));
    let called = called.map(|call| call.name().to_owned());
    let confined = ["capget", "capset", "prctl", "seccomp"].map(str::to_owned);
    let missing: Vec<_> = called.chain(confined).filter(|name| !through.contains(name)).collect();
    assert_eq!(missing, Vec::<String>::new(), "of {}", through.len());
}
