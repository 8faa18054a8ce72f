//! What an install would write into containerd's configuration, read by containerd's own parser: nothing runs, and nothing
//! outside of a temporary directory is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use berth::engine::Kind;
use berth::engine::edit::{By, Change, Input, Snapshot, Wrap, changes, owned, patterns, verify};
use tempfile::TempDir;
use toml_edit::{DocumentMut, Item};

use crate::rig::provision::provision;

/// The configurations, whose names begin with the version they are of; `v0` says none.
const CONFIGURATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/edit/tests/containerd");

/// A containerd's files, in a directory of their own.
struct Node {
    dir: TempDir,
    version: (u64, u64, u64),
}

impl Node {
    fn new(config: Option<&str>) -> Self {
        let dir = TempDir::new().unwrap();
        let version = provision().containerd_version;
        // Patch releases that read and ignore runtime_path are not among the engines.
        let node = Self { dir, version: (version.0.into(), version.1.into(), 999) };
        fs::create_dir(node.dropin().parent().unwrap()).unwrap();
        if let Some(config) = config {
            fs::write(node.root(), config).unwrap();
            if config.contains("other.toml") {
                let version = if config.contains("version = 2") { 2 } else { 3 };
                let other = format!("version = {version}\n[metrics]\naddress = '127.0.0.1:1339'\n");
                fs::write(node.dir.path().join("other.toml"), other).unwrap();
            }
        }
        node
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    fn dropin(&self) -> PathBuf {
        self.dir.path().join("conf.d/50-berth.toml")
    }

    /// containerd before 2.0 fails where the file is not there; what it would start with is what it makes of an empty one.
    fn dump(&self) -> Result<String, String> {
        let root = if self.root().exists() { self.root() } else { "/dev/null".into() };
        let containerd = provision().containerd_dir.join("containerd");
        let done = Command::new(containerd).arg("--config").arg(root).args(["config", "dump"]).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if done.status.success() { Ok(text(done.stdout)) } else { Err(text(done.stderr)) }
    }

    fn read(&self) -> Input {
        let snapshot = |path: PathBuf| Snapshot { text: fs::read_to_string(&path).ok(), path };
        let root = snapshot(self.root());
        let imported = patterns(&root.path, root.text.as_deref().unwrap_or_default()).unwrap();
        let found = imported.iter().flat_map(|pattern| glob::glob(pattern.to_str().unwrap()).unwrap());
        let others = found.map(|path| snapshot(path.unwrap())).collect();
        let dump = self.dump().unwrap();
        let dropin = snapshot(self.dropin());
        Input { kind: Kind::Containerd, version: self.version, root, others, dropin, dump }
    }

    fn write(&self, changes: &[Change]) {
        for change in changes.iter().filter(|change| change.is_needed()) {
            assert!(change.path.starts_with(self.dir.path()), "{}", change.path.display());
            match &change.after {
                Some(text) => fs::write(&change.path, text).unwrap(),
                None => fs::remove_file(&change.path).unwrap(),
            }
        }
    }

    /// The root file and berth's own.
    fn files(&self) -> [Option<Vec<u8>>; 2] {
        [self.root(), self.dropin()].map(|path| fs::read(path).ok())
    }
}

/// A configuration as it is, with the line breaks of Windows, and without its last one.
fn written(text: &str) -> Vec<(&'static str, String)> {
    vec![
        ("as it is", text.to_owned()),
        ("with CR LF", text.replace('\n', "\r\n")),
        ("without its last line break", text.trim_end_matches('\n').to_owned()),
    ]
}

/// All that this containerd knows, by name, in each manner of writing, and none.
fn configurations() -> Vec<(String, Option<String>)> {
    let known: &[&str] = match provision().containerd_version {
        (1, _) => &["v0-empty", "v0-comments", "v2"],
        (2, ..3) => &["v0", "v2", "v3"],
        _ => &["v0", "v2", "v3", "v4"],
    };
    let mut found = vec![("none".to_owned(), None)];
    for entry in fs::read_dir(CONFIGURATIONS).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if known.iter().any(|start| name.starts_with(start)) {
            let text = fs::read_to_string(path).unwrap();
            found.extend(written(&text).into_iter().map(|(how, text)| (format!("{name} {how}"), Some(text))));
        }
    }
    assert!(found.len() > 3 * 7, "the configurations were found: {}", found.len());
    found
}

