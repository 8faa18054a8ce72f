//! The refusals of the stub itself, and what makes it refuse a message.

use std::time::Duration;

use protobuf::MessageField;

use crate::nri::api;
use crate::nri::events::Event;
use crate::nri::plugin::{Answer, Refusal, RefusalCode};

pub(super) fn overdue(what: &str, budget: Duration, allowed: Duration) -> Refusal {
    // What is left of the runtime's limit when the request is on the wire is no round number.
    let [budget, allowed] = [budget, allowed].map(|time| time.as_millis());
    let message = format!(
        "{what}: the plugin has no answer after {budget} ms of the {allowed} ms the engine waits; \
         it goes on with the work"
    );
    Refusal::new(RefusalCode::DeadlineExceeded, message)
}

fn lacks(event: Event, field: &str) -> Refusal {
    Refusal::new(RefusalCode::InvalidArgument, format!("{event}: {field} is missing"))
}

pub(super) fn need_pod(event: Event, pod: MessageField<api::PodSandbox>) -> Answer<api::PodSandbox> {
    let pod = pod.into_option().ok_or_else(|| lacks(event, "pod"))?;
    if pod.id.is_empty() {
        return Err(lacks(event, "pod.id"));
    }
    Ok(pod)
}

pub(super) fn need_both(
    event: Event,
    pod: MessageField<api::PodSandbox>,
    container: MessageField<api::Container>,
) -> Answer<(api::PodSandbox, api::Container)> {
    let pod = need_pod(event, pod)?;
    let container = container.into_option().ok_or_else(|| lacks(event, "container"))?;
    if container.id.is_empty() {
        return Err(lacks(event, "container.id"));
    }
    Ok((pod, container))
}
