//! The root file's `imports`: an array of paths and patterns, in which berth's own pattern stands or does not.
//!
//! The pattern is one that only berth's files match (`/etc/containerd/conf.d/50-berth*.toml`). So it is known again without
//! a record, files of others that lie in that directory unread do not come to life with it, and nobody comes to depend on
//! a line that uninstall takes away. It is a pattern and not the name, because containerd does not start when a file that
//! is imported by name is missing.

use super::splice::{Splice, eol, line_end, line_start, put_line, splice, whole_lines};
use super::{EditError, Input, Toml};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use toml_edit::{Array, Item, Value};

/// Behind an `imports` that was not there before.
const MARK: &str = "# berth: written by berth install, taken out by berth uninstall";

/// What a containerd root file imports, as absolute paths and patterns, in its order.
///
/// # Errors
///
/// A file that does not parse, `imports` that is not an array of strings.
pub fn patterns(path: &Path, text: &str) -> Result<Vec<PathBuf>, EditError> {
    let file = Toml::read(path, text)?;
    let Some(array) = array(&file)? else { return Ok(Vec::new()) };
    Ok(array.iter().filter_map(Value::as_str).map(|entry| absolute(path, entry)).collect())
}

/// Does the root file import this file?
///
/// # Errors
///
/// As [`patterns`].
pub(super) fn is_covered(input: &Input, file: &Path) -> Result<bool, EditError> {
    let text = input.root.text.as_deref().unwrap_or_default();
    Ok(patterns(&input.root.path, text)?.iter().any(|entry| covers(entry, file)))
}

/// The pattern for berth's own file: `50-berth*.toml` for `50-berth.toml`.
pub(super) fn pattern(dropin: &Path) -> String {
    let stem = dropin.file_stem().unwrap_or_default().to_string_lossy();
    let extension = dropin.extension().map(|extension| format!(".{}", extension.to_string_lossy()));
    dropin.with_file_name(format!("{stem}*{}", extension.unwrap_or_default())).display().to_string()
}

/// The text with an import of `dropin`, where none that it has covers it.
///
/// # Errors
///
/// As [`patterns`].
pub(super) fn added(file: &Toml<'_>, dropin: &Path) -> Result<String, EditError> {
    let covered = |entry: &str| covers(&absolute(file.path, entry), dropin);
    let splices = match array(file)? {
        Some(array) if array.iter().filter_map(Value::as_str).any(covered) => Vec::new(),
        Some(array) => append(file.text, array, &pattern(dropin)),
        None => vec![create(file, &pattern(dropin))],
    };
    Ok(splice(file.text, &splices))
}

/// The text without berth's pattern, and without any entry that names `dropin` itself: the file is about to go.
///
/// # Errors
///
/// As [`patterns`].
pub(super) fn removed(file: &Toml<'_>, dropin: &Path) -> Result<String, EditError> {
    let Some(array) = array(file)? else { return Ok(file.text.to_owned()) };
    let pattern = PathBuf::from(pattern(dropin));
    let ours = |value: &Value| {
        let path = value.as_str().map(|entry| absolute(file.path, entry));
        path.is_some_and(|path| path == pattern || path == dropin)
    };
    let ours: Vec<_> = array.iter().map(ours).collect();
    if !ours.contains(&true) {
        return Ok(file.text.to_owned());
    }
    if let Some(line) = own_line(file, array).filter(|_| !ours.contains(&false)) {
        return Ok(splice(file.text, &[Splice::cut(whole_lines(file.text, line))]));
    }
    Ok(splice(file.text, &cuts(file.text, array, &ours)))
}

fn array<'a>(file: &'a Toml<'_>) -> Result<Option<&'a Array>, EditError> {
    let Some(item) = file.document.get("imports") else { return Ok(None) };
    let at = || item.span().map_or(0, |span| span.start);
    match item {
        Item::Value(Value::Array(array)) if array.iter().all(Value::is_str) => Ok(Some(array)),
        _ => Err(EditError::imports(file, at())),
    }
}

/// containerd cleans an entry, and takes it from the directory of the file it is in.
fn absolute(file: &Path, entry: &str) -> PathBuf {
    let joined = file.parent().unwrap_or(Path::new("/")).join(entry);
    let mut clean = PathBuf::new();
    for part in joined.components() {
        match part {
            Component::ParentDir => drop(clean.pop()),
            Component::CurDir => {}
            part => clean.push(part),
        }
    }
    clean
}

/// Whether an entry, of those that [`patterns`] returns, leads to this file. containerd takes one for a pattern only if
/// there is a star in it, which stands for no slash.
#[must_use]
pub fn covers(entry: &Path, file: &Path) -> bool {
    let text = entry.to_string_lossy();
    if !text.contains('*') {
        return entry == file;
    }
    let options = glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: false,
    };
    go_pattern(&text).is_some_and(|pattern| pattern.matches_path_with(file, options))
}

