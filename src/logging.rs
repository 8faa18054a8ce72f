//! The log: one line per event, `key=value` pairs, to standard error.
//!
//! Values that could break a line or a pair are quoted. Annotation values never get here, only keys: they can
//! hold secrets. Only the place that stops an error logs it.

use std::fmt::{self, Display, Write as _};
use std::io::Write as _;

/// Sets the log up for the daemon: standard error, with time and level; `level` as `RUST_LOG` knows it.
///
/// Does nothing if a logger is set already.
pub fn init(level: &str) {
    let built = env_logger::Builder::new()
        .parse_filters(level)
        .format(|out, record| {
            let now = humantime::format_rfc3339_millis(std::time::SystemTime::now());
            writeln!(out, "{now} {:<5} {}", record.level(), record.args())
        })
        .target(env_logger::Target::Stderr)
        .try_init();
    if built.is_err() {
        log::debug!("msg=\"a logger is set already\"");
    }
}

/// A line in the making.
#[derive(Debug, Clone)]
pub struct Line(String);

impl Line {
    /// A line about an event.
    #[must_use]
    pub fn event(name: &str) -> Self {
        Self(format!("event={name}"))
    }

    /// A line with a message.
    #[must_use]
    pub fn message(text: &str) -> Self {
        Self(String::new()).with("msg", text)
    }

    /// Adds a pair.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Display) -> Self {
        let space = if self.0.is_empty() { "" } else { " " };
        // Writing to a String does not fail.
        if write!(self.0, "{space}{key}={}", Value(&value)).is_err() {
            self.0.push('?');
        }
        self
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

struct Value<'a, T>(&'a T);

impl<T: Display> Display for Value<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '=' | '\\'));
        if plain { f.write_str(&text) } else { write!(f, "{text:?}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_break_the_line_or_make_a_pair() {
        let line =
            Line::event("X").with("a", "plain/1").with("b", "two words").with("c", "x\nverdict=adjust").with("d", "");
        assert_eq!(line.to_string(), r#"event=X a=plain/1 b="two words" c="x\nverdict=adjust" d="""#);
    }
}
