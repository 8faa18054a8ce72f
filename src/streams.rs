//! Standard output for data, standard error for remarks: where every command of the command line writes.

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

/// Says something on standard error; if that is closed there is nobody to say it to.
pub fn remark(text: &str) {
    if writeln!(std::io::stderr(), "{text}").is_err() {
        log::error!("{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
