//! How a process ends: exit codes, and errors as one line for a person.

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

#[cfg(test)]
mod tests {
    use super::*;

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
