//! containerd before 2.0: the root file itself, between two marked lines.
//!
//! There an imported file replaces the section of each plugin that it names, the CRI's with every setting in it. And the
//! handler that is built in (`runc`) is gone as soon as a file declares any: where none is declared, it is written out
//! beside berth's (both seen on 1.6.36 and 1.7.35).

use super::node::{Map, Node};
use super::splice::{Splice, eol, line_end, splice, whole_lines};
use super::{Change, EditError, Input, Toml, Wrap, cri, error, made};
use std::ops::Range;

/// The first line of what berth has written.
const BEGIN: &str = "# berth: begin. Written by berth install, taken out by berth uninstall.";
/// How it is known.
const BEGINS: &str = "# berth: begin";
/// The last line.
const END: &str = "# berth: end";
/// What stands before handlers that are not berth's.
const KEPT: &str = "# Built in; containerd would forget it beside the handlers above.";
/// The newest that containerd before 2.0 knows, and the first with today's words.
const VERSION: i64 = 2;

pub(super) fn changes(input: &Input, wraps: &[Wrap]) -> Result<Vec<Change>, EditError> {
    let after = match (&input.root.text, wraps.is_empty()) {
        (None, true) => None,
        (Some(text), true) => taken_out(input, text)?,
        (text, false) => Some(added(input, text.as_deref(), wraps)?),
    };
    Ok(vec![input.root.becomes(after)])
}

pub(super) fn owned(input: &Input) -> Result<Vec<String>, EditError> {
    let Some(text) = &input.root.text else { return Ok(Vec::new()) };
    let Some(block) = block(input, text)? else { return Ok(Vec::new()) };
    let block = &text[block];
    let own = block.split_once(KEPT).map_or(block, |(own, _)| own);
    Ok(cri::declared(&Toml::read(&input.root.path, own)?))
}

/// berth's lines, markers and all.
pub(super) fn own_text(input: &Input) -> Result<Option<&str>, EditError> {
    let Some(text) = &input.root.text else { return Ok(None) };
    Ok(block(input, text)?.map(|block| &text[block]))
}

/// The root file without berth's lines.
pub(super) fn left(input: &Input) -> Result<Option<String>, EditError> {
    input.root.text.as_deref().map_or(Ok(None), |text| taken_out(input, text))
}

/// The names of the handlers in berth's lines that are not berth's, but built in.
pub(super) fn kept(input: &Input) -> Result<Vec<String>, EditError> {
    let kept = own_text(input)?.and_then(|text| text.split_once(KEPT));
    kept.map_or(Ok(Vec::new()), |(_, kept)| Ok(cri::declared(&Toml::read(&input.root.path, kept)?)))
}

fn added(input: &Input, text: Option<&str>, wraps: &[Wrap]) -> Result<String, EditError> {
    let text = text.map_or_else(|| made::root(VERSION), str::to_owned);
    let owned = owned(input)?;
    let dump = Node::parse(&input.dump).map_err(|error| EditError::dump(&input.dump, &error))?;
    let before = Toml::read(&input.root.path, &text)?;
    cri::check(input, wraps, &owned, &dump)?;
    check_not_shadowed(input)?;
    let old = block(input, &text)?;
    let mut lines = vec![BEGIN.to_owned()];
    if says_version(input, &before, old.clone())? {
        lines.extend([format!("version = {VERSION}"), String::new()]);
    }
    lines.extend(cri::tables(input, wraps, cri::section(VERSION), &owned, &dump)?);
    let kept = undeclared(input, &text, old.clone(), &dump, &owned)?;
    for (name, settings) in &kept {
        lines.extend([String::new(), KEPT.to_owned()]);
        lines.extend(cri::as_it_is(cri::section(VERSION), name, settings));
    }
    lines.push(END.to_owned());
    let block = lines.join(eol(&text));
    let change = match old {
        Some(old) => Splice { at: old, with: block },
        None => appended(&text, block),
    };
    let after = splice(&text, &[change]);
    let added: Vec<_> = wraps.iter().map(|wrap| wrap.new.clone()).chain(kept.into_keys()).collect();
    check_addition(input, before.node(), &after, &owned, &added)?;
    Ok(after)
}

/// The handlers that hold without being declared outside of berth's lines.
fn undeclared(
    input: &Input,
    text: &str,
    block: Option<Range<usize>>,
    dump: &Node,
    owned: &[String],
) -> Result<Map, EditError> {
    let declared = cri::declared(&Toml::read(&input.root.path, &without(text, block))?);
    let mut known = cri::handlers(dump);
    known.retain(|name, _| !declared.contains(name) && !owned.contains(name));
    Ok(known)
}

