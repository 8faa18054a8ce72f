//! An engine's configuration: what is added is there and nothing else is changed; taken out, every byte is as it was.
//!
//! Input: a byte for the engine and one for what is wrapped; then the root file, another file, berth's own place and the
//! engine's account of all, with a line `%%` between them. What is left out is not there; the account is a usual one then.

use berth::engine::Kind;
use berth::engine::edit::{By, Input, Snapshot, Wrap, changes, own, owned, patterns, verify};
use std::path::Path;
use toml_edit::{Document, Item, Value};

pub(crate) fn run(data: &[u8]) {
    let Some(([engine, wrapped], rest)) = data.split_first_chunk::<2>() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let input = input(*engine, text);
    let all = wraps(input.kind);
    let wraps: Vec<_> =
        all.iter().enumerate().filter(|(at, _)| *wrapped & (1 << at) != 0).map(|(_, wrap)| wrap.clone()).collect();

    drop((own(&input), owned(&input), verify(&input, &input.dump, &wraps)));
    // What somebody else has left of berth's goes first.
    let Ok(cleaned) = changes(&input, &[]) else { return };
    let clean = input.with(&cleaned);
    at_rest(&clean, &[]);
    if wraps.is_empty() {
        return;
    }
    let added = match changes(&clean, &wraps) {
        Ok(added) => added,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for change in &added {
        assert_eq!(change.is_needed(), !change.diff().is_empty() || change.before.is_none() || change.after.is_none());
    }
    let with = clean.with(&added);
    at_rest(&with, &wraps);
    let mut names = owned(&with).expect("berth's own");
    names.sort();
    let mut wanted: Vec<_> = wraps.iter().map(|wrap| wrap.new.clone()).collect();
    wanted.sort();
    assert_eq!(names, wanted);
    only_ours(&clean, &with, &names);

    let fewer = with.with(&changes(&with, &wraps[..1]).expect("fewer"));
    assert_eq!(owned(&fewer).expect("berth's own"), [wraps[0].new.clone()]);
    for from in [&with, &fewer] {
        let without = from.with(&changes(from, &[]).expect("what was put in can be taken out"));
        assert_eq!((&without.root, &without.dropin), (&clean.root, &clean.dropin));
        assert_eq!(without.others, clean.others);
    }
}

/// Nothing more is needed.
fn at_rest(input: &Input, wraps: &[Wrap]) {
    let more = changes(input, wraps).expect("as before");
    assert!(more.iter().all(|change| !change.is_needed()), "{more:?}");
}

/// Read by another parser's eyes, the root file says what it did; what it says more is an import or a handler.
fn only_ours(before: &Input, after: &Input, names: &[String]) {
    let (Some(text), path) = (after.root.text.as_deref(), &after.root.path) else { return };
    let said = before.root.text.as_deref().map(leaves).unwrap_or_default();
    let mut left = leaves(text);
    for leaf in &said {
        let found = left.iter().position(|other| other == leaf);
        let is_imports = leaf.0 == ["imports"];
        assert!(found.is_some() || is_imports, "{leaf:?} is lost");
        found.map(|at| left.remove(at));
    }
    let built_in = if after.version.0 < 2 { declared(&after.dump) } else { Vec::new() };
    for (keys, value) in left {
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        let may = match keys[..] {
            ["imports"] => after.version.0 >= 2,
            ["version"] => true,
            // containerd 1 forgets the handlers that are built in, which then stand beside berth's.
            ["plugins", SECTION, "containerd", "runtimes", name, ..] => {
                names.iter().chain(&built_in).any(|may| may == name)
            }
            _ => false,
        };
        assert!(may, "{keys:?} = {value}");
    }
    if after.kind == Kind::Containerd && after.version.0 >= 2 {
        let mut expected =
            before.root.text.as_deref().map_or(Ok(Vec::new()), |text| patterns(path, text)).expect("read");
        let found = patterns(path, text).expect("an array");
        if found.len() > expected.len() {
            expected.push("/etc/containerd/conf.d/50-berth*.toml".into());
        }
        assert_eq!(found, expected);
    }
    // Outside of its own pieces every line stays, in its order; an array may be written on.
    let unmarked = |text| str::trim_start_matches(text, '\u{feff}');
    let mut lines = unmarked(text).lines();
    let kept = unmarked(before.root.text.as_deref().unwrap_or_default());
    for line in kept.lines().filter(|line| !line.contains(['[', ']', '\'', '"', ',', '#'])) {
        assert!(lines.any(|found| found == line), "{line:?} is lost");
    }
}

/// The handlers of containerd 1's account.
fn declared(dump: &str) -> Vec<String> {
    let leaves = leaves(dump).into_iter().map(|(keys, _)| keys);
    let below = leaves.filter(|keys| keys.len() > 5 && keys[..4] == ["plugins", SECTION, "containerd", "runtimes"]);
    below.map(|mut keys| keys.swap_remove(4)).collect()
}

/// Every value with the keys that lead to it.
fn leaves(text: &str) -> Vec<(Vec<String>, String)> {
    let document = Document::parse(text).expect("it was read before");
    let mut found = Vec::new();
    below(document.as_item(), &mut Vec::new(), &mut found);
    found
}

fn below(item: &Item, keys: &mut Vec<String>, found: &mut Vec<(Vec<String>, String)>) {
    let mut leaf = |keys: &[String], value: String| found.push((keys.to_vec(), value));
    match item {
        Item::None => {}
        Item::Value(value) => leaf(keys, plain(value)),
        Item::ArrayOfTables(tables) => leaf(keys, tables.iter().map(|table| table.to_string()).collect()),
        Item::Table(table) => {
            for (key, item) in table {
                keys.push(key.to_owned());
                below(item, keys, found);
                keys.pop();
            }
        }
    }
}

/// A value without the space around it.
fn plain(value: &Value) -> String {
    let mut value = value.clone();
    value.decor_mut().clear();
    value.to_string()
}

fn input(engine: u8, text: &str) -> Input {
    let mut parts = text.split("\n%%\n");
    let mut part = |none: bool| parts.next().filter(|text| !(none && text.is_empty())).map(str::to_owned);
    let (root, other, own, dump) = (part(false), part(true), part(true), part(true));
    let (kind, version, dir, default) = match engine % 6 {
        0 => (Kind::Containerd, (1, 6, 36), "/etc/containerd", dump_1()),
        1 => (Kind::Containerd, (1, 7, 35), "/etc/containerd", dump_1()),
        2 => (Kind::Containerd, (2, 1, 9), "/etc/containerd", DUMP_2.to_owned()),
        3 => (Kind::Containerd, (2, 3, 4), "/etc/containerd", DUMP_2.to_owned()),
        _ => (Kind::CriO, (1, 36, 3), "/etc/crio", DUMP_CRIO.to_owned()),
    };
    let (root_name, own_name) = match kind {
        Kind::Containerd => ("config.toml", "conf.d/50-berth.toml"),
        Kind::CriO => ("crio.conf", "crio.conf.d/50-berth.conf"),
    };
    let at = |name: &str, text: Option<String>| Snapshot { path: Path::new(dir).join(name), text };
    let others = other.map(|text| at("conf.d/10-other.toml", Some(text))).into_iter().collect();
    // An engine that has no root file at all.
    let root = root.filter(|text| !text.is_empty() || engine < 128);
    Input { kind, version, root: at(root_name, root), others, dropin: at(own_name, own), dump: dump.unwrap_or(default) }
}

fn wraps(kind: Kind) -> [Wrap; 2] {
    let shim = By::ShimPath("/usr/local/bin/containerd-shim-berth-kata-v2".into());
    let runtime = |name: &str| By::BinaryName(Path::new("/usr/local/bin").join(name));
    let wrap = |handler: &str, by| Wrap { handler: handler.to_owned(), new: format!("{handler}-berth"), by };
    match kind {
        Kind::Containerd => [wrap("kata", shim), wrap("runc", runtime("berth-runc"))],
        Kind::CriO => [wrap("kata", shim), wrap("crun", runtime("berth-crun"))],
    }
}

/// The CRI in the words of containerd 1.
const SECTION: &str = "io.containerd.grpc.v1.cri";

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
      sandboxer = 'podsandbox'
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        BinaryName = ''
        SystemdCgroup = true
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata]
      runtime_type = 'io.containerd.kata.v2'
      runtime_path = '/opt/kata/bin/containerd-shim-kata-v2'
      pod_annotations = ['io.katacontainers.*']
      snapshotter = 'nydus'
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.kata.options]
        ConfigPath = '/etc/kata.toml'

[plugins.'io.containerd.nri.v1.nri']
  disable = false
"#;

/// The same of containerd 1.
fn dump_1() -> String {
    DUMP_2.replace("version = 3", "version = 2").replace("io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri")
}

/// What CRI-O says, shortened.
const DUMP_CRIO: &str = r#"[crio]
[crio.runtime]
default_runtime = "crun"
[crio.runtime.runtimes.crun]
runtime_path = "/usr/libexec/crio/crun"
runtime_type = "oci"
runtime_root = "/run/crun"
allowed_annotations = ["io.containers.trace-syscall"]
monitor_path = "/usr/libexec/crio/conmon"
[crio.runtime.runtimes.kata]
runtime_path = "/opt/kata/bin/containerd-shim-kata-v2"
runtime_type = "vm"
runtime_root = "/run/vc"
privileged_without_host_devices = true
"#;
