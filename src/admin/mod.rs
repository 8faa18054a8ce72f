//! The commands of an operator, apart from the daemon: what there is, and clearing up. Each takes its part of the command
//! line, writes data to `out` and remarks to standard error, and returns how the process ends or an error for the caller
//! to print. That nobody reads `out` any more is the caller's business too.

mod completion;
mod config;
mod explain;
mod gc;
mod list;
mod man;

pub use completion::completion;
pub use config::config;
pub use explain::explain;
pub use gc::gc;
pub use list::list;
pub use man::man;

use crate::apply::ApplyError;

/// Why a command did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Pins or records.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The configuration.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// A bundle that cannot be explained.
    #[error(transparent)]
    Explain(#[from] crate::door::interpose::Failure),
    /// A file that is to be written.
    #[error(transparent)]
    File(#[from] crate::fsutil::FileError),
    /// Some pins could not be settled; each is named.
    #[error("{}", .0.join("\n"))]
    Unsettled(Vec<String>),
    /// Standard output cannot be written.
    #[error("write the output")]
    Output(#[from] std::io::Error),
    /// The output cannot be encoded.
    #[error("encode the output")]
    Encode(#[from] serde_json::Error),
}

/// Lines of columns, each as wide as its widest cell, two spaces apart.
fn table(out: &mut dyn std::io::Write, rows: &[Vec<String>]) -> std::io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell: &String| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// An age the way kubectl shows it: the largest two units, or one.
fn age(since: std::time::Duration) -> String {
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
    use std::time::Duration;

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
}
