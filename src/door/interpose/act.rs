//! One creation: facts, decision, and carrying it out.

use super::argv::Create;
use super::gather::{self, Gathered, Source, door};
use super::name::Grammar;
use super::podman;
use super::report::Failure;
use super::setup::{self, Node};
use super::trust::{self, Who};
use crate::apply::{ApplyError, Keeper, PATIENCE, Pinned, Sight, Wanted};
use crate::config::{Config, Interposer};
use crate::decide::decide;
use crate::decide::facts::Facts;
use crate::decide::policy::Profile;
use crate::decide::verdict::{Plan, Reason, Verdict};
use crate::door::{STAY_COVERED, count};
use crate::exit::chain;
use crate::fsutil::FileError;
use crate::identity::{Engine, SandboxId, Scope};
use crate::ledger::record::Origin;
use crate::logging::Line;
use crate::netns::{Netns as Namespace, PinState, Sharing};
use crate::oci::{Bundle, BundleError, Changes, Scan, edit};
use crate::pin::PinName;
use std::path::{Path, PathBuf};

/// What is known before the specification is read.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) config: &'a Config,
    pub(super) grammar: Grammar,
    pub(super) entry: Option<&'a Interposer>,
    pub(super) create: &'a Create,
}

/// What came of looking at a specification.
#[derive(Debug)]
pub(super) struct Examined<'a> {
    pub(super) scope: Scope,
    pub(super) who: Who,
    pub(super) profile: Option<&'a Profile>,
    pub(super) gathered: Gathered,
    pub(super) verdict: Verdict,
}

impl<'a> Asked<'a> {
    /// In which the id is unique, and whose keys are trusted.
    pub(super) fn scope(&self) -> Scope {
        let Create { root, engine, .. } = self.create;
        let engine = self.entry.map_or_else(|| trust::engine(self.grammar, root, *engine), |entry| entry.engine);
        trust::scope(engine, self.grammar, root)
    }

    /// The pin of the container, should it be a sandbox.
    pub(super) fn own_pin(&self) -> Option<PinName> {
        SandboxId::try_from(self.create.id.as_str()).ok().map(|id| PinName::of(&self.scope(), &id))
    }

    /// Who the container is; nothing but the specification is looked at, and, on podman, its pod's other containers.
    pub(super) fn who(&self, spec: &Scan<'_>) -> Result<Who, Failure> {
        let Create { bundle, id, restores, .. } = self.create;
        let infra = || podman::infra(Path::new("/proc"), bundle, id, spec);
        Ok(trust::who(&self.scope(), id, *restores, &spec.values, infra)?)
    }

