//! What the full list shows of containers that run already: whether they are as berth would have made them.
//!
//! Nothing can be done for those that are not; they are counted and named. An interposer's work shows in no engine's list,
//! so containers of a pod whose record says that an interposer sees every one of them are not judged.

use super::gather::PodView;
use super::{NriDoor, gather, locked};
use crate::decide::decide;
use crate::decide::facts::Door;
use crate::decide::verdict::{Netns, Plan, Verdict};
use crate::identity::Role;
use crate::logging::Line;
use crate::metrics::table::{SWAPS_NOT_APPLIED, UNADJUSTED};
use crate::nri::api;
use crate::pin::PinName;
use std::collections::HashMap;

/// How a container that runs is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lacks {
    /// It has not the identity that its profile writes.
    Identity,
    /// It has, and another network namespace path than its pod's pin.
    Path,
}

/// How many there are of each kind, by the pods of the last list that have not gone since.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pods: HashMap<PinName, [u64; 2]>,
    /// Over all pods: to add them up anew for each one would cost the square of their number.
    sums: [u64; 2],
}

impl Listed {
    /// A new list has come, and these are its pods that will be judged.
    pub(super) fn expect(&mut self, pods: impl Iterator<Item = PinName>) {
        *self = Self { pods: pods.map(|name| (name, [0; 2])).collect(), sums: [0; 2] };
        self.show();
    }

    /// What was found of a pod, in the place of what was found before; nothing is noted of one that is gone by now.
    fn judged(&mut self, name: &PinName, counts: [u64; 2]) {
        if let Some(pod) = self.pods.get_mut(name) {
            let before = std::mem::replace(pod, counts);
            self.replace(before, counts);
        }
    }

    /// The pod is gone with all its containers.
    pub(super) fn forget(&mut self, name: &PinName) {
        if let Some(before) = self.pods.remove(name) {
            self.replace(before, [0; 2]);
        }
    }

    fn replace(&mut self, before: [u64; 2], now: [u64; 2]) {
        self.sums = [0, 1].map(|which| self.sums[which] - before[which] + now[which]);
        self.show();
    }

    fn show(&self) {
        UNADJUSTED.set(&[], self.sums[0]);
        SWAPS_NOT_APPLIED.set(&[], self.sums[1]);
    }
}

impl NriDoor {
    /// Judges the containers of a pod whose pin stands by now, if it is to have one.
    pub(super) fn judge(&self, pod: &PodView, containers: &[api::Container]) {
        let name = PinName::of(&self.current().scope, &pod.sandbox);
        let lacking = containers.iter().filter(|container| runs(container));
        let mut lacking = lacking.filter_map(|container| Some((container, self.lacks(pod, container)?))).peekable();
        let mut counts = [0; 2];
        if lacking.peek().is_some() && self.is_seen_by_interposer(&name) {
            return;
        }
        for (container, lacks) in lacking {
            counts[usize::from(lacks == Lacks::Path)] += 1;
            let line = Line::event("CatchUp").with("pod", &pod.pod).with("container", &container.name);
            let (reason, effect) = match lacks {
                Lacks::Identity => ("created-while-away", "it runs without the identity of its profile"),
                Lacks::Path => ("swap-not-applied", "its network namespace path is not its pod's pin"),
            };
            log::warn!("{}", line.with("verdict", "leave").with("reason", reason).with("effect", effect));
        }
        locked(&self.listed).judged(&name, counts);
    }

    /// Whether an interposer sees every container of the pod: an OCI runtime does, a shim where it has seen a member.
    fn is_seen_by_interposer(&self, name: &PinName) -> bool {
        let record = self.keeper.ledger.get(name).ok().flatten();
        record.is_some_and(|record| record.members || record.doors().contains(&Door::Runtime.as_str()))
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
            Verdict::Adjust(_) | Verdict::Refuse(_) => Some(Lacks::Identity),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_of_the_pods_that_are_there() {
        let names = ["a", "b"].map(|name| PinName::parse(&format!("berth-{name}")).expect("a name"));
        let mut listed = Listed::default();
        listed.expect(names.iter().cloned());
        listed.judged(&names[0], [2, 1]);
        listed.judged(&names[1], [1, 0]);
        listed.judged(&names[0], [1, 1]);
        assert_eq!(listed.sums, [2, 1]);
        listed.forget(&names[0]);
        listed.forget(&names[0]);
        listed.judged(&names[0], [5, 5]);
        assert_eq!(listed.sums, [1, 0]);
        listed.expect(names.into_iter().take(1));
        assert_eq!(listed.sums, [0, 0]);
    }
}
