//! Everything that is read before anything is planned.

use super::InstallError;
use super::record::Record;
use crate::engine::edit::{Input, Snapshot, patterns};
use crate::engine::{Candidate, Choice, Effective, Engine, EngineError, Host, Kind, Source};
use crate::fsutil::FileError;
use std::path::{Component, Path, PathBuf};

/// Where the record is, and what belongs to it.
pub(super) const STATE: &str = "/var/lib/berth";
/// The record.
pub(super) const RECORD: &str = "/var/lib/berth/install.json";
/// What berth's own file is called in a directory of drop-ins.
const OWN: &str = "50-berth";

/// A node as it is.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) engine: Engine,
    pub(super) input: Input,
    pub(super) effective: Effective,
}

impl Site {
    /// Reads the engine's configuration, and has the engine say what it makes of it.
    ///
    /// # Errors
    /// There is no engine, or several; a file cannot be read or parsed; the engine cannot be asked.
    pub(super) fn read(host: &Host, choice: &Choice) -> Result<Self, InstallError> {
        let engine = Engine::find(host, choice)?;
        let files = Candidate { config: &engine.config, drop_ins: engine.drop_ins.as_deref() };
        let root = snapshot(host, &engine.config)?;
        let others = match engine.kind {
            Kind::Containerd => imported(host, &root)?,
            Kind::CriO => below(host, engine.drop_ins.as_deref())?,
        };
        let dropin = snapshot(host, &own(&engine))?;
        // Behind the files: a mistake in one is then told with its line.
        check_syntax(&root, &others)?;
        let dump = Effective::print(host, &engine, files)?;
        let effective = Effective::parse(engine.kind, Source::Files, &dump)
            .map_err(|error| EngineError::unreadable(format!("{} config", engine.kind.program()), &error))?;
        let input = Input { kind: engine.kind, version: version(&engine)?, root, others, dropin, dump };
        Ok(Self { engine, input, effective })
    }
}

fn version(engine: &Engine) -> Result<(u64, u64, u64), InstallError> {
    match (engine.kind, &engine.version) {
        (_, Ok(version)) => Ok(version.core),
        (Kind::CriO, Err(_)) => Ok((0, 0, 0)),
        (Kind::Containerd, Err(why)) => Err(InstallError::NoVersion(why.clone())),
    }
}

/// Where berth's own file goes.
fn own(engine: &Engine) -> PathBuf {
    let beside = || engine.config.parent().unwrap_or(Path::new("/")).join("conf.d");
    let dir = engine.drop_ins.clone().unwrap_or_else(beside);
    dir.join(match engine.kind {
        Kind::Containerd => format!("{OWN}.toml"),
        Kind::CriO => format!("{OWN}.conf"),
    })
}

fn snapshot(host: &Host, path: &Path) -> Result<Snapshot, FileError> {
    Ok(Snapshot { path: path.to_owned(), text: host.read(path)? })
}

fn check_syntax(root: &Snapshot, others: &[Snapshot]) -> Result<(), InstallError> {
    for file in std::iter::once(root).chain(others) {
        patterns(&file.path, file.text.as_deref().unwrap_or_default())?;
    }
    Ok(())
}

/// What a containerd root file imports, and what that imports in turn.
fn imported(host: &Host, root: &Snapshot) -> Result<Vec<Snapshot>, InstallError> {
    let mut found: Vec<Snapshot> = Vec::new();
    let mut pending = vec![root.clone()];
    while let Some(file) = pending.pop() {
        for pattern in patterns(&file.path, file.text.as_deref().unwrap_or_default())? {
            for path in matches(host, &pattern)? {
                if path != root.path && found.iter().all(|known| known.path != path) {
                    let file = snapshot(host, &path)?;
                    found.push(file.clone());
                    pending.push(file);
                }
            }
        }
    }
    Ok(found)
}

/// The host's files that a pattern leads to, sorted. A name without a wildcard leads to itself.
pub(super) fn matches(host: &Host, pattern: &Path) -> Result<Vec<PathBuf>, FileError> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.components() {
        let Component::Normal(part) = part else { continue };
        let text = part.to_string_lossy();
        let mut next = Vec::new();
        for dir in found {
            match glob::Pattern::new(&text) {
                Ok(wild) if text.contains(['*', '?', '[']) => {
                    let names = host.list(&dir).ok().flatten().unwrap_or_default();
                    next.extend(names.iter().filter(|name| wild.matches(name)).map(|name| dir.join(name)));
                }
                _ => next.push(dir.join(part)),
            }
        }
        found = next;
    }
    found.retain(|path| host.has(path));
    Ok(found)
}

/// All files below a directory, in the order in which CRI-O reads them.
fn below(host: &Host, dir: Option<&Path>) -> Result<Vec<Snapshot>, FileError> {
    let mut found = Vec::new();
    let Some(dir) = dir else { return Ok(found) };
    for name in host.list(dir)?.unwrap_or_default() {
        let path = dir.join(name);
        match host.look(&path)? {
            Some(data) if data.is_dir() => found.extend(below(host, Some(&path))?),
            Some(_) => found.push(snapshot(host, &path)?),
            None => {}
        }
    }
    Ok(found)
}

/// The record of what is installed.
///
/// # Errors
/// It cannot be read, or is not one.
pub(super) fn record(host: &Host) -> Result<Option<Record>, InstallError> {
    let path = Path::new(RECORD);
    let Some(text) = host.read(path)? else { return Ok(None) };
    let record = Record::decode(text.as_bytes());
    record.map(Some).map_err(|source| InstallError::Record { path: path.to_owned(), source })
}
