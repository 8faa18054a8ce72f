//! containerd's CRI in the words of its configuration's versions.

use super::node::{Map, Node, key, table};
use super::{By, EditError, Input, Toml, Wrap, handler};
use crate::engine::ignores_runtime_path;
use std::path::Path;

/// What the CRI is called in configurations of version 2; its runtime half from 3 on; and in version 1.
const SECTIONS: [&str; 3] = ["io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime", "cri"];
/// A shim that runs OCI runtimes by `BinaryName`.
const RUNC_SHIM: &str = "io.containerd.runc.v";

/// The handlers of a section, in a dump or a file.
pub(super) fn keys(section: &str) -> [&str; 4] {
    ["plugins", section, "containerd", "runtimes"]
}

/// The section that holds handlers in a configuration of this version.
pub(super) fn section(version: i64) -> &'static str {
    if version <= 2 { SECTIONS[0] } else { SECTIONS[1] }
}

/// The handlers in a dump, by name. Dumps are in the words of the engine's newest version.
pub(super) fn handlers(dump: &Node) -> Map {
    let found = |section: &&str| dump.table(&keys(section)).filter(|map| !map.is_empty()).cloned();
    [SECTIONS[1], SECTIONS[0]].iter().find_map(found).unwrap_or_default()
}

/// The names that a file declares, in the words of any version.
pub(super) fn declared(file: &Toml<'_>) -> Vec<String> {
    SECTIONS.iter().flat_map(|section| handler::names_at(file, &keys(section))).collect()
}

/// Has the file handlers in this section?
pub(super) fn has_handlers(file: &Toml<'_>, section: &str) -> bool {
    !handler::names_at(file, &keys(section)).is_empty()
}

/// Has the file anything to say about this section?
pub(super) fn has_section(file: &Toml<'_>, section: &str) -> bool {
    file.node().at(&["plugins", section]).is_some()
}

/// The CRI is on.
pub(super) fn check_on(dump: &Node) -> Result<(), EditError> {
    let Some(Node::List(disabled)) = dump.at(&["disabled_plugins"]) else { return Ok(()) };
    match disabled.iter().filter_map(Node::text).find(|plugin| SECTIONS.contains(plugin)) {
        Some(plugin) => Err(EditError::NoCri { plugin: plugin.to_owned() }),
        None => Ok(()),
    }
}

/// The tables of the new handlers, line by line.
pub(super) fn tables(
    input: &Input,
    wraps: &[Wrap],
    section: &str,
    owned: &[String],
    dump: &Node,
) -> Result<Vec<String>, EditError> {
    let known = handlers(dump);
    let mut lines = Vec::new();
    for wrap in wraps {
        check_version(input.version, &wrap.by)?;
        let settings = wrapped(wrap, handler::existing(wrap, &known, owned)?)?;
        if !lines.is_empty() {
            lines.push(String::new());
        }
        lines.push(format!("# All settings of {}, and berth in front.", wrap.handler));
        lines.extend(table(&header(section, &wrap.new), &settings));
    }
    Ok(lines)
}

/// A handler that is not berth's, written out.
pub(super) fn as_it_is(section: &str, name: &str, settings: &Node) -> Vec<String> {
    let settings = settings.map().cloned().unwrap_or_default();
    table(&header(section, name), &said(settings))
}

/// The settings of a handler, and berth in front.
fn wrapped(wrap: &Wrap, existing: &Map) -> Result<Map, EditError> {
    let option = |name: &str| existing.get("options")?.at(&[name]);
    handler::check_no_loop(wrap, &[existing.get("runtime_path"), option("BinaryName")])?;
    Ok(said(with_berth(wrap, existing)?))
}

/// Without what is as Go has it unsaid, so that a newer engine does not stumble over what it has given up. Options stay as
/// they are: they are a shim's, and a shim may tell the two apart.
fn said(mut settings: Map) -> Map {
    settings.retain(|_, value| !value.is_zero());
    settings
}

/// A handler's settings as the dump shall have them for the new one.
pub(super) fn with_berth(wrap: &Wrap, existing: &Map) -> Result<Map, EditError> {
    let mut settings = existing.clone();
    let path = Node::Text(wrap.by.path().display().to_string());
    match &wrap.by {
        By::ShimPath(_) => drop(settings.insert("runtime_path".to_owned(), path)),
        By::BinaryName(_) => {
            let kind = existing.get("runtime_type").and_then(Node::text).unwrap_or_default();
            if !kind.starts_with(RUNC_SHIM) {
                return Err(EditError::Unfit {
                    handler: wrap.handler.clone(),
                    has: format!("runtime_type {kind:?}"),
                    instead: "only runc's shim runs what BinaryName says; let berth stand before the shim",
                });
            }
            let options = settings.entry("options".to_owned()).or_insert_with(|| Node::Map(Map::new()));
            if let Node::Map(options) = options {
                options.insert("BinaryName".to_owned(), path);
            }
        }
    }
    Ok(settings)
}

fn header(section: &str, name: &str) -> String {
    // A name that is not berth's may have a dot in it.
    format!("plugins.'{section}'.containerd.runtimes.{}", key(name))
}

fn check_version(version: (u64, u64, u64), by: &By) -> Result<(), EditError> {
    match by {
        By::ShimPath(_) if ignores_runtime_path(version) => {
            Err(EditError::TooOld { version: format!("{}.{}.{}", version.0, version.1, version.2) })
        }
        _ => Ok(()),
    }
}

/// What is the same for containerd of any version before handlers are added.
pub(super) fn check(input: &Input, wraps: &[Wrap], owned: &[String], dump: &Node) -> Result<(), EditError> {
    handler::check_names(wraps)?;
    check_on(dump)?;
    let declared = |path: &Path, text: &str| {
        let mut names = declared(&Toml::read(path, text)?);
        // Before 2.0 berth's own are in the root file.
        names.retain(|name| !(input.is_in_place() && path == input.root.path && owned.contains(name)));
        Ok(names)
    };
    handler::check_free(input, wraps, &handlers(dump), owned, declared)
}
