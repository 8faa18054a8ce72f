//! The log: one line per event, `key=value` pairs.
//!
//! Values that could break a line or a pair are quoted. Annotation values never get here, only keys: they can
//! hold secrets. Only the place that stops an error logs it.

mod queue;

use crate::fsutil::FileError;
use queue::Queue;
use std::fmt::{self, Display, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// Where the log goes.
#[derive(Debug)]
pub enum To {
    /// Standard error.
    Stderr,
    /// A file, which is bounded: a runtime gives the plugins it starts no standard error worth the name.
    File(PathBuf),
}

/// A log file larger than this is put aside as `<name>.1`, and the one put aside before goes.
const MAX_FILE: u64 = 1 << 20;

/// How long the end of the process waits for lines that are not written yet.
const LAST_LINES: Duration = Duration::from_millis(100);

/// What is on its way to standard error.
static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Sets the log up for the daemon, with time and level; `level` as `RUST_LOG` knows it. Does nothing if a logger is set
/// already. Nobody who logs waits for whoever reads standard error; so the process ends with [`finish`].
///
/// # Errors
/// The log file cannot be opened, or no thread started.
pub fn init(level: &str, to: To) -> Result<(), FileError> {
    let target = match to {
        To::Stderr => {
            let started = Queue::start(std::io::stderr(), lost);
            let queue = started.map_err(FileError::new("start writing the log to", Path::new("standard error")))?;
            env_logger::Target::Pipe(Box::new(QUEUE.get_or_init(|| queue).clone()))
        }
        To::File(path) => env_logger::Target::Pipe(Box::new(Bounded::open(path)?)),
    };
    let built = env_logger::Builder::new()
        .parse_filters(level)
        .format(|out, record| out.write_all(stamped(record.level(), record.args()).as_bytes()))
        .target(target)
        .try_init();
    if built.is_err() {
        log::debug!("msg=\"a logger is set already\"");
    }
    Ok(())
}

/// Gives the last lines the time to be written.
pub fn finish() {
    if let Some(queue) = QUEUE.get() {
        queue.drain(LAST_LINES);
    }
}

fn lost(number: u64) -> String {
    stamped(log::Level::Warn, &Line::message("lines are missing here: nobody read them").with("lines", number))
}

/// A whole line, with time and level.
///
/// Whatever the text is: not every one is a [`Line`], and some quote what a runtime has said of itself.
#[must_use]
pub fn stamped(level: log::Level, text: &impl Display) -> String {
    let mut text = text.to_string();
    if text.contains(char::is_control) {
        text = text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() }).collect();
    }
    format!("{} {level:<5} {text}\n", humantime::format_rfc3339_millis(std::time::SystemTime::now()))
}

/// Adds one line to the bounded file at `path`, in one write, with time and level: for processes that keep no log open.
///
/// # Errors
/// The file cannot be opened or written.
pub fn append(path: &Path, level: log::Level, line: &Line) -> Result<(), FileError> {
    Bounded::open(path.to_owned())?
        .write_all(stamped(level, line).as_bytes())
        .map_err(FileError::new("write the log", path))
}

/// A file of bounded size.
struct Bounded {
    path: PathBuf,
    file: File,
    size: u64,
}

impl Bounded {
    fn open(path: PathBuf) -> Result<Self, FileError> {
        let nofollow = nix::fcntl::OFlag::O_NOFOLLOW.bits();
        let open = OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(nofollow).open(&path);
        let file = open.map_err(FileError::new("open the log", &path))?;
        let size = file.metadata().map_err(FileError::new("look at the log", &path))?.len();
        Ok(Self { path, file, size })
    }
}

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.size >= MAX_FILE {
            let aside = self.path.with_added_extension("1");
            std::fs::rename(&self.path, aside)?;
            *self = Self::open(self.path.clone()).map_err(|error| error.source)?;
        }
        let written = self.file.write(bytes)?;
        self.size = self.size.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
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
    fn a_log_file_is_put_aside_when_it_is_large_and_never_grows_further() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("log");
        let mut log = Bounded::open(path.clone()).expect("open");
        let line = [b'x'; 1 << 16];
        for _ in 0..40 {
            log.write_all(&line).expect("write");
        }
        let size = |name: &str| std::fs::metadata(dir.path().join(name)).expect(name).len();
        assert_eq!((size("log.1"), size("log")), (MAX_FILE, 40 * 65_536 - 2 * MAX_FILE));
        assert_eq!(std::fs::read_dir(dir.path()).expect("dir").count(), 2);
    }

    #[test]
    fn no_text_makes_a_second_line() {
        let line = stamped(log::Level::Info, &"nri: containerd 2\n2026 INFO event=X\u{1b}[2J, ü \"q\"");
        assert!(line.ends_with(" INFO  nri: containerd 2\\n2026 INFO event=X\\u{1b}[2J, ü \"q\"\n"), "{line}");
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn values_cannot_break_the_line_or_make_a_pair() {
        let line =
            Line::event("X").with("a", "plain/1").with("b", "two words").with("c", "x\nverdict=adjust").with("d", "");
        assert_eq!(line.to_string(), r#"event=X a=plain/1 b="two words" c="x\nverdict=adjust" d="""#);
    }
}
