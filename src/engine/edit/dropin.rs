//! containerd from 2.0 on: a file of berth's own, and an import of it in the root file.
//!
//! Sections are merged across files there. A drop-in speaks in the words of its own `version`; 2.3 refuses one that is
//! higher than the root file's, and 2.0 to 2.2 take the last version they read for that of everything, and lose the CRI
//! settings of files that had another, without an error. So berth's file has the version that counts without it, and its
//! handlers are where those that count are.
//!
//! `imports` in a dump are no evidence: from 2.2 on they name `/etc/containerd/conf.d/*.toml` even if that is not read,
//! because the root file is not there or does not say it (seen on 2.2.9 and 2.3.4).

use super::node::Node;
use super::{Change, EditError, Input, OWN, Snapshot, Toml, Wrap, cri, imports, inplace, made};

/// The words in which berth says something where nothing has been said: every containerd 2 knows them, so that one can go
/// back to an older one.
const VERSION: i64 = 3;

pub(super) fn changes(input: &Input, wraps: &[Wrap]) -> Result<Vec<Change>, EditError> {
    let owned = super::owned(input)?;
    // Without lines from before an upgrade of the engine.
    let root = Snapshot { text: inplace::left(input)?, ..input.root.clone() };
    let clean = Input { root, ..input.clone() };
    let mut changes = if wraps.is_empty() { taken_out(&clean)? } else { added(&clean, wraps, &owned)? };
    let of_root = changes.iter_mut().filter(|change| change.path == input.root.path);
    of_root.for_each(|change| change.before.clone_from(&input.root.text));
    Ok(changes)
}

fn added(input: &Input, wraps: &[Wrap], owned: &[String]) -> Result<Vec<Change>, EditError> {
    made::check_place(input)?;
    let dump = Node::parse(&input.dump).map_err(|error| EditError::dump(&input.dump, &error))?;
    cri::check(input, wraps, owned, &dump)?;
    let (version, section) = words(input)?;
    let tables = cri::tables(input, wraps, section, owned, &dump)?;
    let own = format!("{OWN}\nversion = {version}\n\n{}\n", tables.join("\n"));
    let root = input.root.text.clone().unwrap_or_else(|| made::root(VERSION));
    let root = imports::added(&Toml::read(&input.root.path, &root)?, &input.dropin.path)?;
    // The file first: an import of nothing is of no use.
    Ok(vec![input.dropin.becomes(Some(own)), input.root.becomes(Some(root))])
}

fn taken_out(input: &Input) -> Result<Vec<Change>, EditError> {
    let root = match &input.root.text {
        Some(text) => {
            let left = imports::removed(&Toml::read(&input.root.path, text)?, &input.dropin.path)?;
            made::root_left(left, VERSION)
        }
        None => None,
    };
    let foreign = input.dropin.text.clone().filter(|_| made::own_text(input).is_none());
    // The import first: one that names the file itself would keep containerd from starting.
    Ok(vec![input.root.becomes(root), input.dropin.becomes(foreign)])
}

/// The version that counts without berth's file, and the section whose handlers do.
fn words(input: &Input) -> Result<(i64, &'static str), EditError> {
    let mut said = Vec::new();
    let mut new_handlers = false;
    for (path, text) in input.files() {
        let file = Toml::read(path, text)?;
        let version = file.version().filter(|version| *version > 0);
        if version == Some(1) && path == input.root.path {
            return Err(EditError::Version1 { path: path.to_owned(), line: file.version_line(), declared: true });
        }
        said.extend(version);
        new_handlers |= cri::has_handlers(&file, cri::section(VERSION));
    }
    // 2.3 brings each file up by itself, and takes none above the first that says a version; berth's may come before it.
    if input.version >= (2, 3, 0) {
        let version = said.first().copied().unwrap_or(VERSION);
        return Ok((version, cri::section(version)));
    }
    // Before, the last one says it for all. Where that is 2 and there are handlers in the words of 3, these alone count.
    let version = said.last().copied().unwrap_or(VERSION);
    Ok((version, cri::section(if new_handlers { VERSION } else { version })))
}
