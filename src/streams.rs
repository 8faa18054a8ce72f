//! Standard output for data, standard error for remarks: where every command of the command line writes.

use std::borrow::Cow;
use std::io::{ErrorKind, Result, Write};

/// Data, for people and pipes. Flushed by its user at the end: what cannot be written is an error, never lost silently.
///
/// A reader that closes the pipe has seen enough, which is no failure. The output ends there and the command does not:
/// what it has begun on the node it finishes, and its exit code stays its own.
#[derive(Debug)]
pub struct Data<W> {
    to: W,
    closed: bool,
}

impl<W: Write> Data<W> {
    /// Data that goes to `to`.
    pub fn new(to: W) -> Self {
        Self { to, closed: false }
    }

    fn unless_closed<T>(&mut self, otherwise: T, write: impl FnOnce(&mut W) -> Result<T>) -> Result<T> {
        if self.closed {
            return Ok(otherwise);
        }
        match write(&mut self.to) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(otherwise)
            }
            done => done,
        }
    }
}

impl<W: Write> Write for Data<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.unless_closed(bytes.len(), |to| to.write(bytes))
    }

    fn flush(&mut self) -> Result<()> {
        self.unless_closed((), Write::flush)
    }
}

/// Says something on standard error, with what would act on a terminal escaped: it may quote what others have written. If
/// standard error is closed there is nobody to say it to.
pub fn remark(text: &str) {
    let text = printable(text);
    if writeln!(std::io::stderr(), "{text}").is_err() {
        log::error!("{text}");
    }
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

    /// Fails with `kind` after `room` bytes.
    struct Full(usize, ErrorKind);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 { Err(self.1.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_ends_the_output_and_a_full_disk_is_an_error() {
        let mut data = Data::new(Full(4, ErrorKind::BrokenPipe));
        data.write_all(b"more than four").expect("closed");
        data.write_all(b"and more").expect("still closed");
        data.flush().expect("nothing left");

        let error = Data::new(Full(4, ErrorKind::StorageFull)).write_all(b"more than four").expect_err("full");
        assert_eq!(error.kind(), ErrorKind::StorageFull);
    }
}