/// The handlers in a dump.
fn handlers(dump: &str) -> toml_edit::Table {
    let dump: DocumentMut = dump.parse().unwrap();
    let sections = ["io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"];
    let found = sections.iter().find_map(|section| dump["plugins"].get(section)?.get("containerd")?.get("runtimes"));
    found.unwrap().as_table().unwrap().clone()
}

/// berth in front of every handler, in each way that it can be.
fn all_wraps(dump: &str) -> Vec<Wrap> {
    let mut wraps = Vec::new();
    for (name, handler) in &handlers(dump) {
        let new = |by: &str| format!("{name}-{by}");
        let shim = By::ShimPath("/usr/local/bin/containerd-shim-berth-x-v2".into());
        wraps.push(Wrap { handler: name.to_owned(), new: new("shim"), by: shim });
        if handler["runtime_type"].as_str().unwrap().starts_with("io.containerd.runc.") {
            let binary = By::BinaryName("/usr/local/bin/berth-x".into());
            wraps.push(Wrap { handler: name.to_owned(), new: new("binary"), by: binary });
        }
    }
    wraps
}

/// A handler's settings as text, one by one, with what berth has set put back.
fn settings(table: &toml_edit::Table, name: &str, original: &str) -> String {
    let mut handler = table[name].as_table().unwrap().clone();
    let original = &table[original];
    handler["runtime_path"] = original["runtime_path"].clone();
    let binary = |item: &Item| item.get("options").and_then(|options| options.get("BinaryName")).cloned();
    if let Some(options) = handler.get_mut("options").and_then(Item::as_table_mut) {
        match binary(original) {
            Some(binary) => drop(options.insert("BinaryName", binary)),
            None => drop(options.remove("BinaryName")),
        }
    }
    let mut lines: Vec<_> = handler.to_string().lines().map(|line| line.trim().to_owned()).collect();
    lines.retain(|line| !line.is_empty() && !line.starts_with('['));
    lines.sort();
    lines.join("\n")
}

/// The lines of a dump that are not of these handlers, nor about imports. Neither tables nor their settings have an order
/// that a dump would not keep.
fn others(dump: &str, wraps: &[Wrap]) -> String {
    let mut dump: DocumentMut = dump.parse().unwrap();
    dump.remove("imports");
    for section in ["io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"] {
        let cri = dump["plugins"].get_mut(section).and_then(|cri| cri.get_mut("containerd"));
        if let Some(handlers) = cri.and_then(|cri| cri.get_mut("runtimes")).and_then(Item::as_table_mut) {
            wraps.iter().for_each(|wrap| drop(handlers.remove(&wrap.new)));
        }
    }
    dump.to_string()
}

#[test]
fn every_configuration_keeps_its_meaning_and_gains_the_handlers_and_gets_its_bytes_back() {
    for (name, config) in configurations() {
        let node = Node::new(config.as_deref());
        let (files, input) = (node.files(), node.read());
        let wraps = all_wraps(&input.dump);
        assert!(!wraps.is_empty(), "{name}");

        let added = changes(&input, &wraps).unwrap_or_else(|error| panic!("{name}: {error}"));
        node.write(&added);
        let diff: String = added.iter().map(Change::diff).collect();
        let dump = node.dump().unwrap_or_else(|error| panic!("{name}: {error}\n{diff}"));
        verify(&input, &dump, &wraps).unwrap_or_else(|differences| panic!("{name}: {differences:#?}\n{diff}"));
        let table = handlers(&dump);
        for Wrap { handler, new, by } in &wraps {
            let place = match by {
                By::ShimPath(path) => (table[new]["runtime_path"].as_str().unwrap(), path),
                By::BinaryName(path) => (table[new]["options"]["BinaryName"].as_str().unwrap(), path),
            };
            assert_eq!(Path::new(place.0), place.1, "{name}: {new}");
            assert_eq!(settings(&table, new, handler), settings(&table, handler, handler), "{name}: {new}");
        }
        assert!(others(&dump, &wraps) == others(&input.dump, &[]), "{name}: more than the handlers has changed");

        let again = node.read();
        assert!(changes(&again, &wraps).unwrap().iter().all(|change| !change.is_needed()), "{name}: not at rest");
        let mut names: Vec<_> = wraps.iter().map(|wrap| wrap.new.clone()).collect();
        names.sort();
        assert_eq!(owned(&again).unwrap(), names, "{name}");

        // Fewer of them, then none.
        node.write(&changes(&again, &wraps[..1]).unwrap());
        verify(&again, &node.dump().unwrap(), &wraps[..1])
            .unwrap_or_else(|differences| panic!("{name}: {differences:#?}"));
        node.write(&changes(&node.read(), &[]).unwrap());
        assert_eq!(node.files(), files, "{name}: not as it was");
        // Without imports, which containerd before 2.0 lists in any order.
        assert!(others(&node.dump().unwrap(), &[]) == others(&input.dump, &[]), "{name}: means something else");
    }
}

