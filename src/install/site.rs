//! Everything that is read before anything is planned.

use super::InstallError;
use super::parts::place;
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
    /// Where the engine keeps what runs.
    pub(super) state: PathBuf,
    /// Why the engine could not be asked; what it makes of its files is then not known, and of these only its own root
    /// file and berth's were read.
    pub(super) unasked: Option<String>,
}

/// Where containerd keeps what runs.
const STATE_DIR: &str = "/run/containerd";

impl Site {
    /// Reads the engine's configuration, and has the engine say what it makes of it.
    ///
    /// # Errors
    /// There is no engine, or several; a file cannot be read or parsed; the engine cannot be asked.
    pub(super) fn read(host: &Host, choice: &Choice) -> Result<Self, InstallError> {
        let mut engine = Engine::find(host, choice)?;
        let files = Candidate { config: &engine.config, drop_ins: engine.drop_ins.as_deref() };
        let root = snapshot(host, &engine.config)?;
        let others = match engine.kind {
            Kind::Containerd => imported(host, &root)?,
            Kind::CriO => below(host, engine.drop_ins.as_deref())?,
        };
        let dropin = snapshot(host, &own(engine.kind, &engine.config, engine.drop_ins.as_deref()))?;
        // Behind the files: a mistake in one is then told with its line.
        check_syntax(&root, &others)?;
        let dump = Effective::print(host, &engine, files)?;
        let effective = Effective::parse(engine.kind, Source::Files, &dump)
            .map_err(|error| EngineError::unreadable(format!("{} config", engine.kind.program()), &error))?;
        let told =
            choice.socket.is_some() || engine.running.as_ref().is_some_and(|running| running.flags.socket.is_some());
        if let Some(socket) = effective.socket.clone().filter(|_| !told) {
            engine.socket = socket;
        }
        let state = state(&dump).unwrap_or_else(|| STATE_DIR.into());
        let input = Input { kind: engine.kind, version: version(&engine)?, root, others, dropin, dump };
        Ok(Self { engine, input, effective, state, unasked: None })
    }

    /// What was installed on, by its record: the engine as it is now, and where it is gone or cannot be asked, its files
    /// alone.
    ///
    /// # Errors
    /// Another engine is named than that of the record, or a file cannot be read or parsed.
    pub(super) fn of_record(host: &Host, choice: &Choice, record: &Record) -> Result<Self, InstallError> {
        let mut choice = choice.clone();
        choice.engine.get_or_insert_with(|| record.engine.kind.clone());
        choice.config.get_or_insert_with(|| record.engine.config.clone());
        choice.drop_ins = choice.drop_ins.or_else(|| record.engine.drop_ins.clone());
        let site = match Self::read(host, &choice) {
            Err(error) if is_silent(&error) => Self::unasked(host, &choice, record, &error)?,
            read => read?,
        };
        check_engine(&site.engine, record)?;
        Ok(site)
    }

    fn unasked(host: &Host, choice: &Choice, record: &Record, why: &InstallError) -> Result<Self, InstallError> {
        let mut engine = Engine::find(host, choice)?;
        if choice.socket.is_none()
            && engine.running.is_none()
            && let Some(socket) = &record.engine.socket
        {
            engine.socket.clone_from(socket);
        }
        let mut input = own_files(host, record, engine.kind, &engine.config, engine.drop_ins.as_deref())?;
        if let Ok(version) = &engine.version {
            input.version = version.core;
        }
        let nothing = |error| EngineError::unreadable(String::new(), &error);
        let effective = Effective::parse(engine.kind, Source::Files, "").map_err(nothing)?;
        let state = record.engine.state.clone().unwrap_or_else(|| STATE_DIR.into());
        Ok(Self { engine, input, effective, state, unasked: Some(crate::exit::chain(why)) })
    }
}

