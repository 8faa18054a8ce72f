//! From NRI messages to facts: what the runtime says, and what the file systems say about it.

use super::session::Session;
use super::{NriDoor, locked};
use crate::apply::PinsBy;
use crate::decide::facts::{Annotations, Door, Facts, Lead, Network, Swap};
use crate::exit::chain;
use crate::identity::{IdError, PodRef, Role, SandboxId};
use crate::logging::Line;
use crate::netns::{Netns, NetnsError, NetnsId, Peek, same_network};
use crate::nri::{Unread, api};
use crate::pin::PinName;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The type of a network namespace in `linux.namespaces[]` (OCI runtime specification).
pub(super) const NETWORK: &str = "network";

/// An NRI event cannot change a sandbox's annotations, so those are not asked about.
pub(super) const NO_ANNOTATIONS: &dyn Annotations = &BTreeMap::new();

/// What no answer depends on. Of a pod: labels, annotations and addresses. Of a container: labels, arguments,
/// environment, mounts, hooks, rlimits, devices of CDI, user and image.
pub(super) const UNREAD: Unread = Unread { pod: &[5, 6, 10], container: &[5, 7, 8, 9, 10, 13, 20, 21, 22] };

/// What berth needs of a pod message.
#[derive(Debug, Clone)]
pub(super) struct PodView {
    pub(super) sandbox: SandboxId,
    pub(super) pod: PodRef,
    pub(super) handler: String,
    /// The engine's netns file; `None` where it tells none.
    pub(super) netns: Option<PathBuf>,
    /// The sandbox's process; 0 where there is none or it is not told.
    pub(super) pid: u32,
}

impl PodView {
    pub(super) fn new(pod: &api::PodSandbox) -> Result<Self, IdError> {
        Ok(Self {
            sandbox: SandboxId::try_from(pod.id.as_str())?,
            pod: PodRef { namespace: pod.namespace.clone(), name: pod.name.clone(), uid: pod.uid.clone() },
            handler: pod.runtime_handler.clone(),
            netns: pod.linux.as_ref().and_then(|linux| network(&linux.namespaces)).map(PathBuf::from),
            pid: pod.pid,
        })
    }
}

/// The network namespace path of a container, as the runtime has it.
pub(super) fn path(container: &api::Container) -> Option<&str> {
    container.linux.as_ref().and_then(|linux| network(&linux.namespaces))
}

/// The path of the network namespace entry; an empty one is none.
fn network(namespaces: &[api::LinuxNamespace]) -> Option<&str> {
    let entry = namespaces.iter().find(|namespace| namespace.type_ == NETWORK)?;
    (!entry.path.is_empty()).then_some(entry.path.as_str())
}

/// Where the pod's namespace can be had from.
#[derive(Debug)]
pub(super) enum Source {
    /// The pin stands.
    Pinned,
    /// The engine's file, open and verified.
    Open(PathBuf, Netns),
    /// The engine's file cannot be opened as a network namespace.
    Broken(NetnsError),
    /// The engine names none.
    Untold,
}

/// Facts in the making.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) name: PinName,
    pub(super) pin_path: String,
    pub(super) source: Source,
    network: Network,
    /// The pin stands, as far as it was asked: with a pin of the daemon's own making, only where the table knows it.
    pub(super) stands: bool,
}

impl Gathered {
    pub(super) fn facts<'a>(
        &'a self,
        session: &Session,
        pod: &'a PodView,
        role: Role,
        annotations: &'a dyn Annotations,
    ) -> Facts<'a> {
        Facts {
            door: Door::Nri,
            engine: session.scope.engine,
            role,
            sandbox: &pod.sandbox,
            pod: &pod.pod,
            handler: Some(&pod.handler),
            group: None,
            annotations,
            network: self.network.clone(),
            swap: self.swap(session),
            pin_path: &self.pin_path,
        }
    }
}

impl Gathered {
    /// A pin that does not stand yet is made, unless that is left to others.
    fn swap(&self, session: &Session) -> Swap {
        match session.swap {
            Swap::Possible if session.pins_by == PinsBy::Interposers && !self.stands => Swap::NotPinned,
            other => other,
        }
    }
}