    /// The profile that holds for it; `None`: it is left byte for byte.
    pub(super) fn profile(&self, who: &Who) -> Option<&'a Profile> {
        setup::profile(&self.config.policy, self.entry, &who.pod.namespace)
    }

    /// Gathers and decides; changes nothing.
    pub(super) fn examine(&self, node: &Node, spec: &Scan<'_>, who: Who, profile: Option<&'a Profile>) -> Examined<'a> {
        let scope = self.scope();
        let Create { bundle, id, .. } = self.create;
        let gathered = gather::gather(node, &scope, &who, bundle, spec);
        let group = if scope.engine == Engine::Podman { podman::pod(id, spec) } else { None };
        let facts = Facts {
            handler: setup::handler(self.entry),
            group,
            ..gathered.facts(self.grammar, &scope, &who, &spec.values)
        };
        let verdict = decide(&facts, profile);
        Examined { scope, who, profile, gathered, verdict }
    }

    /// Carries the verdict out. Holds: on `Err` `config.json` is as it was; a pin that was made stays for the lifecycle
    /// rule, which finds the engine's file gone when the engine gives up. `remark` is told what stops nothing.
    pub(super) fn act(
        &self,
        node: &Node,
        bundle: &Bundle,
        spec: &Scan<'_>,
        examined: Examined<'_>,
        remark: impl Fn(&Line),
    ) -> Result<Verdict, Failure> {
        match &examined.verdict {
            Verdict::Leave(_) => {}
            Verdict::Refuse(refusal) => return Err(Failure::Refused(refusal.clone())),
            Verdict::Adjust(plan) => {
                if plan.joins_pin() {
                    self.ensure_pin(node, &examined, remark)?;
                }
                let text = edit(spec, &changes(plan, &examined.gathered.pin_path))?;
                if text.as_bytes() != bundle.bytes() {
                    bundle.replace(&text)?;
                }
            }
        }
        Ok(examined.verdict)
    }

    fn ensure_pin(&self, node: &Node, examined: &Examined<'_>, remark: impl Fn(&Line)) -> Result<(), Failure> {
        let keeper = &node.keeper;
        let pin = |origin, source: &Path, netns: &Namespace| -> Result<(), Failure> {
            // Before the first pin: a mount made over the directory later would bury it.
            let lock = keeper.ledger.netns_lock();
            if let Sharing::Covered(error) = keeper.store.ensure_shared(&lock).map_err(ApplyError::from)? {
                remark(&Line::message(STAY_COVERED).with("error", chain(&error)));
            }
            Ok(self.pin(keeper, &node.sight, examined, origin, source, netns)?)
        };
        match &examined.gathered.source {
            Source::Pinned => {
                keeper.mark_door(&examined.gathered.name, door(self.grammar), examined.who.role);
                Ok(())
            }
            Source::Open(file, netns) => pin(Origin::Adopted, file, netns),
            Source::New => {
                let (bundle, netns) = self.create(keeper, examined)?;
                pin(Origin::Created, &bundle, &netns)
            }
            Source::Broken(error) => {
                count::no_source();
                Err(Failure::Netns(chain(error)))
            }
            Source::None => Err(Failure::NoSource(examined.gathered.pin_path.clone().into())),
        }
    }

    /// Makes a network namespace for the bundle, which comes with it by its full path.
    fn create(&self, keeper: &Keeper, examined: &Examined<'_>) -> Result<(PathBuf, Namespace), Failure> {
        let bundle = &self.create.bundle;
        let bundle = bundle.canonicalize().map_err(FileError::new("resolve", bundle)).map_err(BundleError::from)?;
        // One that was made for an earlier container of this id has had its occasion to go.
        if let PinState::Pinned(_) = keeper.store.state(&examined.gathered.name).map_err(ApplyError::from)? {
            return Err(Failure::Earlier(examined.gathered.pin_path.clone().into()));
        }
        let netns = Namespace::create().inspect_err(|_| count::not_created()).map_err(ApplyError::from)?;
        Ok((bundle, netns))
    }

    fn pin(
        &self,
        keeper: &Keeper,
        sight: &Sight,
        examined: &Examined<'_>,
        origin: Origin,
        source: &Path,
        netns: &Namespace,
    ) -> Result<(), ApplyError> {
        let Examined { scope, who, profile, gathered, .. } = examined;
        let wanted = Wanted {
            name: &gathered.name,
            netns,
            origin,
            source,
            forbidden: &sight.host,
            scope,
            sandbox: who.sandbox.as_str(),
            pod: &who.pod,
            handler: setup::handler(self.entry).unwrap_or_default(),
            door: door(self.grammar).as_str(),
            profile: profile.map(|profile| profile.name.as_str()).unwrap_or_default(),
            verdict: match origin {
                Origin::Adopted => Reason::IdentityAndNetns,
                Origin::Created => Reason::NetnsCreated,
            },
            config: self.config.hash,
            pid_ns: sight.pid_ns,
        };
        match keeper.pin(&wanted, PATIENCE) {
            Ok(Pinned::Now) => count::pinned(origin),
            Ok(Pinned::Already) => {}
            Err(error) => {
                count::pin_failed(&error);
                return Err(error);
            }
        }
        Ok(())
    }
}

/// A plan in the specification's words.
pub(super) fn changes(plan: &Plan, pin_path: &str) -> Changes {
    Changes {
        set: plan.set.clone(),
        remove: plan.remove.clone(),
        network_path: plan.joins_pin().then(|| pin_path.to_owned()),
    }
}
