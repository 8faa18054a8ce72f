//! Counting verdicts, the same at every door.

use crate::decide::policy::OnFailure;
use crate::decide::verdict::{Netns, Plan, Reason, Verdict};
use crate::metrics;

/// Counts what was decided for a container.
pub(super) fn verdict(verdict: &Verdict) {
    match verdict {
        Verdict::Leave(_) => drop(metrics::LEFT.count()),
        Verdict::Adjust(plan) => adjusted(plan),
        Verdict::Refuse(refusal) => {
            metrics::REFUSED.count();
            contradictions(refusal.contradictions());
        }
    }
}

/// Counts a failure, and returns how many there are of those on which the policy spoke like this.
pub(super) fn failure(policy: OnFailure) -> u64 {
    match policy {
        OnFailure::Fail => metrics::REFUSED.count(),
        OnFailure::Ignore => metrics::IGNORED.count(),
    }
}

fn adjusted(plan: &Plan) {
    metrics::ADJUSTED.count();
    contradictions(&plan.contradictions);
    metrics::DROPPED.add(u64::try_from(plan.dropped.len()).unwrap_or(u64::MAX));
    if plan.stray {
        metrics::STRAY.count();
    }
    match plan.netns {
        Netns::Keep(Reason::RuntimeCannotSwap) => metrics::RUNTIME_CANNOT.count(),
        Netns::Keep(Reason::PinsDoNotReach | Reason::HostNotVisible) => metrics::UNREACHABLE.count(),
        Netns::Keep(Reason::NoNetns) => metrics::UNTOLD.count(),
        _ => 0,
    };
}

fn contradictions(keys: &[String]) {
    metrics::CONTRADICTIONS.add(u64::try_from(keys.len()).unwrap_or(u64::MAX));
}
