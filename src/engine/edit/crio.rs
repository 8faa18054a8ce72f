//! CRI-O: a file of berth's own below `crio.conf.d`.
//!
//! CRI-O reads every file there, whatever it is called, in the order of their names, after `crio.conf`. A handler that is
//! declared again is replaced as a whole, all others stay, the built-in one too (seen on 1.36.3). `crio config` prints what
//! it has read, but not all settings of a handler, so these are taken from the files; only the built-in handler, which is in
//! none, is taken from there.

use super::node::{Map, Node, table};
use super::{By, Change, EditError, Input, OWN, Toml, Wrap, handler, made};

/// Where handlers are.
pub(super) const KEYS: [&str; 3] = ["crio", "runtime", "runtimes"];
/// The handler by which CRI-O's own comments show how one is written.
const EXAMPLE: &str = "runtime-handler";
/// What CRI-O calls handlers that are containerd shims.
const VM: &str = "vm";
/// What a handler that inherits takes from the default one.
const INHERITED: [&str; 4] = ["runtime_path", "runtime_type", "runtime_config_path", "runtime_root"];

pub(super) fn changes(input: &Input, wraps: &[Wrap]) -> Result<Vec<Change>, EditError> {
    if wraps.is_empty() {
        let foreign = input.dropin.text.clone().filter(|_| made::own_text(input).is_none());
        return Ok(vec![input.dropin.becomes(foreign)]);
    }
    made::check_place(input)?;
    let owned = made::owned(input)?;
    handler::check_names(wraps)?;
    let dump = dump(&input.dump)?;
    let known = handlers(input, &dump)?;
    let declared = |path: &std::path::Path, text: &str| Ok(handler::names_at(&Toml::read(path, text)?, &KEYS));
    handler::check_free(input, wraps, &known, &owned, declared)?;
    let mut lines = vec![OWN.to_owned()];
    for wrap in wraps {
        let settings = wrapped(wrap, &dump, &known, handler::existing(wrap, &known, &owned)?)?;
        lines.extend([String::new(), format!("# All settings of {}, and berth in front.", wrap.handler)]);
        lines.extend(table(&format!("{}.{}", KEYS.join("."), wrap.new), &settings));
    }
    Ok(vec![input.dropin.becomes(Some(lines.join("\n") + "\n"))])
}

/// What `crio config` says. What is as built in stands there in comments; of that the handlers and the default one's name
/// are read.
pub(super) fn dump(text: &str) -> Result<Node, EditError> {
    let parse = |text: &str| Node::parse(text).map_err(|error| EditError::dump(text, &error));
    let mut dump = parse(text)?;
    let mut built_in = String::from("[crio.runtime]\n");
    let commented = |line: &str| line.strip_prefix("# ").unwrap_or_default().to_owned();
    let default = text.lines().map(commented).find(|line| line.starts_with("default_runtime = "));
    built_in.extend(default.map(|line| line + "\n"));
    let header = format!("# [{}.", KEYS.join("."));
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with(&header) {
            inside = !line.contains(EXAMPLE);
        }
        inside &= line.starts_with("# ");
        if inside {
            built_in.push_str(&commented(line));
            built_in.push('\n');
        }
    }
    fill(&mut dump, parse(&built_in)?);
    Ok(dump)
}

/// What one says and the other does not.
fn fill(node: &mut Node, from: Node) {
    let (Node::Map(map), Node::Map(from)) = (node, from) else { return };
    for (key, value) in from {
        match map.get_mut(&key) {
            Some(present) => fill(present, value),
            None => drop(map.insert(key, value)),
        }
    }
}

/// All handlers: those of files with what the last file says, the rest as CRI-O prints them.
fn handlers(input: &Input, dump: &Node) -> Result<Map, EditError> {
    let mut known = dump.table(&KEYS).cloned().unwrap_or_default();
    for settings in known.values_mut() {
        if let Node::Map(settings) = settings {
            settings.retain(|_, value| !value.is_zero());
        }
    }
    for (path, text) in input.files() {
        known.extend(Toml::read(path, text)?.node().table(&KEYS).cloned().unwrap_or_default());
    }
    Ok(known)
}

/// The settings of a handler, and berth in front.
fn wrapped(wrap: &Wrap, dump: &Node, known: &Map, existing: &Map) -> Result<Map, EditError> {
    let mut settings = resolved(dump, known, existing);
    handler::check_no_loop(wrap, &[settings.get("runtime_path")])?;
    check_fit(wrap, &settings)?;
    settings.insert("runtime_path".to_owned(), Node::Text(wrap.by.path().display().to_string()));
    Ok(settings)
}

/// A handler that inherits would get the default one's path, whatever its own says: what it inherits is written out.
fn resolved(dump: &Node, known: &Map, existing: &Map) -> Map {
    let mut settings = existing.clone();
    if settings.remove("inherit_default_runtime") != Some(Node::Plain("true".to_owned())) {
        return settings;
    }
    let default = dump.at(&["crio", "runtime", "default_runtime"]).and_then(Node::text).unwrap_or_default();
    let default = known.get(default).and_then(Node::map);
    for name in INHERITED {
        settings.remove(name);
        settings
            .extend(default.and_then(|map| map.get_key_value(name)).map(|(name, value)| (name.clone(), value.clone())));
    }
    settings
}

fn check_fit(wrap: &Wrap, settings: &Map) -> Result<(), EditError> {
    let unfit = |has: String, instead| Err(EditError::Unfit { handler: wrap.handler.clone(), has, instead });
    let kind = settings.get("runtime_type").and_then(Node::text).unwrap_or_default();
    if settings.contains_key("platform_runtime_paths") {
        return unfit(
            "platform_runtime_paths".to_owned(),
            "CRI-O would go past berth by them; wrap a handler that has none",
        );
    }
    match (&wrap.by, kind == VM) {
        (By::ShimPath(path), true) if !is_shim_name(path) => unfit(
            format!("runtime_type {kind:?}"),
            "CRI-O wants the program of such a handler to have a name of the form containerd-shim-…-v2",
        ),
        (By::ShimPath(_), false) => {
            unfit(format!("runtime_type {kind:?}"), "it runs no shim; let berth stand before the OCI runtime")
        }
        (By::BinaryName(_), true) => {
            unfit(format!("runtime_type {kind:?}"), "it runs a shim; let berth stand before that")
        }
        _ => Ok(()),
    }
}

/// CRI-O's own pattern for the programs of `vm` handlers.
fn is_shim_name(path: &std::path::Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let inner = name.strip_prefix("containerd-shim-").and_then(|rest| rest.strip_suffix("-v2")).unwrap_or_default();
    !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-+".contains(&byte))
}

/// What `crio config` prints of each new handler.
pub(super) fn expected(input: &Input, dump: &Node, wrap: &Wrap, owned: &[String]) -> Result<(Map, Map), EditError> {
    let known = handlers(input, dump)?;
    let printed = dump.table(&KEYS).and_then(|map| map.get(&wrap.handler)).and_then(Node::map).cloned();
    let settings = wrapped(wrap, dump, &known, handler::existing(wrap, &known, owned)?)?;
    Ok((printed.unwrap_or_default(), settings))
}
