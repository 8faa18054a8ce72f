//! The decision: what a container is told and given. Total and pure; every door calls it.
//!
//! Rules, in order of precedence; each has its function below and its rows in the tests:
//!
//! 1. What no profile selects is left byte for byte. ([`decide`])
//! 2. A standalone container is cleaned of identity keys and never stamped. (`cleaned`) It is given a namespace of
//!    berth's making where it asks for a new one and the profile wants that.
//! 3. A container whose path leads to another pod's pin is refused. (`veto`)
//! 4. The path is swapped where the pod has a network namespace of its own, the profile wants it, the runtime
//!    can do it and the pin reaches the engine; else it stays, with the reason. (`netns`)
//! 5. The dialects asked for are complete and right; every other identity key agrees or goes; dockershim's
//!    always go. (`identity`) Contradictions are corrected, or refused where the profile says so.
//! 6. Extra annotations are written; one whose facts are missing is left out, and an author's value under its key
//!    goes. (`extras`)
//! 7. What the profile drops goes, except identity keys of the dialects it writes and its own extra annotations. It is
//!    no contradiction: it is counted apart and never a reason to refuse. (`dropped`)
//! 8. What is right already is not written again, so no key changes its owner for nothing.

pub mod facts;
pub mod policy;
pub mod template;
pub mod verdict;

#[cfg(test)]
mod tests;

use crate::dialect::{Dialect, Field, Identity, identity_key};
use crate::identity::{Engine, Role};
use facts::{Door, Facts, Lead, Network, Swap};
use policy::{NetnsPolicy, OnContradiction, Profile};
use template::Fields;
use verdict::{Netns, Plan, Reason, Refusal, Verdict};

/// Decides for a container that falls under `profile`; `None`: no profile selects it. Holds: on `Adjust`, no key is
/// both set and removed, and nothing is set to the value it has.
#[must_use]
pub fn decide(facts: &Facts<'_>, profile: Option<&Profile>) -> Verdict {
    let Some(profile) = profile else { return Verdict::Leave(Reason::NotSelected) };
    if facts.role == Role::Standalone {
        return cleaned(facts, profile);
    }
    if let Some(refusal) = veto(facts) {
        return Verdict::Refuse(refusal);
    }
    let mut plan = Plan::new(netns(facts, profile));
    plan.stray = matches!(facts.network, Network::Own { lead: Lead::Host | Lead::Nowhere });
    identity(facts, profile, &mut plan);
    extras(facts, profile, &mut plan);
    dropped(facts, profile, &mut plan);
    if profile.on_contradiction == OnContradiction::Refuse && !plan.contradictions.is_empty() {
        return Verdict::Refuse(Refusal::Contradiction(plan.contradictions));
    }
    conclude(plan)
}

fn conclude(plan: Plan) -> Verdict {
    match plan.netns {
        Netns::Keep(reason) if plan.set.is_empty() && plan.remove.is_empty() => Verdict::Leave(reason),
        _ => Verdict::Adjust(plan),
    }
}

/// Rule 2.
fn cleaned(facts: &Facts<'_>, profile: &Profile) -> Verdict {
    let creates = facts.network == Network::New && profile.netns == NetnsPolicy::Create;
    let mut plan = Plan::new(if creates { Netns::Create } else { Netns::Keep(Reason::Standalone) });
    for dialect in Dialect::ALL {
        for key in dialect.keys() {
            let Some(present) = facts.annotations.get(key.name) else { continue };
            // What the engine has written itself is not forged, and put right where it was.
            let own = facts.group.filter(|_| dialect.is_of(facts.engine) && key.field == Field::SandboxId);
            match own {
                Some(group) if group == present => continue,
                Some(group) => drop(plan.set.insert(key.name.to_owned(), group.to_owned())),
                None => drop(plan.remove.insert(key.name.to_owned())),
            }
            plan.contradictions.push(key.name.to_owned());
        }
    }
    conclude(plan)
}

/// Rule 3. A veto, never a proof: a path that leads to the right place says nothing about who asks.
fn veto(facts: &Facts<'_>) -> Option<Refusal> {
    match &facts.network {
        Network::Own { lead: Lead::Other(sandbox) } => Some(Refusal::ForeignNetns(sandbox.clone())),
        _ => None,
    }
}