#[test]
fn what_is_taken_for_an_import_of_berths_file_is_one() {
    // Before 2.0 there is no file of berth's own, and the imports are not looked at.
    let entries = [
        "conf.d/*.toml",
        "conf.d/*",
        "*/*.toml",
        "./x/../conf.d/5?-*.toml",
        "conf.d/50-berth.toml",
        "conf.d//*.toml",
        "conf.d/[0-9]*",
        "conf.d/[^0-9]*.toml",
        "conf.d/[!0-9]*.toml",
        "conf.d/[^a-z]*.toml",
        "**/*.toml",
        "*/**",
        "conf.d/\\\\50*.toml",
        "conf.d/5[0]*.toml",
        "conf.d/{50,60}*.toml",
        "*.toml",
        "conf.d/.*",
        "none/*.toml",
    ];
    for entry in entries {
        // As its own file is read again, a pattern that leads to the root file does no harm.
        let node = Node::new(Some(&format!("version = 2\nimports = [\"{entry}\"]\n")));
        if entry == "conf.d/50-berth.toml" {
            fs::write(node.dropin(), "# Written by berth install, and removed by berth uninstall. Not to be edited.\n")
                .unwrap();
        }
        let input = node.read();
        let wraps = all_wraps(&input.dump);
        node.write(&changes(&input, &wraps).unwrap_or_else(|error| panic!("{entry}: {error}")));
        let dump = node.dump().unwrap_or_else(|error| panic!("{entry}: {error}"));
        verify(&input, &dump, &wraps).unwrap_or_else(|differences| panic!("{entry}: {differences:#?}"));
    }
}

/// A CRI setting and a handler, in the words of a version; none says no version and nothing else.
fn foreign(version: Option<i64>, name: &str) -> String {
    let Some(version) = version else { return "oom_score = -1\n".to_owned() };
    let section = if version > 2 { "io.containerd.cri.v1.runtime" } else { "io.containerd.grpc.v1.cri" };
    format!(
        "version = {version}
[plugins.'{section}']
selinux_category_range = 1{version}
[plugins.'{section}'.containerd.runtimes.{name}]
runtime_type = 'io.containerd.runc.v2'
snapshotter = '{name}'
"
    )
}

#[test]
fn files_of_other_versions_mean_the_same_beside_berths() {
    let (engine, newest) = match provision().containerd_version {
        // There is no file of berth's own.
        (1, _) => return assert!(Node::new(None).read().others.is_empty()),
        version => (version, if version >= (2, 3) { 4 } else { 3 }),
    };
    let versions = || std::iter::once(None).chain((2..=newest).map(Some));
    let mut seen = 0;
    for imports in ["imports = ['conf.d/*.toml']", "imports = ['10-*.toml', '99-*.toml']"] {
        let place = |node: &Node, name: &str| {
            let in_conf_d = imports.contains("conf.d");
            if in_conf_d { node.dropin().with_file_name(name) } else { node.dir.path().join(name) }
        };
        for (root, first, last) in
            versions().flat_map(|r| versions().flat_map(move |f| versions().map(move |l| (r, f, l))))
        {
            let node = Node::new(Some(&format!("{imports}\n{}", foreign(root, "root"))));
            fs::write(place(&node, "10-first.toml"), foreign(first, "first")).unwrap();
            fs::write(place(&node, "99-last.toml"), foreign(last, "last")).unwrap();
            // What containerd does not start with anyway, berth does not repair.
            if node.dump().is_err() {
                continue;
            }
            let name = format!("{engine:?} {imports} root {root:?} first {first:?} last {last:?}");
            let input = node.read();
            let wraps = all_wraps(&input.dump);
            node.write(&changes(&input, &wraps).unwrap_or_else(|error| panic!("{name}: {error}")));
            let dump = node.dump().unwrap_or_else(|error| panic!("{name}: {error}"));
            verify(&input, &dump, &wraps).unwrap_or_else(|differences| panic!("{name}: {differences:#?}"));
            seen += 1;
        }
    }
    assert!(seen > 2 * 3 * 3, "containerd takes only {seen}");
}
