//! Saying what went wrong where the engine listens, and only then: on standard error, and in an OCI runtime's log.

use super::argv::{Format, Log};
use super::delegate::DelegateError;
use super::trust::Unclear;
use crate::apply::ApplyError;
use crate::config::ConfigError;
use crate::decide::verdict::Refusal;
use crate::oci::{BundleError, EditError};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::SystemTime;

/// Why a container is not created as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is nothing to become.
    #[error(transparent)]
    Delegate(#[from] DelegateError),
    /// The bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// It has none, and one was asked about.
    #[error("bundle {}: has no {}", .0.display(), crate::oci::CONFIG)]
    NoSpec(PathBuf),
    /// Its specification cannot be changed as decided.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// Who the container is.
    #[error(transparent)]
    Unclear(#[from] Unclear),
    /// Pins and records.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The network namespace that the engine names.
    #[error("{0}")]
    Netns(String),
    /// `decide` asks for no pin then; if it ever does, the path of nothing must not be handed out.
    #[error("pin {}: there is no network namespace to pin", .0.display())]
    NoSource(PathBuf),
    /// The path is still that of the namespace of another container that had the id.
    #[error("pin {}: is still that of an earlier container of this id; `berth gc` says what keeps it, and lets it go if it may", .0.display())]
    Earlier(PathBuf),
    /// The decision.
    #[error("{0}")]
    Refused(Refusal),
}

impl Failure {
    /// Whether the failure policy has a say. Not in a refusal, which is a decision; not in a missing delegate, without
    /// which nothing is left to do; not in a broken configuration, in which it would have to stand.
    #[must_use]
    pub fn can_be_ignored(&self) -> bool {
        !matches!(self, Self::Config(_) | Self::Delegate(_) | Self::Refused(_))
    }
}

/// Tells the engine: one line on standard error, and one in the log that an OCI runtime was given. containerd's shim
/// shows the last error of that log, podman and CRI-O show standard error.
pub(super) fn tell(text: &str, log: Option<&Log>) {
    let line = one_line(text);
    // Whoever cannot be told on either of the two still sees the exit status.
    let told = writeln!(io::stderr(), "{line}");
    let logged = log.map_or(Ok(()), |log| append(log, &line));
    if let (Err(_), Err(_)) = (told, logged) {
        log::error!("{line}");
    }
}

fn append(log: &Log, line: &str) -> io::Result<()> {
    let flags = std::fs::OpenOptions::new().append(true).create(true).open(&log.path);
    flags?.write_all(entry(log.format, line, SystemTime::now()).as_bytes())
}

/// An entry as runc's logrus writes it.
fn entry(format: Format, line: &str, now: SystemTime) -> String {
    let time = humantime::format_rfc3339_seconds(now);
    match format {
        Format::Json => {
            let entry = serde_json::json!({ "level": "error", "msg": line, "time": time.to_string() });
            format!("{entry}\n")
        }
        Format::Text => format!("time=\"{time}\" level=error msg={line:?}\n"),
    }
}

/// A shim's answer is a line.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_what_the_engines_parse() {
        let json = entry(Format::Json, "berth: a \"b\"", SystemTime::UNIX_EPOCH);
        assert_eq!(json, "{\"level\":\"error\",\"msg\":\"berth: a \\\"b\\\"\",\"time\":\"1970-01-01T00:00:00Z\"}\n");
        let text = entry(Format::Text, "berth: a \"b\"", SystemTime::UNIX_EPOCH);
        assert_eq!(text, "time=\"1970-01-01T00:00:00Z\" level=error msg=\"berth: a \\\"b\\\"\"\n");
    }

    #[test]
    fn what_is_told_is_one_line() {
        assert_eq!(one_line("a\n\n b\r\nc"), "a; b; c");
    }
}
