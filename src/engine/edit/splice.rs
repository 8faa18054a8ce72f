//! Text put in and cut out at places of a text.

use std::ops::Range;

/// What stands in the place of a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Splice {
    pub(super) at: Range<usize>,
    pub(super) with: String,
}

impl Splice {
    pub(super) fn put(at: usize, with: impl Into<String>) -> Self {
        Self { at: at..at, with: with.into() }
    }

    pub(super) fn cut(at: Range<usize>) -> Self {
        Self { at, with: String::new() }
    }
}

/// Carries them out; they are in order and do not overlap.
pub(super) fn splice(text: &str, splices: &[Splice]) -> String {
    let mut result = String::with_capacity(text.len() + 128);
    let mut from = 0;
    for splice in splices {
        result.push_str(&text[from..splice.at.start]);
        result.push_str(&splice.with);
        from = splice.at.end;
    }
    result.push_str(&text[from..]);
    result
}

/// How its lines end: as the first one does.
pub(super) fn eol(text: &str) -> &'static str {
    if text.split_once('\n').is_some_and(|(first, _)| first.ends_with('\r')) { "\r\n" } else { "\n" }
}

/// The end of the line that an offset is in, before its line break.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let end = text[at..].find('\n').map_or(text.len(), |found| at + found);
    if text[at..end].ends_with('\r') { end - 1 } else { end }
}

/// The start of the line that an offset is in.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |found| found + 1)
}

/// Text that is whole lines, and its line break: the one after it, or, at the end of a text that ends without one, the one
/// before it. Cutting it undoes [`put_line`].
pub(super) fn whole_lines(text: &str, lines: Range<usize>) -> Range<usize> {
    let rest = &text[lines.end..];
    if rest.is_empty() {
        let before = &text[..lines.start];
        let cut = before.strip_suffix("\r\n").or_else(|| before.strip_suffix('\n')).unwrap_or(before);
        return cut.len()..lines.end;
    }
    let cut = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')).unwrap_or(rest);
    lines.start..text.len() - cut.len()
}

/// A line, given without its line break, after the line that `at` is the end of; if that is the last one and has no line
/// break, neither has it. It breaks as that one does.
pub(super) fn put_line(text: &str, at: usize, line: &str) -> Splice {
    let own = ["\r\n", "\n"].into_iter().find(|end| text[at..].starts_with(end));
    Splice::put(at, format!("{}{line}", own.unwrap_or_else(|| eol(text))))
}
