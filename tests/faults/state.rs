//! Everything that berth leaves on a stage, in lines that are the same for two stages that are alike: mounts, files,
//! records, specifications. And what must hold at every moment, whatever has just been killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::scene::{bundle_of, engines};

const PINS: &str = "/run/netns";
const RECORDS: &str = "/run/berth/sandboxes";

/// What accompanies every life of a node: its presence says nothing.
const STANDING: [&str; 5] = [
    "/run/berth/interpose.log",
    "/run/berth/interpose.counts",
    "/run/berth/netns.lock",
    "/run/berth/daemon.lock",
    "/run/berth/config.yaml",
];

/// What there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State(pub(crate) BTreeSet<String>);

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl State {
    pub(crate) fn see() -> Self {
        let mounts = mounts();
        let mut lines: Vec<String> = mounts.iter().map(Mount::line).collect();
        for dir in [PINS, "/run/berth", "/run/bundles"] {
            files(Path::new(dir), &mut lines);
        }
        for (name, record) in records() {
            lines.push(format!("record {name} {}", normal(&name, record, &mounts)));
        }
        Self::of(lines)
    }

    /// What there is more than once says how often.
    fn of(lines: impl IntoIterator<Item = String>) -> Self {
        let mut seen = BTreeMap::<_, usize>::new();
        lines.into_iter().for_each(|line| *seen.entry(line).or_default() += 1);
        Self(seen.into_iter().map(|(line, times)| if times == 1 { line } else { format!("{line} x{times}") }).collect())
    }

    /// Panics with the differences where there are any.
    #[track_caller]
    pub(crate) fn assert_is(&self, expected: &Self, when: &str) {
        if self != expected {
            let [more, less] = [(self, expected), (expected, self)]
                .map(|(one, other)| Self(one.0.difference(&other.0).cloned().collect()));
            panic!("{when}: there is\n{more}and not\n{less}");
        }
    }

    /// The lines that name one of `words`.
    pub(crate) fn naming(&self, words: &[&str]) -> Self {
        Self(self.0.iter().filter(|line| words.iter().any(|word| line.contains(word))).cloned().collect())
    }

    /// Without the lines that name `word`.
    pub(crate) fn but_naming(&self, word: &str) -> Self {
        Self(self.0.difference(&self.naming(&[word]).0).cloned().collect())
    }

    pub(crate) fn says(&self, word: &str) -> bool {
        self.0.iter().any(|line| line.contains(word))
    }

    /// Without what is at this path or below it.
    pub(crate) fn but(&self, path: &str) -> Self {
        Self(self.0.iter().filter(|line| !line.contains(path)).cloned().collect())
    }

    /// Without the locks of pins that have no record. They are swept when they are old.
    pub(crate) fn but_locks(&self) -> Self {
        let needed = |line: &str| {
            let name = line.strip_prefix("file /run/berth/locks/");
            name.is_none_or(|name| self.says(&format!("record {name} ")))
        };
        Self(self.0.iter().filter(|line| needed(line)).cloned().collect())
    }

    /// And without the temporary files in the state directory, which are swept as well.
    pub(crate) fn but_swept(&self) -> Self {
        let swept = ["file /run/berth/.tmp-*", "file /run/berth/sandboxes/.tmp-*"];
        let kept = self.but_locks().0.into_iter().filter(|line| !swept.iter().any(|file| line.starts_with(file)));
        Self(kept.collect())
    }

    /// Whether or not the pins' directory has been made a shared mount, once and for good.
    pub(crate) fn but_sharing(&self) -> Self {
        let lines = self.0.iter().map(|line| line.strip_suffix(" shared").unwrap_or(line).to_owned());
        Self::of(lines.filter(|line| line != "mount /run/netns tmpfs"))
    }

    /// And whether or not that is finished: what the new mount covers has gone. The next pin finishes it.
    pub(crate) fn but_covering(&self) -> Self {
        let engines = |line: &String| line.starts_with("mount /run/netns/cni-");
        let lines = self.but_sharing().0;
        Self(
            lines
                .iter()
                .map(|line| line.strip_suffix(" x2").filter(|_| engines(line)).unwrap_or(line).into())
                .collect(),
        )
    }

    /// Without the specification in the bundle of `id`, which may be the old one or the new one.
    pub(crate) fn but_specification(&self, id: &str) -> Self {
        let own = format!("specification {} ", bundle_of(id).display());
        Self(self.0.iter().filter(|line| !line.starts_with(&own)).cloned().collect())
    }
}

