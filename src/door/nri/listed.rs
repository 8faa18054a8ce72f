//! What the full list shows of containers that run already: whether they are as berth would have made them.
//!
//! Nothing can be done for those that are not; they are counted and named. The list is all there is to see this by: an
//! interposer's work shows in no engine's list, so containers behind a wrapped OCI runtime, which sees every one of a pod,
//! are not judged. Those of a shim that creates its members by itself are, and may be whole although the list lacks it.

use super::gather::PodView;
use super::{NriDoor, gather, locked};
use crate::decide::decide;
use crate::decide::facts::Door;
use crate::decide::verdict::{Netns, Plan, Verdict};
use crate::identity::{Role, SandboxId};
use crate::logging::Line;
use crate::metrics::table::{SWAPS_NOT_APPLIED, UNADJUSTED};
use crate::nri::api;
use std::collections::HashMap;

/// How a container that runs is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lacks {
    /// It has not the identity that its profile writes.
    Identity,
    /// It has, and another network namespace path than its pod's pin.
    Path,
}

/// How many there are, by sandbox.
#[derive(Debug, Default)]
pub(super) struct Listed(HashMap<SandboxId, [u64; 2]>);

impl Listed {
    fn note(&mut self, sandbox: &SandboxId, lacks: Lacks) {
        self.0.entry(sandbox.clone()).or_default()[usize::from(lacks == Lacks::Path)] += 1;
        self.show();
    }

    /// The pod is gone with all its containers.
    pub(super) fn forget(&mut self, sandbox: &SandboxId) {
        self.0.remove(sandbox);
        self.show();
    }

    /// A new list is coming.
    pub(super) fn clear(&mut self) {
        self.0.clear();
        self.show();
    }

    fn show(&self) {
        let sum = |which: usize| self.0.values().map(|counts| counts[which]).sum();
        UNADJUSTED.set(&[], sum(0));
        SWAPS_NOT_APPLIED.set(&[], sum(1));
    }
}

impl NriDoor {
    /// Judges the containers of a pod whose pin stands by now, if it is to have one.
    pub(super) fn judge(&self, pod: &PodView, containers: &[api::Container]) {
        for container in containers.iter().filter(|container| runs(container)) {
            let Some(lacks) = self.lacks(pod, container) else { continue };
            locked(&self.listed).note(&pod.sandbox, lacks);
            let line = Line::event("CatchUp").with("pod", &pod.pod).with("container", &container.name);
            let (reason, effect) = match lacks {
                Lacks::Identity => ("created-while-away", "it runs without the identity of its profile"),
                Lacks::Path => ("swap-not-applied", "its network namespace path is not its pod's pin"),
            };
            log::warn!("{}", line.with("verdict", "leave").with("reason", reason).with("effect", effect));
        }
    }

    fn lacks(&self, pod: &PodView, container: &api::Container) -> Option<Lacks> {
        let (config, session) = (self.config(), self.current());
        let profile = config.policy.select(&pod.handler, &pod.pod.namespace)?;
        let gathered = self.gather(&session, pod, Some(container));
        let facts = gathered.facts(&session, pod, Role::Member, &container.annotations);
        match decide(&facts, Some(profile)) {
            Verdict::Leave(_) => None,
            Verdict::Adjust(plan) if is_whole(&plan) => {
                let path = gather::path(container)?;
                (plan.netns == Netns::Swap && path != gathered.pin_path).then_some(Lacks::Path)
            }
            Verdict::Adjust(_) | Verdict::Refuse(_) => {
                let record = self.keeper.ledger.get(&gathered.name).ok().flatten();
                let seen_by_all = record.is_some_and(|record| record.door == Door::Runtime.as_str());
                (!seen_by_all).then_some(Lacks::Identity)
            }
        }
    }
}

/// No annotation would have to change.
fn is_whole(plan: &Plan) -> bool {
    plan.set.is_empty() && plan.remove.is_empty()
}

fn runs(container: &api::Container) -> bool {
    container.state.enum_value() != Ok(api::ContainerState::CONTAINER_STOPPED)
}
