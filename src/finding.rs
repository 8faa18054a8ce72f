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

/// Findings as a person reads them: grade, check and message in columns, what to do in a line below.
#[must_use]
pub fn lines(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
    let line = |Finding { check, grade, message, hint }: &Finding| {
        let hint = hint.as_ref().map(|hint| format!("{:5}  {:width$}  -> {}\n", "", "", one_line(hint)));
        format!("{grade:5}  {check:width$}  {}\n{}", one_line(message), hint.unwrap_or_default())
    };
    findings.iter().map(line).collect()
}

/// A finding that somebody else has printed.
#[derive(Debug, PartialEq, Eq)]
pub struct Told<'a> {
    /// The word of its grade.
    pub grade: &'a str,
    /// What was looked at.
    pub check: &'a str,
    /// What was found.
    pub message: &'a str,
    /// What to do.
    pub hint: Option<&'a str>,
}

/// What [`lines`] has made of findings, in a process that may be of another version. Lines of another form are not among
/// them.
#[must_use]
pub fn told(text: &str) -> Vec<Told<'_>> {
    let mut found: Vec<Told<'_>> = Vec::new();
    for line in text.lines() {
        if let (Some(hint), Some(last)) = (line.trim_start().strip_prefix("-> "), found.last_mut()) {
            last.hint = Some(hint);
        } else if let Some((grade, rest)) = line.split_once(' ')
            && [Grade::Pass, Grade::Skip, Grade::Warn, Grade::Fail].iter().any(|known| known.to_string() == grade)
            && let Some((check, message)) = rest.trim_start().split_once(' ')
        {
            found.push(Told { grade, check, message: message.trim_start(), hint: None });
        }
    }
    found
}

/// What somebody has said of itself, at its /readyz with this status: each finding of its own that is not good as one of
/// `check`, and one that is good where there is none. With any status but 200 one of them is a `Fail`.
#[must_use]
pub fn relayed(check: &'static str, status: u16, body: &str) -> Vec<Finding> {
    let told = told(body);
    let bad: Vec<_> = told.iter().filter_map(|told| bad(check, told)).collect();
    let unclear = |what: &str| {
        let message = format!("it answers {status} and says nothing that is {what}");
        Finding::fail(check, message, "exchange it for a berth of this version, and look into its log")
    };
    match status {
        200 if told.is_empty() => vec![unclear("understood")],
        200 if bad.is_empty() => vec![Finding::pass(check, "it says that it is ready")],
        200 => bad,
        _ if bad.iter().any(|finding| finding.grade == Grade::Fail) => bad,
        _ if told.is_empty() => vec![unclear("understood")],
        _ => [bad, vec![unclear("wrong")]].concat(),
    }
}

fn bad(name: &'static str, told: &Told<'_>) -> Option<Finding> {
    let Told { grade, check, message, hint } = told;
    let (said, hint) = (format!("it says: {check}: {message}"), hint.unwrap_or("look into its log"));
    match *grade {
        "FAIL" => Some(Finding::fail(name, said, hint)),
        "WARN" => Some(Finding::warn(name, said, hint)),
        _ => None,
    }
}

/// What others have said can have lines and worse in it.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_read_again() {
        let findings = [
            Finding::pass("a", "is well"),
            Finding::fail("long-name", "is not -> at all", "change this"),
            Finding::skip("b", "not looked at"),
        ];
        let text = lines(&findings);
        for (told, finding) in told(&text).iter().zip(&findings) {
            assert_eq!(told.grade, finding.grade.to_string());
            assert_eq!((told.check, told.message), (finding.check, finding.message.as_str()));
            assert_eq!(told.hint, finding.hint.as_deref());
        }
        assert_eq!(told(&text).len(), findings.len());
        assert_eq!(told("404\n\n -> nobody's\n"), []);
    }

    #[test]
    fn what_is_relayed_is_good_only_where_that_was_understood() {
        use Grade::{Fail, Pass, Warn};
        let warned = "PASS  a  is well\nWARN  b  is old\n            -> renew it\n";
        for (status, body, grades) in [
            (200, "PASS  a  is well\n", &[Pass][..]),
            (200, warned, &[Warn]),
            (200, "", &[Fail]),
            (200, "<html>hello</html>\n", &[Fail]),
            (503, "", &[Fail]),
            (503, "PASS  a  is well\n", &[Fail]),
            (503, warned, &[Warn, Fail]),
            (503, "FAIL  a  is ill\n         -> heal it\n", &[Fail]),
        ] {
            let found: Vec<_> = relayed("plugin", status, body).iter().map(|finding| finding.grade).collect();
            assert_eq!(found, grades, "{status} {body}");
        }
    }

    #[test]
    fn findings_stand_in_columns_with_what_to_do_below() {
        let found = [Finding::pass("a", "is so"), Finding::warn("long", "is\nnot", "do")];
        assert_eq!(lines(&found), "PASS   a     is so\nWARN   long  is not\n             -> do\n");
    }
}
