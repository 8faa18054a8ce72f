//! How commands write: columns, ages, documents. What comes from authors and from other processes cannot do anything to a
//! terminal.

use super::AdminError;
use crate::streams::acts_on_a_terminal;
use serde::Serialize;
use std::borrow::Cow;
use std::io::{self, Write};
use std::time::Duration;

/// The tag of documents; it changes when a field changes its meaning.
pub(super) const API_VERSION: &str = "berth/v1";

/// In which form a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Yaml,
}

/// Writes a document.
pub(super) fn document(out: &mut dyn Write, form: Form, value: &impl Serialize) -> Result<(), AdminError> {
    match form {
        Form::Json => {
            serde_json::to_writer_pretty(&mut *out, value).map_err(json_error)?;
            writeln!(out)?;
        }
        Form::Yaml => out.write_all(serde_yaml::to_string(value)?.as_bytes())?,
    }
    Ok(())
}

/// A pipe that was closed is one, whoever was writing.
fn json_error(error: serde_json::Error) -> AdminError {
    if error.is_io() { AdminError::Output(error.into()) } else { AdminError::Encode(error) }
}

/// What there is nothing of.
pub(super) fn none() -> String {
    "-".to_owned()
}

/// Lines of columns, each as wide as its widest cell, two spaces apart.
pub(super) fn table(out: &mut dyn Write, rows: &[Vec<String>]) -> io::Result<()> {
    indented(out, "", rows)
}

/// As [`table`], each line with `margin` in front.
pub(super) fn indented(out: &mut dyn Write, margin: &str, rows: &[Vec<String>]) -> io::Result<()> {
    let rows: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(|cell| shown(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", format!("{margin}{}", cells.join("  ")).trim_end())?;
    }
    Ok(())
}

/// A text as it may be shown in a cell: quoted, where anything in it has to be escaped.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    if text.contains(acts_on_a_terminal) { Cow::Owned(format!("{text:?}")) } else { Cow::Borrowed(text) }
}

/// An age the way kubectl shows it: the largest two units, or one.
pub(super) fn age(since: Duration) -> String {
    let seconds = since.as_secs();
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds}s"),
        (0, 0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (0, hours, minutes, _) => format!("{hours}h{minutes}m"),
        (days, hours, _, _) => format!("{days}d{hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_show_two_units() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (61, "1m1s"), (3600, "1h0m"), (90_000, "1d1h")] {
            assert_eq!(age(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["A".into(), "B".into()], vec!["long".into(), "x".into()]];
        let mut out = Vec::new();
        table(&mut out, &rows).expect("write");
        assert_eq!(String::from_utf8(out).expect("text"), "A     B\nlong  x\n");
    }

    #[test]
    fn what_would_act_on_a_terminal_is_escaped() {
        for text in ["\u{1b}[2Jx", "a\nb", "\u{202e}evil", "a\u{200b}b", "\u{9b}31m", "\u{7f}"] {
            let shown = shown(text);
            assert!(shown.starts_with('"') && shown.is_ascii(), "{shown}");
        }
        assert_eq!(shown("ein Pod äöü \"x\""), "ein Pod äöü \"x\"");
    }
}