/// A mount below `/run`.
struct Mount {
    point: String,
    kind: String,
    /// The inode of a namespace.
    netns: Option<u64>,
    shared: bool,
}

impl Mount {
    fn line(&self) -> String {
        let what = match self.netns {
            Some(inode) => engines(inode).map_or("made".to_owned(), |number| format!("ns{number}")),
            None => self.kind.clone(),
        };
        format!("mount {} {what}{}", self.point, if self.shared { " shared" } else { "" })
    }
}

fn mounts() -> Vec<Mount> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mount = |line: &str| {
        let fields: Vec<_> = line.split(' ').collect();
        let dash = fields.iter().position(|field| *field == "-").unwrap();
        let inode = fields[3].strip_prefix("net:[").and_then(|rest| rest.strip_suffix(']'));
        Mount {
            point: fields[4].to_owned(),
            kind: fields[dash + 1].to_owned(),
            netns: inode.map(|inode| inode.parse().unwrap()),
            shared: fields[6..dash].iter().any(|field| field.starts_with("shared:")),
        }
    };
    text.lines().map(mount).filter(|mount| mount.point.starts_with("/run/")).collect()
}

fn files(dir: &Path, lines: &mut Vec<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.to_str().unwrap();
        if path.is_dir() {
            if name.starts_with("/run/bundles") {
                lines.push(format!("directory {name}"));
            }
            files(&path, lines);
        } else if name.ends_with("/config.json") {
            lines.push(format!("specification {} {}", dir.display(), fs::read_to_string(&path).unwrap()));
        } else if !STANDING.contains(&name) {
            // What kind of a temporary file it is says its directory.
            let name = name.split_once("/.tmp-").map_or(name.to_owned(), |(dir, _)| format!("{dir}/.tmp-*"));
            lines.push(format!("file {name}"));
        }
    }
}

/// Every record, by its pin's name. One that is half of one is none.
fn records() -> Vec<(String, Value)> {
    let mut records = Vec::new();
    for entry in fs::read_dir(RECORDS).into_iter().flatten() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        if let Some(name) = file.strip_suffix(".json") {
            let text = fs::read_to_string(&path).unwrap();
            let record = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}: {text:?}"));
            records.push((name.to_owned(), record));
        }
    }
    records
}

/// A record without what is new on each stage, but for whether its namespace is the pin's.
fn normal(name: &str, mut record: Value, mounts: &[Mount]) -> Value {
    let pin = mounts.iter().find(|mount| mount.point == format!("{PINS}/{name}")).and_then(|mount| mount.netns);
    record["netns"] = Value::from(pin.is_some() && record["netns"]["ino"].as_u64() == pin);
    record["since"].take();
    record["source"]["parent"].take();
    record["pid_ns"].take();
    for key in ["gone", "removed"] {
        record[key] = Value::from(!record[key].is_null());
    }
    let bundle = &mut record["source"]["bundle"];
    *bundle = Value::from(!bundle.is_null());
    record
}

/// What holds at any moment at which everything may stop: a pin has a record that knows its namespace; a container that
/// was given a pin's path finds a pin there; counts are counts.
#[track_caller]
pub(crate) fn assert_sound() {
    let (mounts, records) = (mounts(), records());
    for mount in mounts.iter().filter(|mount| mount.point.starts_with("/run/netns/berth-")) {
        let record = records.iter().find(|(name, _)| mount.point.ends_with(&format!("/{name}")));
        let (name, record) = record.unwrap_or_else(|| panic!("{} has no record", mount.point));
        assert_eq!(record["netns"]["ino"].as_u64(), mount.netns, "{name}: its record knows another namespace");
    }
    for entry in fs::read_dir("/run/bundles").into_iter().flatten() {
        let path = entry.unwrap().path().join("config.json");
        let text = fs::read_to_string(&path).unwrap();
        let spec: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let netns = spec["linux"]["namespaces"][1]["path"].as_str().unwrap_or_default();
        if netns.contains("/berth-") {
            assert!(mounts.iter().any(|mount| mount.point == netns && mount.netns.is_some()), "no pin at {netns}");
        }
    }
    for line in fs::read_to_string("/run/berth/interpose.counts").unwrap_or_default().lines() {
        let value = line.rsplit_once('=').and_then(|(_, value)| value.parse::<u64>().ok());
        assert!(value.is_some(), "half a count: {line:?}");
    }
}