/// At the end. A text whose last line has no line break gives its want of one to the block's last line.
fn appended(text: &str, block: String) -> Splice {
    let eol = eol(text);
    let with = if text.is_empty() || text.ends_with('\n') { block + eol } else { format!("{eol}{block}") };
    Splice::put(text.len(), with)
}

/// Must the block say the version? It must where the file is without one and has nothing that would be read otherwise then.
fn says_version(input: &Input, file: &Toml<'_>, block: Option<Range<usize>>) -> Result<bool, EditError> {
    let rest = without(file.text, block);
    let rest = Toml::read(&input.root.path, &rest)?;
    match (rest.version(), file.version()) {
        (Some(VERSION..), _) => Ok(false),
        (Some(_), _) => {
            Err(EditError::Version1 { path: file.path.to_owned(), line: file.version_line(), declared: true })
        }
        // It did, and others have written below it since.
        (None, Some(VERSION)) => Ok(true),
        (None, _) if rest.document.is_empty() => Ok(true),
        (None, _) => Err(EditError::Version1 { path: file.path.to_owned(), line: 1, declared: false }),
    }
}

fn taken_out(input: &Input, text: &str) -> Result<Option<String>, EditError> {
    let file = Toml::read(&input.root.path, text)?;
    let Some(block) = block(input, text)? else { return Ok(Some(text.to_owned())) };
    let rest = without(text, Some(block));
    let left = Toml::read(&input.root.path, &rest)?;
    // What others have written since is in the words of the version that the block said.
    if left.version().is_none() && file.version() == Some(VERSION) && !left.document.is_empty() {
        return Ok(Some(format!("version = {VERSION}{}{rest}", eol(&rest))));
    }
    Ok(made::root_left(rest, VERSION))
}

fn without(text: &str, block: Option<Range<usize>>) -> String {
    block.map_or_else(|| text.to_owned(), |block| splice(text, &[Splice::cut(whole_lines(text, block))]))
}

/// Where berth's lines are, without the last line break.
fn block(input: &Input, text: &str) -> Result<Option<Range<usize>>, EditError> {
    let starts = |from: usize, what: &str| {
        let mut at = from;
        text[from..].split_inclusive('\n').find_map(|line| {
            let start = at;
            at += line.len();
            line.starts_with(what).then_some(start)
        })
    };
    let Some(begin) = starts(0, BEGINS) else { return Ok(None) };
    match starts(begin, END) {
        Some(end) => Ok(Some(begin..line_end(text, end))),
        None => Err(EditError::Unended { path: input.root.path.clone(), line: error::line(text, begin), end: END }),
    }
}

/// No imported file replaces the section.
fn check_not_shadowed(input: &Input) -> Result<(), EditError> {
    for (path, text) in input.files().filter(|(path, _)| *path != input.root.path) {
        if cri::has_section(&Toml::read(path, text)?, cri::section(VERSION)) {
            return Err(EditError::Shadowed { path: input.root.path.clone(), by: path.to_owned() });
        }
    }
    Ok(())
}

/// Apart from these handlers, and the version, both texts say the same, and what was to be added is in the second one.
fn check_addition(
    input: &Input,
    mut before: Node,
    after: &str,
    owned: &[String],
    added: &[String],
) -> Result<(), EditError> {
    let no_room = |message: String| EditError::NoRoom { path: input.root.path.clone(), message };
    let mut after = Node::parse(after).map_err(|error| no_room(error.message().to_owned()))?;
    let [plugins, section, cri, runtimes] = cri::keys(cri::section(VERSION));
    if let Some(lost) = added.iter().find(|name| after.at(&[plugins, section, cri, runtimes, name]).is_none()) {
        return Err(no_room(format!("{lost} would not be where it belongs")));
    }
    for node in [&mut before, &mut after] {
        for name in owned.iter().chain(added) {
            node.remove(&[plugins, section, cri, runtimes, name]);
        }
        node.remove(&["version"]);
        // Empty tables on the way to handlers say nothing.
        for keys in [&[plugins, section, cri, runtimes][..], &[plugins, section, cri], &[plugins, section], &[plugins]]
        {
            if node.table(keys).is_some_and(std::collections::BTreeMap::is_empty) {
                node.remove(keys);
            }
        }
    }
    match before.differences(&after).first() {
        Some(path) => Err(no_room(format!("{path} would be changed by it"))),
        None => Ok(()),
    }
}
