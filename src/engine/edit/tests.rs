//! Tests with dumps made here; `tests/e2e/edited.rs` and `tests/crio/edited.rs` have the engines' own.

mod containerd;
mod crio;
mod errors;
mod imports;
mod inplace;
mod properties;
mod stanza;
mod verify;

use super::{By, Change, Input, Snapshot, Wrap, changes};
use crate::engine::Kind;

/// What containerd 2 says, shortened.
const DUMP_2: &str = r#"version = 3
disabled_plugins = []
imports = ['/etc/containerd/conf.d/*.toml']

[plugins.'io.containerd.cri.v1.runtime']
  enable_selinux = false
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = 'runc'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = 'io.containerd.runc.v2'
      runtime_path = ''
      pod_annotations = []
      snapshotter = ''
      sandboxer = 'podsandbox'
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        BinaryName = ''
        SystemdCgroup = true
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata]
      runtime_type = 'io.containerd.kata.v2'
      runtime_path = '/opt/kata/bin/containerd-shim-kata-v2'
      pod_annotations = ['io.katacontainers.*']
      snapshotter = 'nydus'
      sandboxer = 'podsandbox'
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata.options]
        ConfigPath = '/etc/kata.toml'

[plugins.'io.containerd.nri.v1.nri']
  disable = false
"#;

/// The same of containerd 1.
fn dump_1() -> String {
    DUMP_2.replace("version = 3", "version = 2").replace("io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri")
}

fn snapshot(path: &str, text: Option<&str>) -> Snapshot {
    Snapshot { path: path.into(), text: text.map(str::to_owned) }
}

fn containerd_2(root: Option<&str>) -> Input {
    Input {
        kind: Kind::Containerd,
        version: (2, 3, 4),
        root: snapshot("/etc/containerd/config.toml", root),
        others: Vec::new(),
        dropin: snapshot("/etc/containerd/conf.d/50-berth.toml", None),
        dump: DUMP_2.to_owned(),
    }
}

fn containerd_1(root: Option<&str>) -> Input {
    Input { version: (1, 7, 35), dump: dump_1(), ..containerd_2(root) }
}

fn kata() -> Wrap {
    let by = By::ShimPath("/usr/local/bin/containerd-shim-berth-kata-v2".into());
    Wrap { handler: "kata".to_owned(), new: "kata-berth".to_owned(), by }
}

fn runc() -> Wrap {
    let by = By::BinaryName("/usr/local/bin/berth-runc".into());
    Wrap { handler: "runc".to_owned(), new: "runc-berth".to_owned(), by }
}

/// The files after these changes.
fn applied(input: &Input, changes: &[Change]) -> Input {
    let mut input = input.clone();
    let Input { root, others, dropin, .. } = &mut input;
    for file in [root, dropin].into_iter().chain(others) {
        if let Some(change) = changes.iter().find(|change| change.path == file.path) {
            file.text.clone_from(&change.after);
        }
    }
    input
}

/// The root file's text after the handlers are put in.
fn root_with(input: &Input, wraps: &[Wrap]) -> String {
    applied(input, &changes(input, wraps).unwrap()).root.text.unwrap()
}

/// Adds, checks that nothing more is needed then, takes out, and checks that all is as it was.
fn there_and_back(input: &Input, wraps: &[Wrap]) -> Input {
    let with = applied(input, &changes(input, wraps).unwrap());
    let more: Vec<_> = changes(&with, wraps).unwrap().into_iter().filter(Change::is_needed).collect();
    assert_eq!(more, [], "at rest");
    let without = applied(&with, &changes(&with, &[]).unwrap());
    assert_eq!((&without.root, &without.dropin), (&input.root, &input.dropin));
    let more: Vec<_> = changes(&without, &[]).unwrap().into_iter().filter(Change::is_needed).collect();
    assert_eq!(more, [], "at rest without");
    with
}