/// A pattern of Go's `filepath.Match` in the words of this one's matcher. `None` where it would mean something else there,
/// or nothing: one import too many does no harm.
fn go_pattern(text: &str) -> Option<glob::Pattern> {
    if text.contains("[!") || text.contains('\\') {
        return None;
    }
    let mut text = text.replace("[^", "[!");
    while text.contains("**") {
        text = text.replace("**", "*");
    }
    glob::Pattern::new(&text).ok()
}

/// A line of its own: behind that of the version, else the first.
fn create(file: &Toml<'_>, pattern: &str) -> Splice {
    let line = format!("imports = [{}] {MARK}", quoted(pattern, '\''));
    if let Some(version) = file.document.get("version").and_then(Item::span) {
        return put_line(file.text, line_end(file.text, version.end), &line);
    }
    let start = if file.text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    Splice::put(start, format!("{line}{}", eol(file.text)))
}

/// The line that [`create`] has made, if it still has nothing else on it.
fn own_line(file: &Toml<'_>, array: &Array) -> Option<Range<usize>> {
    let span = array.span()?;
    let (start, end) = (line_start(file.text, span.start), line_end(file.text, span.end));
    let line = file.text[start..end].trim_start_matches('\u{feff}');
    let own = line.starts_with("imports = [") && line.ends_with(&format!("] {MARK}"));
    own.then_some(end - line.len()..end)
}

/// One entry more, in the manner of the last one.
fn append(text: &str, array: &Array, pattern: &str) -> Vec<Splice> {
    let Some(span) = array.span() else { return Vec::new() };
    let Some(last) = array.iter().last().and_then(Value::span) else {
        return vec![Splice::put(span.start + 1, quoted(pattern, '"'))];
    };
    let entry = quoted(pattern, text[last.clone()].chars().next().unwrap_or('"'));
    let start = line_start(text, last.start);
    let indent = &text[start..last.start];
    let comma = comma_after(text, last.end, span.end);
    // On a line of its own, so is the new one; a comment behind it stays with it.
    if start > span.start && indent.trim().is_empty() {
        let end = line_end(text, comma.map_or(last.end, |comma| comma + 1));
        let end = end.min(span.end - 1);
        let own = format!("{}{indent}{entry}", eol(&text[span.clone()]));
        return match comma {
            Some(_) => vec![Splice::put(end, own + ",")],
            None => vec![Splice::put(last.end, ","), Splice::put(end.max(last.end), own)],
        };
    }
    match comma {
        Some(comma) => vec![Splice::put(comma + 1, format!(" {entry},"))],
        None => vec![Splice::put(last.end, format!(", {entry}"))],
    }
}

/// What takes these entries out, with a comma and the space before each.
fn cuts(text: &str, array: &Array, ours: &[bool]) -> Vec<Splice> {
    let Some(span) = array.span() else { return Vec::new() };
    let spans: Vec<_> = array.iter().filter_map(Value::span).collect();
    let mut cuts = Vec::new();
    // The comma behind the last entry that stays, while none has been found to stay behind it.
    let mut before: Option<usize> = None;
    for (at, entry) in spans.iter().enumerate() {
        let next = comma_after(text, entry.end, span.end);
        if !ours[at] {
            before = next;
            continue;
        }
        let start = if at == 0 { entry.start } else { blank_before(text, entry.start) };
        match next {
            Some(comma) if text[entry.end..comma].trim().is_empty() => {
                let rest = text[comma + 1..].trim_start_matches([' ', '\t']);
                // The first one leaves no space before the second.
                cuts.push(Splice::cut(start..if at == 0 { text.len() - rest.len() } else { comma + 1 }));
            }
            Some(comma) => cuts.extend([Splice::cut(start..entry.end), Splice::cut(comma..comma + 1)]),
            // The last one without a comma: the one before it would be left over, and was not there either.
            None => {
                let left_over = before.take().map(|comma| Splice::cut(comma..comma + 1));
                cuts.extend(left_over);
                cuts.push(Splice::cut(start..entry.end));
            }
        }
    }
    cuts.sort_by_key(|cut| cut.at.start);
    cuts
}

/// The start of the white space before an offset, of one line break at most.
fn blank_before(text: &str, at: usize) -> usize {
    let before = text[..at].trim_end_matches([' ', '\t']);
    let cut = before.strip_suffix("\r\n").or_else(|| before.strip_suffix('\n')).unwrap_or(before);
    cut.len()
}

/// The comma that follows an entry, past white space and comments.
fn comma_after(text: &str, from: usize, end: usize) -> Option<usize> {
    let mut at = from;
    while at < end {
        match text.as_bytes()[at] {
            b',' => return Some(at),
            b'#' => at = text[at..].find('\n').map_or(end, |found| at + found),
            byte if byte.is_ascii_whitespace() => at += 1,
            _ => return None,
        }
    }
    None
}

/// As a string of TOML, in these quotes if they can hold it.
fn quoted(text: &str, quote: char) -> String {
    let plain = text.chars().all(|c| !c.is_control() && !['\'', '"', '\\'].contains(&c));
    if plain && ['\'', '"'].contains(&quote) {
        return format!("{quote}{text}{quote}");
    }
    Value::from(text).to_string()
}
