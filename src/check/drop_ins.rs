//! The engine's files beside the root one: whether they hold, by effect, and whether the engine has read what they say now.

use super::Node;
use crate::engine::{Distribution, Effective, Engine, Kind, Source};
use crate::exit::chain;
use crate::finding::Finding;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml_edit::{DocumentMut, Item, TableLike};

pub(super) const DROP_INS: &str = "drop-ins";
pub(super) const RESTART: &str = "engine-restart";

/// Where containerd's files say something of handlers, and from which version of the file on.
const CRI: [&str; 2] = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"];

/// A start is known to a second or so.
const BLUR: Duration = Duration::from_secs(2);

/// A file beside the root one.
#[derive(Debug)]
struct DropIn {
    path: PathBuf,
    text: String,
    /// What it says, or why it says nothing.
    document: Result<DocumentMut, String>,
}

impl DropIn {
    fn read(node: &Node, path: PathBuf) -> Option<Self> {
        let text = node.host.read(&path).ok().flatten()?;
        let document = text.parse::<DocumentMut>().map_err(|error| error.message().to_owned());
        Some(Self { path, text, document })
    }

    fn handlers(&self, kind: Kind) -> BTreeSet<String> {
        self.document.as_ref().map(|document| declared(document, kind)).unwrap_or_default()
    }

    /// It is about berth.
    fn is_ours(&self) -> bool {
        self.text.contains("berth")
    }
}

/// The handlers that a file says something of.
fn declared(document: &DocumentMut, kind: Kind) -> BTreeSet<String> {
    let table = |keys: &[&str]| {
        let mut at: &dyn TableLike = document.as_table();
        for key in keys {
            at = at.get(key)?.as_table_like()?;
        }
        Some(at.iter().map(|(name, _)| name.to_owned()).collect::<BTreeSet<_>>())
    };
    let found = match kind {
        Kind::Containerd => CRI.map(|plugin| table(&["plugins", plugin, "containerd", "runtimes"])).to_vec(),
        Kind::CriO => vec![table(&["crio", "runtime", "runtimes"])],
    };
    found.into_iter().flatten().flatten().collect()
}

/// Every file of the directory of drop-ins, and of those that the root file imports from, holds.
pub(super) fn drop_ins(node: &Node) -> Vec<Finding> {
    let Some(engine) = node.engine() else { return vec![Finding::skip(DROP_INS, "no engine")] };
    let root = match node.host.read(&engine.config) {
        Ok(text) => text.unwrap_or_default(),
        Err(error) if !node.privileges.root => {
            return vec![Finding::skip(DROP_INS, format!("{}; run as root", chain(&error)))];
        }
        Err(error) => {
            return vec![Finding::fail(
                DROP_INS,
                chain(&error),
                format!("make {} a file that root can read", engine.config.display()),
            )];
        }
    };
    let Ok(root) = root.parse::<DocumentMut>() else {
        return vec![Finding::skip(DROP_INS, format!("{} is not TOML", engine.config.display()))];
    };
    let files = files(node, engine, &root);
    let mut found: Vec<_> = files.iter().filter_map(|file| judge(node, engine, &root, file)).collect();
    if found.is_empty() {
        let what = match files.len() {
            0 => "there are none".to_owned(),
            count => {
                let dirs: Vec<_> = directories(engine, &root).iter().map(|dir| dir.display().to_string()).collect();
                format!("what is in {} holds; files: {count}", dirs.join(", "))
            }
        };
        found.push(Finding::pass(DROP_INS, what));
    }
    found
}

fn directories(engine: &Engine, root: &DocumentMut) -> Vec<PathBuf> {
    let usual = engine.drop_ins.iter().cloned();
    let imported =
        imports(engine, root).into_iter().filter_map(|pattern| Path::new(&pattern).parent().map(Path::to_owned));
    let all: BTreeSet<_> = usual.chain(imported).collect();
    all.into_iter().collect()
}

