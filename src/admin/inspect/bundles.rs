//! The bundles of a pod, found where its engine keeps bundles.

use super::report::Container;
use crate::config::{Config, Interposer};
use crate::door::interpose::{self, Places, Question};
use crate::exit::chain;
use crate::fsutil;
use crate::identity::Engine;
use crate::ledger::record::{Origin, Record};
use crate::oci::{CONFIG, MAX_CONFIG};
use std::path::{Path, PathBuf};

/// The most that is looked at in one directory.
const MOST: usize = 4096;

/// Where containerd has its state, of a node and of the distributions that bring their own.
const CONTAINERD: [&str; 4] =
    ["/run/containerd", "/run/k3s/containerd", "/run/k0s/containerd", "/var/snap/microk8s/common/run/containerd"];
/// What it calls its bundles' directory there.
const TASKS: &str = "io.containerd.runtime.v2.task";
/// Below which CRI-O and podman have theirs, as `<storage driver>-containers/<id>/userdata`. (CRI-O has a copy where podman
/// has the bundle, which no runtime is given.)
const CRIO: &str = "/run/containers/storage";
const PODMAN: &str = "/var/lib/containers/storage";
const CONTAINERS: &str = "-containers";
const USERDATA: &str = "userdata";

/// Where to look, and by which configuration to judge.
#[derive(Debug)]
pub(super) struct Bundles<'a> {
    pub(super) config: &'a Config,
    pub(super) places: &'a Places,
    /// Directories that the operator names.
    pub(super) further: &'a [PathBuf],
}

impl Bundles<'_> {
    /// The pod's containers, the sandbox first. What cannot be read is said in `problems`.
    pub(super) fn of(&self, record: &Record, problems: &mut Vec<String>) -> Vec<Container> {
        let mut found = Vec::new();
        for bundle in self.candidates(record, problems) {
            match self.container(record, &bundle) {
                Ok(Some(container)) => found.push(container),
                Ok(None) => {}
                Err(error) => problems.push(format!("bundle {}: {}", bundle.display(), chain(&error))),
            }
        }
        found.sort_by(|a: &Container, b| (a.id != record.sandbox, &a.id).cmp(&(b.id != record.sandbox, &b.id)));
        found.dedup_by(|a, b| a.bundle == b.bundle);
        found
    }

    fn candidates(&self, record: &Record, problems: &mut Vec<String>) -> Vec<PathBuf> {
        let mut found: Vec<_> =
            (record.origin == Origin::Created).then(|| record.source.path.clone()).into_iter().collect();
        for root in roots(record).iter().chain(self.further) {
            let (children, cut) = directories(root);
            if cut {
                problems.push(format!("{}: only {MOST} of its entries were looked at", root.display()));
            }
            let below = |child: PathBuf| if is_directory(&child.join(USERDATA)) { child.join(USERDATA) } else { child };
            found.extend(children.into_iter().map(below).filter(|bundle| mentions(bundle, &record.sandbox)));
        }
        found
    }

    /// The container of this bundle, if it is one of the pod; judged as of an interposer of the engine, the handler and the
    /// profile that the record names.
    fn container(&self, record: &Record, bundle: &Path) -> Result<Option<Container>, interpose::Failure> {
        let known = |text: &String| (!text.is_empty()).then(|| text.clone());
        let entry = Interposer {
            engine: Engine::from_name(&record.engine),
            delegate: None,
            handler: known(&record.handler),
            profile: known(&record.profile),
        };
        let question = Question {
            bundle: bundle.to_owned(),
            name: None,
            id: None,
            root: Some(record.scope.clone()),
            entry: Some(entry),
        };
        let explained = interpose::explain(&question, self.config, self.places.clone())?;
        let is_of_pod = explained.facts.get("sandbox") == Some(&record.sandbox);
        let id = if bundle.ends_with(USERDATA) { bundle.parent().unwrap_or(bundle) } else { bundle };
        let id = id.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(is_of_pod.then(|| Container { id, bundle: bundle.to_owned(), explained }))
    }
}

/// The directories in which the engine of a record keeps bundles, there or not.
fn roots(record: &Record) -> Vec<PathBuf> {
    match Engine::from_name(&record.engine) {
        Engine::Containerd => CONTAINERD.iter().map(|state| Path::new(state).join(TASKS).join(&record.scope)).collect(),
        Engine::CriO => drivers(CRIO),
        Engine::Podman => drivers(PODMAN),
        Engine::Other => Vec::new(),
    }
}

fn drivers(storage: &str) -> Vec<PathBuf> {
    let (found, _) = directories(Path::new(storage));
    found.into_iter().filter(|driver| driver.to_string_lossy().ends_with(CONTAINERS)).collect()
}

/// The directories in `dir`, no links followed, and whether there are more than are looked at. None where there is no such
/// directory: engines have theirs in one place of several.
fn directories(dir: &Path) -> (Vec<PathBuf>, bool) {
    let mut entries = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let found: Vec<_> = entries.by_ref().take(MOST).filter(|path| is_directory(path)).collect();
    (found, entries.next().is_some())
}

fn is_directory(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|data| data.is_dir())
}

/// Whether the specification has the sandbox's id anywhere: most of a node's have not, and are not read any closer.
fn mentions(bundle: &Path, sandbox: &str) -> bool {
    let text = fsutil::read_bounded(&bundle.join(CONFIG), MAX_CONFIG).unwrap_or_default();
    bundle.to_string_lossy().contains(sandbox) || contains(&text, sandbox.as_bytes())
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    !word.is_empty() && text.windows(word.len()).any(|window| window == word)
}
