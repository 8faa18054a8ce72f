//! From a verdict to an NRI answer, a count and a line in the log.

use super::gather::{NETWORK, PodView};
use super::{Failure, Member};
use crate::decide::policy::OnFailure;
use crate::decide::verdict::{Netns, Plan, Reason, Verdict};
use crate::door::count;
use crate::door::said::said;
use crate::exit::chain;
use crate::logging::Line;
use crate::nri::{Answer, Refusal, RefusalCode, api};
use std::time::Instant;

/// The line about a sandbox, which NRI cannot change: it is pinned or left.
pub(super) fn sandbox(line: Line, verdict: &Verdict, started: Instant) -> Line {
    let (word, reason) = match verdict {
        Verdict::Adjust(plan) if plan.netns == Netns::Swap => ("pin", "own-network"),
        Verdict::Adjust(plan) => ("leave", plan.reason().as_str()),
        Verdict::Leave(reason) => ("leave", reason.as_str()),
        Verdict::Refuse(refusal) => ("leave", refusal.as_str()),
    };
    line.with("verdict", word).with("reason", reason).with("us", started.elapsed().as_micros())
}

/// The answer to CreateContainer.
pub(super) fn container(
    pod: &PodView,
    container: &api::Container,
    member: Member,
    started: Instant,
) -> Answer<api::CreateContainerResponse> {
    let line = Line::event("CreateContainer")
        .with("pod", &pod.pod)
        .with("container", &container.name)
        .with("sandbox", &pod.sandbox)
        .with("handler", &pod.handler);
    let Member { verdict, pin_path, failed } = member;
    if let Some((failure, policy)) = failed {
        return on_failure(pod, line, &failure, policy, started);
    }
    let line = said(line, &verdict).with("us", started.elapsed().as_micros());
    count::verdict(&verdict);
    match verdict {
        Verdict::Refuse(refusal) => {
            log::error!("{line}");
            Err(Refusal::new(RefusalCode::FailedPrecondition, format!("berth: pod {}: {refusal}", pod.pod)))
        }
        Verdict::Leave(_) => {
            log::info!("{line}");
            Ok(api::CreateContainerResponse::default())
        }
        Verdict::Adjust(plan) => {
            let level = if plan.reason() == Reason::NoNetns { log::Level::Warn } else { log::Level::Info };
            log::log!(level, "{line}");
            Ok(adjusted(plan, pin_path))
        }
    }
}

/// The failure policy speaks.
fn on_failure(
    pod: &PodView,
    line: Line,
    failure: &Failure,
    policy: OnFailure,
    started: Instant,
) -> Answer<api::CreateContainerResponse> {
    let cause = chain(failure);
    let total = count::failure(policy);
    let word = if policy == OnFailure::Fail { "refuse" } else { "leave" };
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
fn adjusted(plan: Plan, pin_path: String) -> api::CreateContainerResponse {
    let mut adjust = api::ContainerAdjustment::new();
    adjust.annotations = plan.set.into_iter().collect();
    adjust.annotations.extend(plan.remove.into_iter().map(|key| (format!("-{key}"), String::new())));
    if plan.netns == Netns::Swap {
        let mut namespace = api::LinuxNamespace::new();
        namespace.type_ = NETWORK.to_owned();
        namespace.path = pin_path;
        adjust.linux.mut_or_insert_default().namespaces.push(namespace);
    }
    let mut response = api::CreateContainerResponse::new();
    response.adjust = Some(adjust).into();
    response
}
