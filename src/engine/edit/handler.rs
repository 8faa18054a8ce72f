//! What holds for the handlers of both engines.

use super::node::{Map, Node};
use super::{EditError, Input, Toml, Wrap};
use std::collections::BTreeSet;
use std::path::Path;

/// berth's own name.
const BERTH: &str = "berth";
/// How names begin under which berth is an interposer, and need no entry to say so.
const INTERPOSERS: [&str; 2] = ["berth-", "containerd-shim-berth-"];

/// Every new name is one that a `RuntimeClass` can have as its handler, and no two are the same.
pub(super) fn check_names(wraps: &[Wrap]) -> Result<(), EditError> {
    let mut seen = BTreeSet::new();
    for Wrap { new, .. } in wraps {
        let name = || new.clone();
        if !is_label(new) {
            return Err(EditError::BadName { name: name() });
        }
        if !seen.insert(new) {
            return Err(EditError::Twice { name: name() });
        }
    }
    Ok(())
}

/// No file but berth's own declares one of these names, and the engine knows none that berth has not made.
///
/// `declared` tells which handlers a file declares.
pub(super) fn check_free(
    input: &Input,
    wraps: &[Wrap],
    known: &Map,
    owned: &[String],
    declared: impl Fn(&Path, &str) -> Result<Vec<String>, EditError>,
) -> Result<(), EditError> {
    for (path, text) in input.files() {
        let declared = declared(path, text)?;
        if let Some(wrap) = wraps.iter().find(|wrap| declared.contains(&wrap.new)) {
            return Err(EditError::NameTaken { name: wrap.new.clone(), path: Some(path.to_owned()) });
        }
    }
    let taken = |wrap: &&Wrap| known.contains_key(&wrap.new) && !owned.contains(&wrap.new);
    match wraps.iter().find(taken) {
        Some(wrap) => Err(EditError::NameTaken { name: wrap.new.clone(), path: None }),
        None => Ok(()),
    }
}

/// The handlers that can be wrapped: all but berth's own.
pub(super) fn existing<'a>(wrap: &Wrap, known: &'a Map, owned: &[String]) -> Result<&'a Map, EditError> {
    if owned.contains(&wrap.handler) {
        return Err(EditError::Loop { handler: wrap.handler.clone() });
    }
    known.get(&wrap.handler).and_then(Node::map).ok_or_else(|| {
        let names: Vec<_> = known.keys().filter(|name| !owned.contains(name)).map(String::as_str).collect();
        let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        EditError::UnknownHandler { handler: wrap.handler.clone(), known }
    })
}

/// The handler does not run berth by itself.
pub(super) fn check_no_loop(wrap: &Wrap, runs: &[Option<&Node>]) -> Result<(), EditError> {
    let is_berth = |program: &str| {
        let name = Path::new(program).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name == BERTH || INTERPOSERS.iter().any(|start| name.starts_with(start)) || Path::new(program) == wrap.by.path()
    };
    if runs.iter().flatten().filter_map(|program| program.text()).any(is_berth) {
        return Err(EditError::Loop { handler: wrap.handler.clone() });
    }
    Ok(())
}

/// The names of the tables at the end of these keys.
pub(super) fn names_at(file: &Toml<'_>, keys: &[&str]) -> Vec<String> {
    file.node().table(keys).map(|map| map.keys().cloned().collect()).unwrap_or_default()
}

/// RFC 1123: what Kubernetes takes for the handler of a `RuntimeClass`.
fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [name.bytes().next(), name.bytes().last()];
    name.len() <= 63
        && name.bytes().all(|byte| inner(byte) || byte == b'-')
        && ends.iter().all(|end| end.is_some_and(inner))
}
