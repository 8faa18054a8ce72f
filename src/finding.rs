//! What one look at a node has found, and what to do about it. Pure.
//!
//! `berth check`, the init container of a DaemonSet and the daemon's readiness answer all speak in these.

use serde::Serialize;
use std::fmt;

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Grade {
    /// As it should be.
    Pass,
    /// Could not be looked at, or does not apply here; the message says why.
    Skip,
    /// Works, but not as well as it could, or not for long.
    Warn,
    /// berth cannot do its work.
    Fail,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "PASS",
            Self::Skip => "SKIP",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        })
    }
}

/// One line of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was looked at: a stable name, in lower case with dashes.
    pub check: &'static str,
    /// How it is.
    pub grade: Grade,
    /// What was found, in a sentence that names the object.
    pub message: String,
    /// The file and the setting to change, or the command to run. On every `Warn` and `Fail`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl fmt::Display for Finding {
    /// On one line: `FAIL nri-session: not registered with ... (hint: see that ...)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.grade, self.check, self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " (hint: {hint})"))
    }
}

impl Finding {
    /// All is well.
    #[must_use]
    pub fn pass(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, grade: Grade::Pass, message: message.into(), hint: None }
    }

    /// Not looked at.
    #[must_use]
    pub fn skip(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, grade: Grade::Skip, message: message.into(), hint: None }
    }

    /// Worth a look; `hint` says what to do.
    #[must_use]
    pub fn warn(check: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, grade: Grade::Warn, message: message.into(), hint: Some(hint.into()) }
    }

    /// Wrong; `hint` says what to do.
    #[must_use]
    pub fn fail(check: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { check, grade: Grade::Fail, message: message.into(), hint: Some(hint.into()) }
    }
}