/// The files of an engine that can have something of berth's in them, without a word from the engine.
///
/// # Errors
/// One cannot be read or parsed.
pub(super) fn own_files(
    host: &Host,
    record: &Record,
    kind: Kind,
    config: &Path,
    drop_ins: Option<&Path>,
) -> Result<Input, InstallError> {
    let root = snapshot(host, config)?;
    let dropin = snapshot(host, &own(kind, config, drop_ins))?;
    check_syntax(&root, &[])?;
    // Only where berth's lines are depends on it.
    let has_own_file = record.item(&place(host, &dropin.path)?).is_some();
    let version = (if has_own_file { 2 } else { 1 }, 0, 0);
    Ok(Input { kind, version, root, others: Vec::new(), dropin, dump: String::new() })
}

/// There is an engine, or was, and nothing is to be had from it.
fn is_silent(error: &InstallError) -> bool {
    let silent = |error: &EngineError| matches!(error, EngineError::Run(_) | EngineError::Unreadable { .. });
    matches!(error, InstallError::NoVersion(_)) || matches!(error, InstallError::Engine(error) if silent(error))
}

/// The engine is the one of the record.
///
/// # Errors
/// Another one has berth's handlers.
pub(super) fn check_engine(engine: &Engine, record: &Record) -> Result<(), InstallError> {
    let is = format!("{} with {}", engine.kind, engine.config.display());
    let was = format!("{} with {}", record.engine.kind, record.engine.config.display());
    if record.handlers.is_empty() || is == was { Ok(()) } else { Err(InstallError::OtherEngine { was, is }) }
}

fn state(dump: &str) -> Option<PathBuf> {
    toml_edit::Document::parse(dump).ok()?.get("state")?.as_str().map(PathBuf::from)
}

fn version(engine: &Engine) -> Result<(u64, u64, u64), InstallError> {
    match (engine.kind, &engine.version) {
        (_, Ok(version)) => Ok(version.core),
        (Kind::CriO, Err(_)) => Ok((0, 0, 0)),
        (Kind::Containerd, Err(why)) => Err(InstallError::NoVersion(why.clone())),
    }
}

/// Where berth's own file goes.
fn own(kind: Kind, config: &Path, drop_ins: Option<&Path>) -> PathBuf {
    let beside = || config.parent().unwrap_or(Path::new("/")).join("conf.d");
    let dir = drop_ins.map_or_else(beside, Path::to_owned);
    dir.join(match kind {
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
                    let names = host.list(&dir)?.unwrap_or_default();
                    next.extend(names.iter().filter(|name| wild.matches(name)).map(|name| dir.join(name)));
                }
                _ => next.push(dir.join(part)),
            }
        }
        found = next;
    }
    let there = |path: PathBuf| match host.look(&path) {
        Ok(data) => data.map(|_| Ok(path)),
        Err(error) => Some(Err(error)),
    };
    found.into_iter().filter_map(there).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::FakeHost;

    #[test]
    fn what_a_pattern_leads_to_is_found_or_said_to_be_out_of_reach() {
        let host = FakeHost::new();
        host.write("/etc/a/1.toml", "").write("/etc/a/2.toml", "").write("/etc/a/3.conf", "").link("/etc/b", "b");
        let found = |pattern: &str| matches(&host.host(), Path::new(pattern)).map_err(|error| error.to_string());
        let paths = |paths: &[&str]| Ok(paths.iter().map(PathBuf::from).collect());
        assert_eq!(found("/etc/a/*.toml"), paths(&["/etc/a/1.toml", "/etc/a/2.toml"]));
        assert_eq!(found("/etc/a/3.conf"), paths(&["/etc/a/3.conf"]));
        assert_eq!(found("/etc/c/*.toml"), paths(&[]));
        assert_eq!(found("/etc/a/4.toml"), paths(&[]));
        for unreachable in ["/etc/b/*.toml", "/etc/b/1.toml"] {
            assert!(found(unreachable).is_err_and(|error| error.contains("/etc/b")), "{unreachable}");
        }
    }
}
