//! What `berth check` finds on the node.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use super::Rig;

/// One answer.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) exit: i32,
    findings: Vec<Value>,
}

impl Rig {
    pub(crate) fn check(&self, args: &[&str]) -> Checked {
        self.check_by("env", &[], args)
    }

    /// By a program that runs another: with other privileges, or in other namespaces.
    pub(crate) fn check_by(&self, program: &str, before: &[&str], args: &[&str]) -> Checked {
        let berth = PathBuf::from("/run/rig/berth").join(super::berth::binary().file_name().expect("a name"));
        let mut command = self.command(program);
        command.args(before).arg(berth).args(["check", "-o", "json"]).args(args);
        Checked::of(&command.output().expect("nsenter (util-linux) runs"))
    }
}

impl Checked {
    fn of(done: &Output) -> Self {
        let said = String::from_utf8_lossy(&done.stderr);
        let document: Value =
            serde_json::from_slice(&done.stdout).unwrap_or_else(|e| panic!("{e}: {:?}, {said}", done.status));
        let findings = document["findings"].as_array().expect("findings").clone();
        Self { exit: done.status.code().expect("an exit code"), findings }
    }

    fn of_check<'a>(&'a self, check: &'a str) -> impl Iterator<Item = &'a Value> {
        self.findings.iter().filter(move |finding| finding["check"] == check)
    }

    /// Some line of this check has this grade and these words.
    #[track_caller]
    pub(crate) fn assert(&self, check: &str, grade: &str, words: &str) {
        let is = |finding: &&Value| {
            finding["grade"] == grade && finding["message"].as_str().is_some_and(|message| message.contains(words))
        };
        assert!(
            self.of_check(check).any(|finding| is(&finding)),
            "{check}: no {grade} with {words:?}: {:#?}",
            self.of_check(check).collect::<Vec<_>>()
        );
    }

    /// Some line of this check says that this is to be done.
    #[track_caller]
    pub(crate) fn assert_hint(&self, check: &str, words: &str) {
        let has = |finding: &Value| finding["hint"].as_str().is_some_and(|hint| hint.contains(words));
        assert!(self.of_check(check).any(has), "{check}: {:#?}", self.of_check(check).collect::<Vec<_>>());
    }

    /// No line has this grade.
    #[track_caller]
    pub(crate) fn assert_none(&self, grade: &str) {
        let found: Vec<_> = self.findings.iter().filter(|finding| finding["grade"] == grade).collect();
        assert!(found.is_empty(), "{found:#?}");
    }
}
