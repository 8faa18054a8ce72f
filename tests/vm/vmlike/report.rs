//! What the runtime says: to the engine what went wrong, to the tests what it did.

use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::SystemTime;

/// What it did, for the tests.
const LOG: &str = "/run/vmlike/log";

/// Errors are sentences here.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// Says what was being done when something failed.
pub(crate) trait Told<T> {
    fn told(self, what: impl Display) -> Result<T>;
}

impl<T, E: Display> Told<T> for std::result::Result<T, E> {
    fn told(self, what: impl Display) -> Result<T> {
        self.map_err(|error| format!("{what}: {error}"))
    }
}

/// As runc does: text on standard error, and an entry in the log that the engine named.
pub(crate) fn error(error: &str, log: Option<&Path>) {
    eprintln!("{error}");
    note(&format!("error: {error}"));
    let Some(log) = log else { return };
    let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    append(log, &serde_json::json!({ "level": "error", "msg": error, "time": time }).to_string());
}

pub(crate) fn note(line: &str) {
    append(Path::new(LOG), line);
}

fn append(file: &Path, line: &str) {
    let written = File::options().create(true).append(true).open(file).and_then(|mut file| writeln!(file, "{line}"));
    if let Err(error) = written {
        eprintln!("{}: {error}", file.display());
    }
}
