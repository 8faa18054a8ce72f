//! Counting, the same at every door.

use super::said::words;
use crate::apply::ApplyError;
use crate::decide::policy::OnFailure;
use crate::decide::verdict::Verdict;
use crate::ledger::record::Origin;
use crate::lifecycle::Why;
use crate::metrics::table::{CONTRADICTIONS, DROPPED, PIN_FAILURES, PINS_MADE, PINS_RELEASED, STRAY, VERDICTS};

/// Counts what was decided for a container.
pub(super) fn verdict(verdict: &Verdict) {
    let (word, reason) = words(verdict);
    VERDICTS.count(&[word, reason]);
    match verdict {
        Verdict::Leave(_) => {}
        Verdict::Adjust(plan) => {
            contradictions(&plan.contradictions);
            DROPPED.add(&[], plan.dropped.len() as u64);
            STRAY.add(&[], plan.stray.into());
        }
        Verdict::Refuse(refusal) => contradictions(refusal.contradictions()),
    }
}

/// Counts a failure, and returns how many there are of those on which the policy spoke like this.
pub(super) fn failure(policy: OnFailure) -> u64 {
    match policy {
        OnFailure::Fail => VERDICTS.count(&["refuse", "failed"]),
        OnFailure::Ignore => VERDICTS.count(&["leave", "failed"]),
    }
}

/// Counts a pin that was made.
pub(super) fn pinned(origin: Origin) {
    let word = match origin {
        Origin::Adopted => "adopted",
        Origin::Created => "created",
    };
    PINS_MADE.count(&[word]);
}

/// Counts a pin that could not be made because of what was asked of the kernel or the ledger.
pub(super) fn pin_failed(error: &ApplyError) {
    PIN_FAILURES.count(&[error.step()]);
}

/// Counts a pin that could not be made because there is no namespace to pin.
pub(super) fn no_source() {
    PIN_FAILURES.count(&["source"]);
}

/// Counts a pin that could not be made because its namespace could not.
pub(super) fn not_created() {
    PIN_FAILURES.count(&["create"]);
}

/// Counts a pin that was released, and returns how many there are of those for this reason.
pub fn released(why: Why) -> u64 {
    PINS_RELEASED.count(&[why.as_str()])
}

fn contradictions(keys: &[String]) {
    CONTRADICTIONS.add(&[], keys.len() as u64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::verdict::{Netns, Plan, Reason, Refusal};

    #[test]
    fn every_verdict_is_in_the_table() {
        let is_there = |verdict: &Verdict| {
            let (word, reason) = words(verdict);
            assert!(VERDICTS.find(&[word, reason]).is_some(), "{word} {reason}");
        };
        for reason in Reason::ALL {
            match reason {
                Reason::NotSelected => is_there(&Verdict::Leave(reason)),
                Reason::IdentityAndNetns => is_there(&Verdict::Adjust(Plan::new(Netns::Swap))),
                Reason::NetnsCreated => is_there(&Verdict::Adjust(Plan::new(Netns::Create))),
                _ => {
                    is_there(&Verdict::Leave(reason));
                    is_there(&Verdict::Adjust(Plan::new(Netns::Keep(reason))));
                }
            }
        }
        is_there(&Verdict::Refuse(Refusal::Contradiction(Vec::new())));
        let sandbox = crate::identity::SandboxId::try_from("s").expect("id");
        is_there(&Verdict::Refuse(Refusal::ForeignNetns(sandbox)));
    }

    #[test]
    fn every_proof_of_a_release_is_in_the_table() {
        for why in [Why::GoneAndEmpty, Why::GoneAndGracePassed, Why::RemovedAndGracePassed, Why::DrainLimit] {
            assert!(PINS_RELEASED.find(&[why.as_str()]).is_some(), "{why:?}");
        }
    }
}
