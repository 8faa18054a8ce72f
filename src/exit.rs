//! How a process ends: exit codes, and errors as one line for a person.

use std::borrow::Cow;
use std::error::Error;
use std::process::ExitCode;

/// The exit status of berth's own commands. (An interposer that succeeds has none: it becomes the delegate.)
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All well.
    Ok,
    /// Something did not work; standard error says what.
    Failure,
    /// The command line was wrong.
    Usage,
    /// Of `berth exec`: the command cannot be executed.
    NotExecutable,
    /// Of `berth exec`: there is no such command.
    NotFound,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::NotExecutable => 126,
            Exit::NotFound => 127,
        })
    }
}

/// An error and its causes as `a: b: c`. A cause whose text the outer one shows already is not repeated.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}

/// Whether a character does something to a terminal, or hides, or turns the direction of text: none that a person can read.
#[must_use]
pub fn acts_on_a_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// A text as it may be shown to a person, whoever has written it: such characters are escaped, line ends are not.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    let acts = |c: char| c != '\n' && acts_on_a_terminal(c);
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| if acts(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escaped).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_act_on_a_terminal_is_escaped_and_nothing_else() {
        assert_eq!(printable("\u{1b}[2J\u{202e}x\r\ny\u{9b}"), "\\u{1b}[2J\\u{202e}x\\r\ny\\u{9b}");
        assert_eq!(printable("pod \"äöü\"\n"), "pod \"äöü\"\n");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Transparent);

    #[derive(Debug, thiserror::Error)]
    #[error(transparent)]
    struct Transparent(std::io::Error);

    #[test]
    fn the_chain_names_every_cause_once() {
        let cause = std::io::Error::from_raw_os_error(1);
        assert_eq!(chain(&Outer(Transparent(cause))), "outer: Operation not permitted (os error 1)");
    }
}
