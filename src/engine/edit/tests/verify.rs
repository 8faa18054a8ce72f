//! A candidate's dump, held against what was meant.

use super::super::{Input, verify};
use super::{DUMP_2, containerd_2, kata};

/// What containerd would say with the handler.
fn with_handler() -> String {
    format!(
        "{DUMP_2}
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata-berth]
runtime_type = 'io.containerd.kata.v2'
runtime_path = '/usr/local/bin/containerd-shim-berth-kata-v2'
pod_annotations = ['io.katacontainers.*']
snapshotter = 'nydus'
sandboxer = 'podsandbox'
options = {{ ConfigPath = '/etc/kata.toml' }}
"
    )
}

/// What is found wrong with it after this is changed.
fn wrong(from: &str, to: &str) -> String {
    let dump = with_handler();
    assert!(dump.contains(from), "{from}");
    verify(&containerd_2(None), &dump.replace(from, to), &[kata()]).unwrap_err().join("; ")
}

#[test]
fn what_was_meant_passes() {
    verify(&containerd_2(None), &with_handler(), &[kata()]).unwrap();
    verify(&containerd_2(None), DUMP_2, &[]).unwrap();
    let elsewhere = with_handler().replace("imports = ['/etc/containerd/conf.d/*.toml']", "imports = ['x']");
    verify(&containerd_2(None), &elsewhere, &[kata()]).unwrap();
}

#[test]
fn every_other_change_is_named_without_its_value() {
    for (from, to, told) in [
        (
            "default_runtime_name = 'runc'",
            "default_runtime_name = 'kata-berth'",
            "default_runtime_name is not as it was",
        ),
        ("disabled_plugins = []", "disabled_plugins = ['cri']", "disabled_plugins is not as it was"),
        ("disable = false", "disable = true", "\"io.containerd.nri.v1.nri\".disable is not as it was"),
        ("enable_selinux = false", "", "enable_selinux is not as it was"),
        ("enable_selinux = false", "enable_selinux = false\nsecret = 'abc'", "secret is not as it was"),
        ("SystemdCgroup = true", "SystemdCgroup = false", "runtimes.runc.options.SystemdCgroup is not as it was"),
        ("runtimes.kata-berth", "runtimes.kata-bert", "does not know the handler kata-berth"),
        ("berth-kata-v2'", "kata-v2'", "runtime_path of the handler kata-berth is not"),
    ] {
        let said = wrong(from, to);
        assert!(said.contains(told) && !said.contains("abc"), "{said}");
    }
    let last = with_handler().replace("snapshotter = 'nydus'\nsandboxer", "snapshotter = 'overlayfs'\nsandboxer");
    let said = verify(&containerd_2(None), &last, &[kata()]).unwrap_err().join("; ");
    assert_eq!(said, "snapshotter of the handler kata-berth is not what it should be");
}

#[test]
fn a_dump_that_is_none_is_no_proof() {
    for dump in ["", "version = 3\n", "=", "[plugins.'io.containerd.cri.v1.runtime']\n"] {
        assert!(verify(&containerd_2(None), dump, &[kata()]).is_err(), "{dump}");
        assert!(verify(&containerd_2(None), dump, &[]).is_err(), "{dump}");
        let input = Input { dump: dump.to_owned(), ..containerd_2(None) };
        assert!(verify(&input, dump, &[]).is_err(), "{dump}");
    }
}

#[test]
fn handlers_of_before_are_gone_after_an_uninstall() {
    let input = containerd_2(Some("version = 3\n"));
    let mut with = super::applied(&input, &super::changes(&input, &[kata()]).unwrap());
    with.dump = with_handler();
    verify(&with, DUMP_2, &[]).unwrap();
    let said = verify(&with, &with_handler(), &[]).unwrap_err().join("; ");
    assert!(said.contains("kata-berth is not as it was"), "{said}");
}