/// Rule 4.
fn netns(facts: &Facts<'_>, profile: &Profile) -> Netns {
    match &facts.network {
        Network::Host => return Netns::Keep(Reason::HostNetwork),
        Network::New if profile.netns == NetnsPolicy::Create => return Netns::Create,
        Network::New | Network::Unknown => return Netns::Keep(Reason::NoNetns),
        Network::Own { .. } => {}
    }
    match (profile.netns, facts.swap) {
        (NetnsPolicy::Leave, _) => Netns::Keep(Reason::ProfileLeavesNetns),
        (_, Swap::RuntimeCannot) => Netns::Keep(Reason::RuntimeCannotSwap),
        (_, Swap::PinsDoNotReach) => Netns::Keep(Reason::PinsDoNotReach),
        (_, Swap::HostNotVisible) => Netns::Keep(Reason::HostNotVisible),
        (_, Swap::NotPinned) => Netns::Keep(Reason::NotPinned),
        (_, Swap::Possible) => Netns::Swap,
    }
}

/// Rule 5.
fn identity(facts: &Facts<'_>, profile: &Profile, plan: &mut Plan) {
    let identity = Identity { role: facts.role, sandbox: facts.sandbox, pod: facts.pod };
    for dialect in Dialect::ALL {
        let wanted = profile.dialects.contains(&dialect);
        let own = dialect.is_of(facts.engine);
        for key in dialect.keys() {
            let present = facts.annotations.get(key.name);
            let contradicts = present.is_some_and(|value| !dialect.agrees(key.field, value, &identity));
            if contradicts {
                plan.contradictions.push(key.name.to_owned());
            }
            // The engine's own keys are put right and not removed: it may have written the right one by now, under the
            // name that was removed.
            let write = (wanted || own && contradicts) && can_write(facts, dialect);
            let value = dialect.value(key.field, &identity).filter(|_| write && key.field != Field::LongName);
            match (value, present) {
                (Some(value), present) if present != Some(value) => {
                    plan.set.insert(key.name.to_owned(), value.to_owned());
                }
                (None, Some(_)) if contradicts || dialect == Dialect::Dockershim => {
                    plan.remove.insert(key.name.to_owned());
                }
                _ => {}
            }
        }
    }
}

/// CRI-O drops containerd's type key from an NRI adjustment without a word (`io.kubernetes.cri.container-type`
/// is on its list of keys a handler must allow), which would leave an id without a type: a pair that strict
/// readers refuse. So there the whole set stays out; the interposers write it.
fn can_write(facts: &Facts<'_>, dialect: Dialect) -> bool {
    !(facts.door == Door::Nri && facts.engine == Engine::CriO && dialect == Dialect::Containerd)
}

/// Rule 6.
fn extras(facts: &Facts<'_>, profile: &Profile, plan: &mut Plan) {
    let fields = Fields {
        sandbox: facts.sandbox,
        pod: facts.pod,
        role: facts.role,
        handler: facts.handler,
        netns: plan.joins_pin().then_some(facts.pin_path),
    };
    for (key, template) in &profile.annotations {
        let present = facts.annotations.get(key);
        match template.render(&fields) {
            Some(value) if present != Some(&value) => drop(plan.set.insert(key.clone(), value)),
            Some(_) => {}
            // The key is the profile's: a value that berth does not vouch for must not stand under it.
            None if present.is_some() => {
                plan.remove.insert(key.clone());
                plan.contradictions.push(key.clone());
            }
            None => {}
        }
    }
}

/// Rule 7.
fn dropped(facts: &Facts<'_>, profile: &Profile, plan: &mut Plan) {
    let own = |key: &str| {
        profile.annotations.contains_key(key)
            || identity_key(key).is_some_and(|(dialect, _)| profile.dialects.contains(&dialect))
    };
    let mut keys = facts.annotations.keys();
    keys.retain(|key| profile.drop_annotations.matches(key) && !own(key) && !plan.remove.contains(*key));
    keys.sort_unstable();
    for key in keys {
        plan.remove.insert(key.to_owned());
        plan.dropped.push(key.to_owned());
    }
}
