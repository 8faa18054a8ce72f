//! The engine's files beside the root one: whether they hold, by effect.

use super::Node;
use crate::engine::edit::{covers, patterns};
use crate::engine::{Distribution, Engine, Kind};
use crate::exit::chain;
use crate::finding::Finding;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, TableLike};

pub(super) const DROP_INS: &str = "drop-ins";

/// Where containerd's files say something of handlers, and from which version of the file on.
const CRI: [&str; 2] = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"];

/// The words that every containerd 2 knows.
const COMMON: i64 = 3;

/// A file beside the root one.
#[derive(Debug)]
pub(super) struct DropIn {
    pub(super) path: PathBuf,
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
    let names = |keys: &[&str]| {
        let table = at(document, keys).and_then(Item::as_table_like);
        table.into_iter().flat_map(TableLike::iter).map(|(name, _)| name.to_owned()).collect::<BTreeSet<_>>()
    };
    match kind {
        Kind::Containerd => {
            CRI.iter().flat_map(|plugin| names(&["plugins", plugin, "containerd", "runtimes"])).collect()
        }
        Kind::CriO => names(&["crio", "runtime", "runtimes"]),
    }
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
    let files = Files::beside(node, engine);
    let mut found: Vec<_> = files.all.iter().filter_map(|file| judge(node, engine, &root, &files, file)).collect();
    if found.is_empty() {
        let what = match files.all.len() {
            0 => "there are none".to_owned(),
            count => {
                let dirs: Vec<_> =
                    directories(engine, &files.imports).iter().map(|dir| dir.display().to_string()).collect();
                format!("what is in {} holds; files: {count}", dirs.join(", "))
            }
        };
        found.push(Finding::pass(DROP_INS, what));
    }
    found
}

/// The files that may be meant to hold beside the root one.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) all: Vec<DropIn>,
    /// What the root file imports, by itself and through others, as absolute paths and patterns.
    imports: Vec<PathBuf>,
}

impl Files {
    pub(super) fn beside(node: &Node, engine: &Engine) -> Self {
        let root = node.host.read(&engine.config).ok().flatten().unwrap_or_default();
        // What is not TOML imports nothing, and is another line.
        let mut imports = patterns(&engine.config, &root).unwrap_or_default();
        loop {
            let found = Self { all: in_directories(node, engine, &imports), imports };
            let read = found.all.iter().filter(|file| found.is_read(file));
            let theirs = read.flat_map(|file| patterns(&file.path, &file.text).unwrap_or_default());
            let more: BTreeSet<_> = theirs.filter(|pattern| !found.imports.contains(pattern)).collect();
            if more.is_empty() {
                return found;
            }
            imports = found.imports;
            imports.extend(more);
        }
    }

    /// containerd reads what it is told to import.
    pub(super) fn is_read(&self, file: &DropIn) -> bool {
        self.imports.iter().any(|pattern| covers(pattern, &file.path))
    }
}

/// The file of the engine in which something at these keys is to be changed: the last one that says it, which counts;
/// where none does, the one that is the operator's.
pub(super) fn file_with(node: &Node, keys: &[&str]) -> String {
    let says = |document: &DocumentMut| at(document, keys).is_some();
    let Some(engine) = node.engine().filter(|engine| engine.distribution == Distribution::Plain) else {
        return node.file();
    };
    let files = Files::beside(node, engine);
    let read = |file: &&DropIn| engine.kind == Kind::CriO || files.is_read(file);
    let mut beside = files.all.iter().filter(read).rev();
    if let Some(file) = beside.find(|file| file.document.as_ref().is_ok_and(says)) {
        return file.path.display().to_string();
    }
    let root = node.host.read(&engine.config).ok().flatten().and_then(|text| text.parse().ok());
    if root.as_ref().is_some_and(says) { engine.config.display().to_string() } else { node.file() }
}

/// The file that declares a handler.
pub(super) fn file_of(node: &Node, handler: &str) -> String {
    let places = match node.engine().map(|engine| engine.kind) {
        Some(Kind::CriO) => vec![vec!["crio", "runtime", "runtimes", handler]],
        _ => CRI.map(|plugin| vec!["plugins", plugin, "containerd", "runtimes", handler]).to_vec(),
    };
    let mut files = places.iter().map(|keys| file_with(node, keys));
    let named = files.clone().find(|file| *file != node.file());
    named.or_else(|| files.next()).unwrap_or_default()
}

/// What a file has at the end of these keys.
fn at<'a>(document: &'a DocumentMut, keys: &[&str]) -> Option<&'a Item> {
    let (last, tables) = keys.split_last()?;
    let mut table: &dyn TableLike = document.as_table();
    for key in tables {
        table = table.get(key)?.as_table_like()?;
    }
    table.get(last)
}

fn directories(engine: &Engine, imports: &[PathBuf]) -> BTreeSet<PathBuf> {
    let imported = imports.iter().filter_map(|pattern| pattern.parent().map(Path::to_owned));
    engine.drop_ins.iter().cloned().chain(imported).collect()
}

fn in_directories(node: &Node, engine: &Engine, imports: &[PathBuf]) -> Vec<DropIn> {
    let within = directories(engine, imports).into_iter().flat_map(|dir| {
        let names = node.host.list(&dir).ok().flatten().unwrap_or_default();
        let taken = names.into_iter().filter(|name| engine.kind == Kind::CriO || name.ends_with(".toml"));
        taken.map(move |name| dir.join(name))
    });
    within.filter(|path| *path != engine.config).filter_map(|path| DropIn::read(node, path)).collect()
}

/// The version that a file says it is of; nothing and 0 leave it to the other files.
fn version(document: &DocumentMut) -> Option<i64> {
    document.get("version").and_then(Item::as_integer).filter(|version| *version > 0)
}

fn judge(node: &Node, engine: &Engine, root: &DocumentMut, files: &Files, file: &DropIn) -> Option<Finding> {
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
        let read = files.is_read(file);
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
        let of_root = version(root).unwrap_or(COMMON);
        let hint = match engine.kind {
            Kind::CriO => format!("in {path} write handlers as {}", words(Kind::CriO, of_root)),
            Kind::Containerd => {
                format!("write version = {of_root} into {path}, with {}", words(Kind::Containerd, of_root))
            }
        };
        Finding::fail(DROP_INS, message, hint)
    })
}

fn words(kind: Kind, version: i64) -> String {
    match (kind, version) {
        (Kind::CriO, _) => "[crio.runtime.runtimes.NAME]".to_owned(),
        (_, ..3) => format!("[plugins.'{}'.containerd.runtimes.NAME]", CRI[0]),
        (_, _) => format!("[plugins.'{}'.containerd.runtimes.NAME]", CRI[1]),
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
    if let (Some(own), Some(of_root)) = (version(document), version(root))
        && own > of_root
    {
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
