//! What an install would write into CRI-O's configuration, read by CRI-O's own parser: nothing runs, and nothing outside
//! of a temporary directory is written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use berth::engine::Kind;
use berth::engine::edit::{By, Change, EditError, Input, Snapshot, Wrap, changes, owned, verify};
use tempfile::TempDir;
use toml_edit::{DocumentMut, Item, Table};

use crate::rig::provision::components;

const CONFIGURATIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/edit/tests/crio");

struct Node {
    dir: TempDir,
}

impl Node {
    /// With these files, by path: `crio.conf`, and others below `crio.conf.d`.
    fn new(files: &[(&str, &str)]) -> Self {
        let node = Self { dir: TempDir::new().unwrap() };
        fs::create_dir(node.drop_ins()).unwrap();
        for (path, text) in files {
            fs::write(node.dir.path().join(path), text).unwrap();
        }
        node
    }

    fn drop_ins(&self) -> PathBuf {
        self.dir.path().join("crio.conf.d")
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("crio.conf")
    }

    fn dump(&self) -> String {
        let root = if self.root().exists() { self.root() } else { "".into() };
        let crio = Path::new(&components(&["basics", "crio"])["BERTH_RIG_CRIO_DIR"]).join("crio");
        let mut crio = Command::new(crio);
        crio.arg("--config").arg(root).arg("--config-dir").arg(self.drop_ins()).arg("config");
        let done = crio.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    }

    fn read(&self) -> Input {
        let snapshot = |path: PathBuf| Snapshot { text: fs::read_to_string(&path).ok(), path };
        let mut others: Vec<_> = fs::read_dir(self.drop_ins()).unwrap().map(|entry| entry.unwrap().path()).collect();
        others.sort();
        Input {
            kind: Kind::CriO,
            version: (1, 36, 3),
            root: snapshot(self.root()),
            others: others.into_iter().map(snapshot).collect(),
            dropin: snapshot(self.drop_ins().join("50-berth.conf")),
            dump: self.dump(),
        }
    }

    fn write(&self, changes: &[Change]) {
        for change in changes.iter().filter(|change| change.is_needed()) {
            assert_eq!(change.path, self.drop_ins().join("50-berth.conf"), "CRI-O's own files are left alone");
            match &change.after {
                Some(text) => fs::write(&change.path, text).unwrap(),
                None => fs::remove_file(&change.path).unwrap(),
            }
        }
    }
}

/// Each configuration as `crio.conf`, as a drop-in, and none.
fn configurations() -> Vec<(String, Node)> {
    let mut found = vec![("none".to_owned(), Node::new(&[]))];
    for entry in fs::read_dir(CONFIGURATIONS).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        found.push((name.to_owned(), Node::new(&[("crio.conf", &text)])));
        found.push((format!("{name} as a drop-in"), Node::new(&[("crio.conf.d/10-crio.conf", &text)])));
        found.push((format!("{name} read last"), Node::new(&[("crio.conf.d/99-crio.conf", &text)])));
    }
    assert!(found.len() > 4 * 3, "the configurations were found");
    found
}

fn handlers(dump: &str) -> Table {
    let dump: DocumentMut = dump.parse().unwrap();
    let runtimes = dump["crio"]["runtime"].get("runtimes").and_then(Item::as_table);
    runtimes.cloned().unwrap_or_default()
}

/// The settings of a handler as text, without those that differ by design.
fn settings(table: &Table, name: &str, but: &[&str]) -> Vec<String> {
    let shown = |(key, value): (&str, &Item)| {
        let value = value.to_string().split_whitespace().collect::<String>();
        (!but.contains(&key)).then(|| format!("{key}={value}"))
    };
    table[name].as_table().unwrap().iter().filter_map(shown).collect()
}

fn wrap(handler: &str, kind: &str) -> Wrap {
    let by = match kind {
        "vm" => By::ShimPath("/usr/local/bin/containerd-shim-berth-x-v2".into()),
        _ => By::BinaryName("/usr/local/bin/berth-x".into()),
    };
    Wrap { handler: handler.to_owned(), new: format!("{handler}-berth"), by }
}

