//! From a specification to facts: what it says, and what the file systems say about it.

use super::name::Grammar;
use super::setup::Node;
use super::trust::Who;
use crate::apply::{Keeper, is_bundle, netns_id};
use crate::decide::facts::{Annotations, Door, Facts, Lead, Network, Swap};
use crate::identity::{Engine, Role, SandboxId, Scope};
use crate::ledger::record::Origin;
use crate::netns::{Netns, NetnsError, NetnsId, Peek, PinState};
use crate::oci::Scan;
use crate::pin::PinName;
use std::path::{Path, PathBuf};

/// Where the pod's namespace can be had from.
#[derive(Debug)]
pub(super) enum Source {
    /// The pin stands.
    Pinned,
    /// The engine's file, open and verified.
    Open(PathBuf, Netns),
    /// The engine's file cannot be opened as a network namespace.
    Broken(NetnsError),
    /// There is none yet; it is to be made.
    New,
    /// There is none, or none that could be pinned.
    None,
}

/// Facts in the making.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) name: PinName,
    pub(super) pin_path: String,
    pub(super) source: Source,
    pub(super) network: Network,
    pub(super) swap: Swap,
}

impl Gathered {
    pub(super) fn facts<'a>(
        &'a self,
        grammar: Grammar,
        scope: &Scope,
        who: &'a Who,
        annotations: &'a dyn Annotations,
    ) -> Facts<'a> {
        Facts {
            door: door(grammar),
            engine: scope.engine,
            role: who.role,
            sandbox: &who.sandbox,
            pod: &who.pod,
            handler: None,
            group: None,
            annotations,
            network: self.network.clone(),
            swap: self.swap,
            pin_path: &self.pin_path,
        }
    }
}

/// The door of a command line.
#[must_use]
pub(super) fn door(grammar: Grammar) -> Door {
    match grammar {
        Grammar::Shim => Door::Shim,
        Grammar::Runtime => Door::Runtime,
    }
}

/// Gathers what `decide` needs.
pub(super) fn gather(node: &Node, scope: &Scope, who: &Who, bundle: &Path, spec: &Scan<'_>) -> Gathered {
    let name = PinName::of(scope, &who.sandbox);
    let pin = node.places.netns_dir.join(name.as_str());
    let look = Look { node, keeper: &node.keeper, name: &name, pin: &pin };
    let path = spec.network.as_ref().map(|entry| entry.path.as_deref().map(Path::new));
    let (source, network) = match (path, who.role) {
        (Some(path), Role::Standalone) if path.is_none_or(|path| path == pin) => look.new_one(bundle, spec),
        (_, Role::Standalone) => (Source::None, Network::Unknown),
        (None, _) => (Source::None, Network::Host),
        (Some(None), Role::Sandbox) => look.new_one(bundle, spec),
        (Some(Some(path)), Role::Sandbox) => look.sandbox(path),
        (Some(path), Role::Member) if scope.engine == Engine::Podman => look.member_of_podman(path),
        (Some(path), Role::Member) => look.member(path),
    };
    // berth is in the engine's mount namespace here, and so is what it becomes: its pins reach both.
    let swap = if node.sight.host.is_empty() { Swap::HostNotVisible } else { Swap::Possible };
    Gathered { pin_path: pin.to_string_lossy().into_owned(), name, source, network, swap }
}

/// One look at one sandbox.
struct Look<'a> {
    node: &'a Node,
    keeper: &'a Keeper,
    name: &'a PinName,
    pin: &'a Path,
}