fn files(node: &Node, engine: &Engine, root: &DocumentMut) -> Vec<DropIn> {
    let dirs = directories(engine, root);
    let within = dirs.iter().flat_map(|dir| {
        let names = node.host.list(dir).ok().flatten().unwrap_or_default();
        let taken = names.into_iter().filter(|name| engine.kind == Kind::CriO || name.ends_with(".toml"));
        taken.map(move |name| dir.join(name))
    });
    within.filter(|path| *path != engine.config).filter_map(|path| DropIn::read(node, path)).collect()
}

/// The patterns of the root file, absolute: containerd takes them from its directory.
fn imports(engine: &Engine, root: &DocumentMut) -> Vec<String> {
    let items = root.get("imports").and_then(Item::as_array);
    let dir = engine.config.parent().unwrap_or(Path::new("/"));
    let absolute = |pattern: &str| dir.join(pattern).display().to_string();
    items.into_iter().flatten().filter_map(|item| item.as_str().map(absolute)).collect()
}

/// containerd's default for a file without one is 1, whatever its words are.
fn version(document: &DocumentMut) -> i64 {
    document.get("version").and_then(Item::as_integer).unwrap_or(1)
}

fn judge(node: &Node, engine: &Engine, root: &DocumentMut, file: &DropIn) -> Option<Finding> {
    let path = file.path.display();
    let handlers = file.handlers(engine.kind);
    let document = match &file.document {
        Ok(document) => document,
        Err(why) => {
            let message = format!("{path}: is not TOML: {}", why.trim());
            return Some(Finding::fail(DROP_INS, message, format!("correct {path}, or remove it")));
        }
    };
    if engine.kind == Kind::Containerd {
        let read = imports(engine, root)
            .iter()
            .any(|pattern| glob::Pattern::new(pattern).is_ok_and(|pattern| pattern.matches_path(&file.path)));
        let trouble =
            if read { of_versions(node, engine, root, document, file, &handlers) } else { not_read(engine, file) };
        if trouble.is_some() || !read {
            return trouble;
        }
    }
    // What the files make, where the engine has not read them again yet: that is another line.
    let holds = match &node.on_disk {
        Some(on_disk) => on_disk.as_ref().ok(),
        None => node.effective(),
    };
    let lost: Vec<_> = handlers
        .iter()
        .filter(|name| holds.is_some_and(|holds| !holds.handlers.contains_key(*name)))
        .cloned()
        .collect();
    (!lost.is_empty()).then(|| {
        let message = format!("{path}: its handlers {} do not hold", lost.join(", "));
        Finding::fail(
            DROP_INS,
            message,
            format!("in {path} use the words of its version: {}", words(engine.kind, version(document))),
        )
    })
}

fn words(kind: Kind, version: i64) -> String {
    match (kind, version) {
        (Kind::CriO, _) => "[crio.runtime.runtimes.NAME]".to_owned(),
        (_, ..3) => format!("[plugins.'{}'.containerd.runtimes.NAME] with version = 2", CRI[0]),
        (_, newer) => format!("[plugins.'{}'.containerd.runtimes.NAME] with version = {newer}", CRI[1]),
    }
}

fn not_read(engine: &Engine, file: &DropIn) -> Option<Finding> {
    let (path, root) = (file.path.display(), engine.config.display());
    let dir = file.path.parent()?.display();
    let message = format!("{path}: is not read: {root} does not import it");
    let hint = match engine.distribution {
        Distribution::Plain => format!(
            "add at the top of {root}, before any table: imports = ['{dir}/*.toml'] (or to the imports that it has)"
        ),
        _ => format!("{} writes {root} at each start: have its template import '{dir}/*.toml'", engine.name()),
    };
    Some(if file.is_ours() { Finding::fail(DROP_INS, message, hint) } else { Finding::warn(DROP_INS, message, hint) })
}

