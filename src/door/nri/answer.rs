//! From a verdict to an NRI answer, a count and a line in the log.

use super::Failure;
use super::gather::PodView;
use crate::decide::policy::OnFailure;
use crate::decide::verdict::{Netns, Plan, Reason, Verdict};
use crate::exit::chain;
use crate::logging::Line;
use crate::metrics;
use crate::nri::{Answer, Refusal, RefusalCode, api};
use std::path::Path;
use std::time::Instant;

/// Adds a verdict and the time it took to a line.
pub(super) fn said(line: Line, verdict: &Verdict, started: Instant) -> Line {
    let (word, reason) = match verdict {
        Verdict::Leave(reason) => ("leave", reason.as_str()),
        Verdict::Adjust(plan) => ("adjust", plan.reason().as_str()),
        Verdict::Refuse(refusal) => ("refuse", refusal.as_str()),
    };
    let mut line = line.with("verdict", word).with("reason", reason);
    if let Verdict::Adjust(Plan { contradictions, .. }) = verdict
        && !contradictions.is_empty()
    {
        line = line.with("contradictions", contradictions.join(","));
    }
    line.with("us", started.elapsed().as_micros())
}

/// The answer to CreateContainer.
pub(super) fn container(
    pod: &PodView,
    container: &api::Container,
    pin: &Path,
    verdict: Verdict,
    applied: Result<(), (Failure, OnFailure)>,
    started: Instant,
) -> Answer<api::CreateContainerResponse> {
    let line = Line::event("CreateContainer")
        .with("pod", &pod.pod)
        .with("container", &container.name)
        .with("sandbox", &pod.sandbox)
        .with("handler", &pod.handler);
    if let Err((failure, policy)) = applied {
        return failed(pod, line, &failure, policy, started);
    }
    let line = said(line, &verdict, started);
    match verdict {
        Verdict::Refuse(refusal) => {
            metrics::REFUSED.count();
            log::error!("{line}");
            Err(Refusal::new(RefusalCode::FailedPrecondition, format!("berth: pod {}: {refusal}", pod.pod)))
        }
        Verdict::Leave(_) => {
            metrics::LEFT.count();
            log::info!("{line}");
            Ok(api::CreateContainerResponse::default())
        }
        Verdict::Adjust(plan) => {
            count(&plan);
            log::info!("{line}");
            Ok(adjusted(plan, pin))
        }
    }
}

fn count(plan: &Plan) {
    metrics::ADJUSTED.count();
    metrics::CONTRADICTIONS.add(u64::try_from(plan.contradictions.len()).unwrap_or(u64::MAX));
    match plan.netns {
        Netns::SwapStray => metrics::STRAY.count(),
        Netns::Keep(Reason::RuntimeCannotSwap) => metrics::RUNTIME_CANNOT.count(),
        Netns::Keep(Reason::PinsDoNotReach) => metrics::UNREACHABLE.count(),
        _ => 0,
    };
}

/// The failure policy speaks.
fn failed(
    pod: &PodView,
    line: Line,
    failure: &Failure,
    policy: OnFailure,
    started: Instant,
) -> Answer<api::CreateContainerResponse> {
    let cause = chain(failure);
    let (word, total) = match policy {
        OnFailure::Fail => ("refuse", metrics::REFUSED.count()),
        OnFailure::Ignore => ("leave", metrics::IGNORED.count()),
    };
    let line = line.with("verdict", word).with("reason", "failed").with("total", total).with("error", &cause);
    log::error!("{}", line.with("us", started.elapsed().as_micros()));
    match policy {
        OnFailure::Ignore => Ok(api::CreateContainerResponse::default()),
        OnFailure::Fail => Err(Refusal::new(
            RefusalCode::Unavailable,
            format!(
                "berth: pod {}: {cause} (its profile says onFailure: Fail; repair the cause, or Ignore to run such pods unadjusted)",
                pod.pod
            ),
        )),
    }
}

/// A plan in NRI's words: a key with a leading `-` is removed (containerd/nri `pkg/api/adjustment.go`).
fn adjusted(plan: Plan, pin: &Path) -> api::CreateContainerResponse {
    let mut adjust = api::ContainerAdjustment::new();
    adjust.annotations = plan.set.into_iter().collect();
    adjust.annotations.extend(plan.remove.into_iter().map(|key| (format!("-{key}"), String::new())));
    if plan.netns.swaps() {
        let mut namespace = api::LinuxNamespace::new();
        namespace.type_ = "network".to_owned();
        namespace.path = pin.to_string_lossy().into_owned();
        adjust.linux.mut_or_insert_default().namespaces.push(namespace);
    }
    let mut response = api::CreateContainerResponse::new();
    response.adjust = Some(adjust).into();
    response
}