impl Look<'_> {
    /// A new namespace is asked for, or one that was made for this bundle: the path of its pin may stand there from
    /// an earlier creation. What goes into a user namespace is not berth's to make.
    fn new_one(&self, bundle: &Path, spec: &Scan<'_>) -> (Source, Network) {
        if spec.user_namespace {
            return (Source::None, Network::Unknown);
        }
        let made = self.pinned().is_some_and(|id| self.made_for(bundle, id));
        (if made { Source::Pinned } else { Source::New }, Network::New)
    }

    /// Whether the record says that the pinned namespace `id` was made for this very bundle.
    fn made_for(&self, bundle: &Path, id: NetnsId) -> bool {
        let record = self.keeper.ledger.get(self.name).ok().flatten();
        record.is_some_and(|record| {
            record.origin == Origin::Created && netns_id(record.netns) == id && is_bundle(&record, bundle)
        })
    }

    /// The path is the engine's own file, which is adopted.
    fn sandbox(&self, path: &Path) -> (Source, Network) {
        let own = |lead| Network::Own { lead };
        if path == self.pin {
            // Another interposer was here before; the engine's file is in the record.
            return match self.pinned() {
                Some(_) => (Source::Pinned, own(Lead::Own)),
                None => (self.remembered().unwrap_or_else(|| open(path)), own(Lead::Nowhere)),
            };
        }
        let found = Peek::at(path);
        if let Ok(found) = &found
            && let Some(other) = self.pin_of_another(path, found.id())
        {
            return (Source::None, own(Lead::Other(other)));
        }
        match found {
            Ok(found) if self.is_host(found.id()) => (Source::None, Network::Host),
            _ => match open(path) {
                Source::Broken(error) => (Source::Broken(error), own(Lead::Nowhere)),
                source => (source, own(Lead::Own)),
            },
        }
    }

    /// The path is what the engine gives to all of the pod, or one through the sandbox's process, which is no file to
    /// adopt.
    fn member(&self, path: Option<&Path>) -> (Source, Network) {
        let found = path.map(Peek::at);
        let id = found.as_ref().and_then(|found| found.as_ref().ok()).map(Peek::id);
        if let Some(own) = self.pinned() {
            return (Source::Pinned, Network::Own { lead: self.lead(path, id, Some(own)) });
        }
        if id.is_some_and(|id| self.is_host(id)) {
            return (Source::None, Network::Host);
        }
        if let Some(source @ Source::Open(..)) = self.remembered() {
            let own = if let Source::Open(_, netns) = &source { Some(netns.id()) } else { None };
            return (source, Network::Own { lead: self.lead(path, id, own) });
        }
        let Some(id) = id else { return (Source::None, Network::Unknown) };
        if let Some(other) = self.pinned_by_another(id) {
            return (Source::None, Network::Own { lead: Lead::Other(other) });
        }
        match path.map(open) {
            Some(source @ Source::Open(..)) => (source, Network::Own { lead: Lead::Own }),
            _ => (Source::None, Network::Unknown),
        }
    }

    /// podman lets a container of a pod have a network of its own, which is not swapped for the pod's: only a path that
    /// leads to the pod's is.
    fn member_of_podman(&self, path: Option<&Path>) -> (Source, Network) {
        let found = self.member(path);
        match &found {
            (Source::Open(from, _), _) if Some(from.as_path()) == path => (Source::None, Network::Unknown),
            (_, Network::Own { lead: Lead::Unknown | Lead::Nowhere | Lead::Host }) => (Source::None, Network::Unknown),
            _ => found,
        }
    }

    /// Where a member's path leads. `id` is what it leads to, held by the caller.
    fn lead(&self, path: Option<&Path>, id: Option<NetnsId>, own: Option<NetnsId>) -> Lead {
        match (path, id, own) {
            (None, ..) => Lead::Unknown,
            (_, None, _) => Lead::Nowhere,
            (_, Some(id), Some(own)) if id == own => Lead::Own,
            (_, Some(id), Some(own)) if id.dev != own.dev => Lead::Nowhere,
            (_, Some(id), _) if self.is_host(id) => Lead::Host,
            (_, Some(id), _) => self.pinned_by_another(id).map_or(Lead::Unknown, Lead::Other),
        }
    }

    fn is_host(&self, id: NetnsId) -> bool {
        self.node.sight.host.contains(&id)
    }

    /// The namespace that this sandbox's pin holds.
    fn pinned(&self) -> Option<NetnsId> {
        match self.keeper.store.state(self.name) {
            Ok(PinState::Pinned(id)) => Some(id),
            _ => None,
        }
    }

    /// The engine's file that the record names, where it still is the namespace that was pinned.
    fn remembered(&self) -> Option<Source> {
        let record = self.keeper.ledger.get(self.name).ok()??;
        match open(&record.source.path) {
            Source::Open(path, netns) if netns.id() == netns_id(record.netns) => Some(Source::Open(path, netns)),
            _ => None,
        }
    }

    /// The other sandbox whose pin is at `path`, which leads to `id`: by its name, so that no record has to be read for
    /// any other path.
    fn pin_of_another(&self, path: &Path, id: NetnsId) -> Option<SandboxId> {
        let name = PinName::parse(path.file_name()?.to_str()?).ok()?;
        if name == *self.name || !self.keeper.store.leads_to(&name, id) {
            return None;
        }
        let record = self.keeper.ledger.get(&name).ok()??;
        SandboxId::try_from(record.sandbox.as_str()).ok()
    }

    /// The other sandbox whose pin holds `id` right now. Reads every record, so it is asked only where a path leads
    /// neither to the pod's own namespace nor to the host's.
    fn pinned_by_another(&self, id: NetnsId) -> Option<SandboxId> {
        let keeper = self.keeper;
        let records = keeper.ledger.list().ok()?.records.into_iter();
        let mut others = records.filter(|(name, record)| name != self.name && netns_id(record.netns) == id);
        let (_, record) = others.find(|(name, _)| keeper.store.leads_to(name, id))?;
        SandboxId::try_from(record.sandbox.as_str()).ok()
    }
}

fn open(path: &Path) -> Source {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match Netns::open(&path) {
        Ok(netns) => Source::Open(path, netns),
        Err(error) => Source::Broken(error),
    }
}