/// What goes wrong between versions, of which containerd says little: 2.3 refuses a drop-in that is newer than the root
/// file, 2.0 to 2.2 lose the root file's settings, and before 2.0 a plugin's section replaces that of the root file.
fn of_versions(
    node: &Node,
    engine: &Engine,
    root: &DocumentMut,
    document: &DocumentMut,
    file: &DropIn,
    handlers: &BTreeSet<String>,
) -> Option<Finding> {
    let (path, roots) = (file.path.display(), engine.config.display());
    let (own, of_root) = (version(document), version(root));
    if own > of_root {
        let message = format!(
            "{path}: version {own} is higher than {of_root}, that of {roots}: containerd does not start, or loses its CRI settings"
        );
        let hint = format!("write version = {of_root} into {path}, with {}", words(engine.kind, of_root));
        return Some(Finding::fail(DROP_INS, message, hint));
    }
    let before_2 = node.version().is_some_and(|version| version < (2, 0, 0));
    (before_2 && !handlers.is_empty()).then(|| {
        let message =
            format!("{path}: containerd {} has its CRI section in the place of that of {roots}", node.version_text());
        let hint = format!("move its handlers into {roots} itself: files are merged from 2.0 on");
        Finding::fail(DROP_INS, message, hint)
    })
}

/// The engine runs with what its files say.
pub(super) fn restart(node: &Node) -> Vec<Finding> {
    let (Some(engine), Some(effective)) = (node.engine(), node.effective()) else {
        return vec![Finding::skip(RESTART, "the engine's configuration is not known")];
    };
    let Some(process) = &engine.running else { return vec![Finding::skip(RESTART, "the engine does not run")] };
    if effective.source == Source::Process {
        return vec![by_effect(node, effective)];
    }
    let Some(started) = process.started else {
        return vec![Finding::skip(RESTART, "when the engine was started cannot be told")];
    };
    let root: DocumentMut =
        node.host.read(&engine.config).ok().flatten().and_then(|text| text.parse().ok()).unwrap_or_default();
    let mut paths = vec![engine.config.clone()];
    paths.extend(files(node, engine, &root).into_iter().map(|file| file.path));
    let newer = |path: &&PathBuf| {
        let changed = node.host.look(path).ok().flatten().and_then(|data| data.modified().ok());
        changed.is_some_and(|changed| changed > started + BLUR)
    };
    let newer: Vec<_> = paths.iter().filter(newer).map(|path| path.display().to_string()).collect();
    vec![if newer.is_empty() {
        Finding::pass(RESTART, "no file was changed since the engine started")
    } else {
        let message = format!(
            "changed after the engine started: {}; what is said here holds from its next start on",
            newer.join(", ")
        );
        Finding::warn(RESTART, message, node.restart())
    }]
}

/// CRI-O tells what it runs with, and reads handlers again at SIGHUP: the time says nothing.
fn by_effect(node: &Node, running: &Effective) -> Finding {
    let files = match &node.on_disk {
        Some(Ok(files)) => files,
        Some(Err(error)) => {
            let message = format!("the engine would not start again with its files: {}", chain(error));
            return Finding::fail(RESTART, message, format!("correct {} before the node is restarted", node.file()));
        }
        None => return Finding::skip(RESTART, "the engine's files are not known"),
    };
    let names: BTreeSet<_> = running.handlers.keys().chain(files.handlers.keys()).collect();
    let differ = |name: &&&String| {
        let of = |effective: &Effective| {
            effective
                .handlers
                .get(**name)
                .map(|told| (told.kind.clone(), told.runtime_root.clone(), told.monitor_env.clone()))
        };
        let path = |effective: &Effective| effective.handlers.get(**name).and_then(|told| told.runtime_path.clone());
        // A path that the files leave out is one that CRI-O has found.
        of(running) != of(files) || path(files).is_some_and(|wanted| path(running) != Some(wanted))
    };
    let mut changed: Vec<_> = names.iter().filter(differ).map(|name| format!("handler {name}")).collect();
    changed.extend((running.drops_infra != files.drops_infra).then(|| "drop_infra_ctr".to_owned()));
    changed.extend((running.nri.enabled != files.nri.enabled).then(|| "enable_nri".to_owned()));
    if changed.is_empty() {
        Finding::pass(RESTART, "the engine runs with what its files say")
    } else {
        let message = format!("the files say something else than the engine runs with: {}", changed.join(", "));
        Finding::warn(RESTART, message, node.restart())
    }
}
