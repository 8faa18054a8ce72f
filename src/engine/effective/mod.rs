//! The configuration that holds, by the engine's own parser: what files there are, and how they are merged, is its matter.
//!
//! `containerd --config X config dump` prints everything, defaults included; `crio status config` everything of the CRI-O
//! that runs; `crio --config X --config-dir D config` what files make of it, with what is at its default as a comment.

mod containerd;
mod crio;
#[cfg(test)]
mod tests;

use super::host::Host;
use super::table::Kind;
use super::{Engine, EngineError, RunError};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toml_edit::{DocumentMut, Item, TableLike};

/// Where a configuration came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The engine's process: what it runs with.
    Process,
    /// The engine's parser over its files: what it would run with if it were started now.
    Files,
}

/// What holds. Paths are the host's own.
#[derive(Debug, Clone)]
pub struct Effective {
    /// Where it came from.
    pub source: Source,
    /// The version of the printed format, which is the engine's newest and not that of the files; CRI-O has none.
    pub version: Option<i64>,
    /// What containerd says it imports. From 2.2 on it says its default also where nothing is imported: the root file
    /// lacks the line then. Empty for CRI-O.
    pub imports: Vec<String>,
    /// The CRI is served.
    pub cri: bool,
    /// Runtime handlers by name.
    pub handlers: BTreeMap<String, Handler>,
    /// The handler of pods that name none.
    pub default_handler: String,
    /// NRI.
    pub nri: Nri,
    /// Where the CRI is served, if it says so.
    pub socket: Option<PathBuf>,
    /// CRI-O creates no sandbox container where the pod does not need it. False for containerd, which always does.
    pub drops_infra: bool,
}

/// A runtime handler.
#[derive(Debug, Clone, Default)]
pub struct Handler {
    /// `runtime_type`: containerd's name of a shim; `oci`, `vm` or `pod` of CRI-O, `oci` where it says none.
    pub kind: String,
    /// `runtime_path`: the shim for containerd and CRI-O's type `vm`, the OCI runtime for CRI-O's others.
    pub runtime_path: Option<PathBuf>,
    /// `options.BinaryName` of containerd: the OCI runtime.
    pub binary_name: Option<PathBuf>,
    /// `runtime_root` of CRI-O.
    pub runtime_root: Option<PathBuf>,
    /// `snapshotter` of containerd.
    pub snapshotter: Option<String>,
    /// `monitor_env` of CRI-O.
    pub monitor_env: Vec<String>,
    /// Everything that is said of it, as the engine prints it.
    pub raw: toml_edit::Table,
}

/// What is said of NRI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nri {
    /// The engine has it and it is on.
    pub enabled: bool,
    /// The file says something of it: a containerd before 1.7 has no such section.
    pub known: bool,
    /// Plugins may connect by themselves.
    pub connections: bool,
    /// Its socket.
    pub socket: PathBuf,
    /// The directory of plugins that it starts.
    pub plugins: PathBuf,
    /// The directory of their configurations.
    pub configs: PathBuf,
    /// The validator that comes with it.
    pub validator: Validator,
}

/// The default validator of NRI.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validator {
    /// It is on.
    pub enabled: bool,
    /// `reject_namespace_adjustment`
    pub rejects_namespaces: bool,
    /// `required_plugins`
    pub required: Vec<String>,
    /// `tolerate_missing_plugins_annotation`
    pub tolerating: Option<String>,
}

/// Files that could become an engine's.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The root file.
    pub config: &'a Path,
    /// The directory of drop-ins; containerd finds its own by the root file.
    pub drop_ins: Option<&'a Path>,
}

impl Effective {
    /// What the engine runs with; where it cannot be asked, what its files make of it.
    ///
    /// # Errors
    /// Its parser does not take them, cannot be run, or prints something else.
    pub fn of(host: &Host, engine: &Engine) -> Result<Self, EngineError> {
        if engine.kind == Kind::CriO && engine.running.is_some() {
            let socket = engine.socket.display().to_string();
            if let Ok(said) = host.run(engine.program()?, &["status", "--socket", &socket, "config"])
                && let Ok(effective) = Self::parse(engine.kind, Source::Process, &said.out)
            {
                return Ok(effective);
            }
        }
        Self::of_candidate(host, engine, Candidate { config: &engine.config, drop_ins: engine.drop_ins.as_deref() })
    }

    /// What the engine's parser makes of `files`, whether or not they are those it runs with.
    ///
    /// # Errors
    /// As [`Effective::of`]; the last line that the parser said is in it.
    pub fn of_candidate(host: &Host, engine: &Engine, files: Candidate<'_>) -> Result<Self, EngineError> {
        let text = Self::print(host, engine, files)?;
        Self::parse(engine.kind, Source::Files, &text)
            .map_err(|error| EngineError::unreadable(format!("{} config", engine.kind.program()), &error))
    }

    /// The same as the engine prints it.
    ///
    /// # Errors
    /// As [`Effective::of`].
    pub fn print(host: &Host, engine: &Engine, files: Candidate<'_>) -> Result<String, EngineError> {
        let program = engine.program()?;
        let config = text(files.config)?;
        // containerd before 2.0 and CRI-O fail on a file that is named and absent; to all an empty one says nothing.
        let there = host.look(files.config)?.is_some();
        let config = if there { config } else { "/dev/null" };
        let said = match (engine.kind, files.drop_ins) {
            (Kind::Containerd, _) => host.run(program, &["--config", config, "config", "dump"])?,
            (Kind::CriO, None) => host.run(program, &["--config", config, "--config-dir", "", "config"])?,
            (Kind::CriO, Some(dir)) => {
                host.run(program, &["--config", config, "--config-dir", text(dir)?, "config"])?
            }
        };
        Ok(said.out)
    }

    /// What an engine has printed. Pure.
    ///
    /// # Errors
    /// It is no TOML.
    pub fn parse(kind: Kind, source: Source, text: &str) -> Result<Self, toml_edit::TomlError> {
        match kind {
            Kind::Containerd => Ok(containerd::read(source, &text.parse::<DocumentMut>()?)),
            Kind::CriO => Ok(crio::read(source, &crio::with_defaults(text).parse::<DocumentMut>()?)),
        }
    }
}

fn text(path: &Path) -> Result<&str, RunError> {
    path.to_str().ok_or_else(|| RunError::NotFound(path.display().to_string()))
}

/// The table at the end of these keys.
fn table<'a>(root: &'a dyn TableLike, keys: &[&str]) -> Option<&'a dyn TableLike> {
    let (first, rest) = keys.split_first()?;
    let found = root.get(first).and_then(Item::as_table_like)?;
    if rest.is_empty() { Some(found) } else { table(found, rest) }
}

/// Text that says something.
fn string(table: &dyn TableLike, key: &str) -> Option<String> {
    table.get(key).and_then(Item::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn path(table: &dyn TableLike, key: &str) -> Option<PathBuf> {
    string(table, key).map(PathBuf::from)
}

fn flag(table: &dyn TableLike, key: &str) -> Option<bool> {
    table.get(key).and_then(Item::as_bool)
}

fn strings(table: &dyn TableLike, key: &str) -> Vec<String> {
    let items = table.get(key).and_then(Item::as_array);
    items.into_iter().flatten().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// A table of its own of what is one in whatever notation.
fn owned(table: &dyn TableLike) -> toml_edit::Table {
    table.iter().map(|(key, item)| (key.to_owned(), item.clone())).collect()
}
