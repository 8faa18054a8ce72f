//! A verdict in the words of the log, the same at every door.

use crate::decide::verdict::{Reason, Verdict};
use crate::logging::Line;

/// In two words: what, and why.
#[must_use]
pub(super) fn words(verdict: &Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Leave(reason) => ("leave", reason.as_str()),
        Verdict::Adjust(plan) => ("adjust", Reason::as_str(plan.reason())),
        Verdict::Refuse(refusal) => ("refuse", refusal.as_str()),
    }
}

/// `line` with the verdict, and with the keys that it is about, by name.
#[must_use]
pub(super) fn said(line: Line, verdict: &Verdict) -> Line {
    let (word, reason) = words(verdict);
    let line = line.with("verdict", word).with("reason", reason);
    let (contradictions, dropped) = match verdict {
        Verdict::Leave(_) => (&[][..], &[][..]),
        Verdict::Adjust(plan) => (&plan.contradictions[..], &plan.dropped[..]),
        Verdict::Refuse(refusal) => (refusal.contradictions(), &[][..]),
    };
    listed(listed(line, "contradictions", contradictions), "dropped", dropped)
}

fn listed(line: Line, key: &str, names: &[String]) -> Line {
    if names.is_empty() { line } else { line.with(key, names.join(",")) }
}
