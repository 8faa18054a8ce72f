//! An interposer confines nobody: the delegate has what it would have without berth.

use std::fs;
use std::path::Path;

use crate::isolated;
use crate::stage::{RECORD, assert_delegated, bundle, command, containerd, delegate, interposer, netns, network};

/// What the delegate is allowed to do, in the words of its status, after it was made to create.
fn privileges(program: &Path, before: &[&str]) -> Vec<String> {
    let dir = bundle("s1", &containerd("sandbox", "s1"), &network("/run/netns/cni-1"));
    let create = ["--root", "/r/k8s.io", "create", "--bundle", dir.to_str().unwrap(), "s1"];
    let words = [before, &[program.to_str().unwrap()], &create[..]].concat();
    assert_delegated(&command(Path::new(words[0]), &words[1..]).output().unwrap());
    let status = fs::read_to_string(format!("{RECORD}.status")).unwrap();
    let of = ["Cap", "NoNewPrivs:", "Seccomp"];
    let lines: Vec<_> =
        status.lines().filter(|line| of.iter().any(|of| line.starts_with(of))).map(str::to_owned).collect();
    assert!(lines.len() >= 7, "{status}");
    lines
}

isolated! {
    fn capabilities_no_new_privs_and_seccomp_are_as_without_berth() {
        netns("cni-1");
        let (direct, wrapped) = (delegate("runc"), interposer("berth-runc"));
        let inherited = ["setpriv", "--inh-caps=+chown,+net_admin", "--ambient-caps=+chown,+net_admin", "--bounding-set=-sys_boot,-sys_module"];
        let locked = ["setpriv", "--no-new-privs", "--bounding-set=-sys_boot"];
        for before in [&["env"][..], &inherited, &locked] {
            assert_eq!(privileges(&wrapped, before), privileges(&direct, before), "{before:?}");
        }
        // And what is compared can differ.
        assert_ne!(privileges(&direct, &inherited), privileges(&direct, &locked));
    }
}
