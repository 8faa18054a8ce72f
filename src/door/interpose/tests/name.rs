use crate::door::interpose::name::{Grammar, grammar, of, wrapped};
use std::ffi::OsStr;
use std::path::Path;

#[test]
fn a_name_says_what_it_wraps_and_which_command_line_it_speaks() {
    let cases = [
        ("berth-runc", Some("runc"), Grammar::Runtime),
        ("berth-crun-vm", Some("crun-vm"), Grammar::Runtime),
        ("containerd-shim-berth-runc-v2", Some("containerd-shim-runc-v2"), Grammar::Shim),
        ("containerd-shim-berth-kata-qemu-v2", Some("containerd-shim-kata-qemu-v2"), Grammar::Shim),
        ("containerd-shim-berth-x-v12", Some("containerd-shim-x-v12"), Grammar::Shim),
        ("berth-containerd-shim-kata-v2", Some("containerd-shim-kata-v2"), Grammar::Shim),
        ("containerd-shim-other-v2", None, Grammar::Shim),
        ("containerd-shim-berth-v2", None, Grammar::Shim),
        ("containerd-shim-berth-x-v", None, Grammar::Runtime),
        ("containerd-shim-berth-x", None, Grammar::Runtime),
        ("berth-", None, Grammar::Runtime),
        ("wrapper", None, Grammar::Runtime),
    ];
    for (name, wraps, speaks) in cases {
        assert_eq!(wrapped(name).as_deref(), wraps, "{name}");
        assert_eq!(grammar(name, None), speaks, "{name}");
    }
    assert_eq!(grammar("vm", Some(Path::new("/opt/containerd-shim-kata-v2"))), Grammar::Shim);
}

#[test]
fn under_its_own_name_berth_takes_commands() {
    assert_eq!(of(OsStr::new("/usr/bin/berth")), None);
    assert_eq!(of(OsStr::new("")), None);
    assert_eq!(of(OsStr::new("/x/berth-runc")), Some("berth-runc"));
}
