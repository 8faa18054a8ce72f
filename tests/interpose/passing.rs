//! What passes through is as if berth were not there.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::Stdio;

use crate::isolated;
use crate::stage::{RECORD, assert_delegated, command, delegate, interposer};

/// How a program was run, but for its pid and the path that is its own.
fn record(program: &Path, args: &[OsString]) -> Vec<String> {
    // An extra descriptor, and a signal that is ignored: both are inherited.
    let script = "exec 7</etc/hostname; trap '' USR1; exec \"$@\"";
    let mut shell = vec![OsString::from("-c"), script.into(), "sh".into(), program.into()];
    shell.extend(args.iter().cloned());
    let mut command = command(Path::new("/bin/sh"), &shell);
    command.current_dir("/run/bundle dir\n").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("ODD", OsString::from_vec(b"a=b\xff\n".to_vec())).env("EMPTY", "");
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"a bootstrap request\0\xff").unwrap();
    let pid = child.id();
    assert_delegated(&child.wait_with_output().unwrap());
    let part = |name: &str| {
        let bytes = fs::read(format!("{RECORD}.{name}")).unwrap();
        fs::remove_file(format!("{RECORD}.{name}")).unwrap();
        // Shown as text, compared byte for byte.
        bytes.escape_ascii().to_string()
    };
    let mut parts = vec![part("cmdline"), part("environ"), part("stdin"), part("status")];
    let rest = parts[3].strip_prefix(&format!(r"pid {pid}\n")).expect("the same process").to_owned();
    assert!(rest.contains("/etc/hostname") && rest.contains("SigIgn"), "the record is whole: {rest}");
    parts[3] = rest;
    parts
}

fn same(wrapped: &str, name: &str, lines: &[&[&str]]) {
    fs::create_dir_all("/run/bundle dir\n").unwrap();
    let (delegate, interposer) = (delegate(wrapped), interposer(name));
    for line in lines {
        let mut args: Vec<OsString> = line.iter().map(OsString::from).collect();
        args.push(OsString::from_vec(b"--x=\xff \n\"".to_vec()));
        for (with, without) in record(&interposer, &args).iter().zip(record(&delegate, &args)) {
            assert_eq!(*with, without, "{line:?}");
        }
    }
}

isolated! {
    fn a_runtime_sees_no_difference() {
        same("runc", "berth-runc", &[
            &[], &["state", "c1"], &["--root", "/r", "kill", "c1", "KILL"], &["delete", "--force", "create"], &["--version"],
            &["exec", "--process", "p", "create"], &["--unknown", "features"], &["new", "create"],
        ]);
    }

    fn a_shim_sees_no_difference() {
        same("containerd-shim-x-v2", "containerd-shim-berth-x-v2", &[
            &["-info"], &["-v"], &["-namespace", "k8s.io", "-id", "a", "-bundle", "/b", "delete"], &["start"], &["-id", "a"],
        ]);
    }

    fn a_bundle_without_a_specification_is_the_delegates_to_complain_of() {
        same("containerd-shim-x-v2", "containerd-shim-berth-x-v2", &[&["-namespace", "k8s.io", "-id", "a", "start"]]);
        same("runc", "berth-runc", &[&["--root", "/r/k8s.io", "create", "--bundle", "/nowhere", "c1"]]);
        assert!(!Path::new("/run/berth").exists(), "nothing is made for it");
    }

    fn what_a_configuration_without_profiles_leaves_out_is_left_byte_for_byte() {
        delegate("runc");
        let interposer = interposer("berth-runc");
        let dir = crate::stage::bundle("s1", &crate::stage::containerd("sandbox", "s1"), &crate::stage::network("/run/netns/x"));
        let before = crate::stage::text(&dir);
        let yaml = crate::stage::configured("profiles: []");
        let args = ["--root", "/r/k8s.io", "create", "--bundle", dir.to_str().unwrap(), "s1"];
        assert_delegated(&command(&interposer, &args).env("BERTH_CONFIG", yaml).output().unwrap());
        assert_eq!(crate::stage::text(&dir), before);
    }
}