#[test]
fn every_configuration_gains_the_handlers_in_a_file_of_their_own_and_keeps_the_rest() {
    for (name, node) in configurations() {
        let input = node.read();
        let before = handlers(&input.dump);
        let mut wraps: Vec<_> =
            before.iter().map(|(name, handler)| wrap(name, handler["runtime_type"].as_str().unwrap())).collect();
        if wraps.is_empty() {
            wraps.push(wrap("crun", "oci"));
        }

        let added = changes(&input, &wraps).unwrap_or_else(|error| panic!("{name}: {error}"));
        node.write(&added);
        let dump = node.dump();
        verify(&input, &dump, &wraps).unwrap_or_else(|differences| panic!("{name}: {differences:#?}"));
        let after = handlers(&dump);
        for Wrap { handler, new, by } in &wraps {
            let (By::ShimPath(path) | By::BinaryName(path)) = by;
            assert_eq!(after[new]["runtime_path"].as_str(), path.to_str(), "{name}: {new}");
            // What a handler inherits is written out for the new one: then CRI-O does not put the default's path over ours.
            assert_eq!(after[new]["inherit_default_runtime"].as_bool(), Some(false), "{name}: {new}");
            let mut but = vec!["runtime_path", "inherit_default_runtime"];
            if after[handler]["inherit_default_runtime"].as_bool() == Some(true) {
                but.extend(["runtime_type", "runtime_root"]);
                assert_eq!(after[new]["runtime_root"].as_str(), Some("/run/crun"), "{name}: {new}");
            }
            assert_eq!(settings(&after, new, &but), settings(&after, handler, &but), "{name}: {new}");
        }
        for (handler, _) in &before {
            assert_eq!(settings(&after, handler, &[]), settings(&before, handler, &[]), "{name}: {handler}");
        }
        assert!(after.contains_key("crun"), "{name}: the built-in handler stays");

        let again = node.read();
        assert!(changes(&again, &wraps).unwrap().iter().all(|change| !change.is_needed()), "{name}: not at rest");
        assert_eq!(owned(&again).unwrap().len(), wraps.len(), "{name}");
        node.write(&changes(&again, &[]).unwrap());
        assert!(!again.dropin.path.exists(), "{name}");
        assert!(node.dump() == input.dump, "{name}: means something else");
    }
}

#[test]
fn settings_that_the_engine_does_not_print_are_copied_from_the_file_that_counts() {
    let fedora = fs::read_to_string(format!("{CONFIGURATIONS}/fedora.conf")).unwrap();
    let node = Node::new(&[("crio.conf", &fedora)]);
    let added = changes(&node.read(), &[wrap("runc", "oci")]).unwrap();
    let text = added[0].after.clone().unwrap();
    for line in ["container_create_timeout = 300", "no_sync_log = true", "seccomp_profile = \"/etc/crio/seccomp.json\""]
    {
        assert!(text.contains(line), "{text}");
    }
    // A file that is read later has the last word on the whole handler.
    let later = "[crio.runtime.runtimes.runc]\nruntime_path = \"/opt/runc\"\n";
    let node = Node::new(&[("crio.conf", &fedora), ("crio.conf.d/99-later.conf", later)]);
    let input = node.read();
    let added = changes(&input, &[wrap("runc", "oci")]).unwrap();
    let text = added[0].after.clone().unwrap();
    assert!(!text.contains("container_create_timeout") && !text.contains("conmon"), "{text}");
    node.write(&added);
    verify(&input, &node.dump(), &[wrap("runc", "oci")]).unwrap();
}

#[test]
fn a_handler_that_goes_by_platform_is_refused() {
    let conf = "[crio.runtime.runtimes.multi]\nruntime_path = \"/usr/bin/runc\"\nplatform_runtime_paths = {\"linux/arm64\" = \"/x\"}\n";
    let input = Node::new(&[("crio.conf", conf)]).read();
    let refused = changes(&input, &[wrap("multi", "oci")]).unwrap_err();
    assert!(matches!(refused, EditError::Unfit { .. }), "{refused}");
}