impl NriDoor {
    /// Gathers what `decide` needs for a pod, and for a container of it where there is one.
    pub(super) fn gather(&self, session: &Session, pod: &PodView, container: Option<&api::Container>) -> Gathered {
        let name = PinName::of(&session.scope, &pod.sandbox);
        let pin_path = self.keeper.store.path(&name).to_string_lossy().into_owned();
        let (source, id) = self.source(pod, &name);
        let network = match (&source, id) {
            (_, Some(id)) if session.sight.host.contains(&id) => Network::Host,
            (Source::Untold, _) => untold(session, pod),
            (_, id) => Network::Own { lead: self.lead(session, pod, container, id) },
        };
        // Asked of the file system only where others make it.
        let others = session.pins_by == PinsBy::Interposers;
        let stands =
            matches!(source, Source::Pinned) || (others && id.is_some_and(|id| self.keeper.store.leads_to(&name, id)));
        Gathered { name, pin_path, source, network, stands }
    }

    /// The pin if it stands; else the engine's file, or the one the record remembers.
    fn source(&self, pod: &PodView, name: &PinName) -> (Source, Option<NetnsId>) {
        let known = locked(&self.pods).netns(&pod.sandbox);
        if let Some(id) = known
            && self.keeper.store.leads_to(name, id)
        {
            return (Source::Pinned, Some(id));
        }
        let path = pod.netns.clone().or_else(|| self.remembered(name));
        match path.map(|path| (Netns::open(&path), path)) {
            None => (Source::Untold, None),
            Some((Ok(netns), path)) => {
                let id = netns.id();
                (Source::Open(path, netns), Some(id))
            }
            Some((Err(error), _)) => (Source::Broken(error), None),
        }
    }

    fn remembered(&self, name: &PinName) -> Option<PathBuf> {
        match self.keeper.ledger.get(name) {
            Ok(record) => record.map(|record| record.source.path),
            Err(error) => {
                log::warn!(
                    "{}",
                    Line::message("a record cannot be used").with("pin", name).with("error", chain(&error))
                );
                None
            }
        }
    }

    /// Where the container's present path leads. Looked at only where the engine's processes can be seen, because
    /// `/proc/<pid>/ns/net` means another process elsewhere.
    fn lead(&self, session: &Session, pod: &PodView, container: Option<&api::Container>, own: Option<NetnsId>) -> Lead {
        let Some(path) = container.and_then(path) else { return Lead::Unknown };
        if pod.netns.as_deref() == Some(Path::new(path)) {
            return Lead::Own;
        }
        let Some(path) = session.path_here(path) else { return Lead::Unknown };
        // Held while it is compared: its number could mean another namespace otherwise.
        let found = match Peek::at(&path) {
            Ok(found) => found,
            Err(error) if error.is_refused() => return Lead::Unknown,
            Err(_) => return Lead::Nowhere,
        };
        match (found.id(), own) {
            (id, Some(own)) if id == own => Lead::Own,
            (id, Some(own)) if id.dev != own.dev => Lead::Nowhere,
            (id, _) if session.sight.host.contains(&id) => Lead::Host,
            (id, _) => self.pinned_by_another(session, pod, id).map_or(Lead::Unknown, Lead::Other),
        }
    }

    /// The other sandbox whose pin holds `id` right now; the table alone could be older than the inode number.
    fn pinned_by_another(&self, session: &Session, pod: &PodView, id: NetnsId) -> Option<SandboxId> {
        let other = locked(&self.pods).sandbox_of(id).filter(|other| *other != pod.sandbox)?;
        self.keeper.store.leads_to(&PinName::of(&session.scope, &other), id).then_some(other)
    }
}

/// The engine names no namespace. containerd does so for pods of the host's network, but also for stopped ones and for
/// those of sandboxers that tell no namespaces (facts of its releases differ), so the sandbox's own process is asked.
fn untold(session: &Session, pod: &PodView) -> Network {
    let process = (pod.pid != 0).then(|| session.path_here(&format!("/proc/{}/ns/net", pod.pid))).flatten();
    match process.map(|path| Peek::at(&path)) {
        Some(Ok(found)) if session.sight.host.contains(&found.id()) => Network::Host,
        Some(Err(error)) if error.is_refused() && is_hosts(session, pod.pid) => Network::Host,
        _ => Network::Unknown,
    }
}

/// Whether a process that may not be looked at is in the network of the node's first one.
fn is_hosts(session: &Session, pid: u32) -> bool {
    same_network(&session.sight.proc, pid, 1) == Some(true)
}
