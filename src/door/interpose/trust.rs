//! Who a container is, by what its engine writes after everything an author can set, and by that alone. Pure.
//!
//! | engine | sandbox | member | standalone |
//! |---|---|---|---|
//! | containerd, in its CRI namespace | `io.kubernetes.cri.container-type: sandbox` | `: container`, of `io.kubernetes.cri.sandbox-id` | no such key |
//! | CRI-O | `io.kubernetes.container.name: POD` | any other name, or none, of `io.kubernetes.cri-o.SandboxID` | neither key |
//! | podman | it is its pod's infra container ([`super::podman`]) | another is | it is in no pod, or in one without |
//! | none, and containerd elsewhere | | | everything |
//!
//! A sandbox's id is the one it is created under, never one that is written anywhere.

use crate::identity::{CONTAINERD_CRI_NAMESPACE, Engine, IdError, PodRef, Role, SandboxId, Scope};
use std::collections::BTreeMap;
use std::path::Path;

use super::name::Grammar;

const TYPE: &str = "io.kubernetes.cri.container-type";
const SANDBOX_ID: &str = "io.kubernetes.cri.sandbox-id";
const CONTAINERD_POD: [&str; 3] =
    ["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.cri.sandbox-name", "io.kubernetes.cri.sandbox-uid"];

const NAME: &str = "io.kubernetes.container.name";
/// The name CRI-O gives the sandbox's own container; no container of a pod can have it (capitals).
const INFRA: &str = "POD";
const CRIO_SANDBOX_ID: &str = "io.kubernetes.cri-o.SandboxID";
const KUBELET_POD: [&str; 3] = ["io.kubernetes.pod.namespace", "io.kubernetes.pod.name", "io.kubernetes.pod.uid"];

/// Who a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Who {
    /// Sandbox, member, or neither.
    pub role: Role,
    /// The sandbox it is or joins; of a standalone container its own id.
    pub sandbox: SandboxId,
    /// Its pod, as far as the engine says.
    pub pod: PodRef,
}

/// Why it cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// An id that is none.
    #[error(transparent)]
    Id(#[from] IdError),
    /// The engine's word for the type is not one of the two.
    #[error("annotation {TYPE}: expected sandbox or container, found {0:?}")]
    Type(String),
    /// A member of nothing.
    #[error("annotation {0}: is missing, so the member's sandbox is not known")]
    NoSandbox(&'static str),
    /// A member of itself.
    #[error("annotation {0}: names the container itself, which is said to be a member")]
    OwnSandbox(&'static str),
}

/// The engine, where no entry of the configuration says it: containerd where its CRI's own namespace is told, which only
/// the engine can; the one that says of itself that it runs this; else none that could be trusted.
#[must_use]
pub(super) fn engine(grammar: Grammar, root: &str, told: Option<Engine>) -> Engine {
    if namespace(grammar, root) == CONTAINERD_CRI_NAMESPACE {
        return Engine::Containerd;
    }
    told.unwrap_or(Engine::Other)
}

/// In which the ids that `engine` gives are unique.
#[must_use]
pub(super) fn scope(engine: Engine, grammar: Grammar, root: &str) -> Scope {
    match engine {
        Engine::Containerd => Scope { engine, root: namespace(grammar, root).to_owned() },
        Engine::CriO => Scope::cri(engine),
        Engine::Podman | Engine::Other => Scope { engine, root: root.to_owned() },
    }
}

/// containerd's namespace: a shim is told it, an OCI runtime's root directory ends in it.
fn namespace(grammar: Grammar, root: &str) -> &str {
    match grammar {
        Grammar::Shim => root,
        Grammar::Runtime => Path::new(root).file_name().and_then(|name| name.to_str()).unwrap_or_default(),
    }
}

/// Who the container is that is created under `id` in `scope`. `infra` finds the infra container of its pod, and is
/// asked on podman alone. One that is restored is no sandbox on CRI-O: there a checkpoint's annotations come after the
/// engine's, but for those that say whose member it is.
///
/// # Errors
/// [`Unclear`]: the engine's keys do not make sense, so nothing can be vouched for.
pub(super) fn who(
    scope: &Scope,
    id: &str,
    restored: bool,
    annotations: &BTreeMap<String, String>,
    infra: impl FnOnce() -> Option<SandboxId>,
) -> Result<Who, Unclear> {
    let own = SandboxId::try_from(id)?;
    let get = |key: &str| annotations.get(key).map(String::as_str);
    let pod = |keys: [&str; 3]| {
        let [namespace, name, uid] = keys.map(|key| get(key).unwrap_or_default().to_owned());
        PodRef { namespace, name, uid }
    };
    let member = |key| match get(key) {
        None => Err(Unclear::NoSandbox(key)),
        Some(sandbox) if sandbox == id => Err(Unclear::OwnSandbox(key)),
        Some(sandbox) => Ok(SandboxId::try_from(sandbox)?),
    };
    let (role, sandbox, pod) = match scope.engine {
        Engine::Containerd if *scope == Scope::cri(Engine::Containerd) => match get(TYPE) {
            Some("sandbox") => (Role::Sandbox, own, pod(CONTAINERD_POD)),
            Some("container") => (Role::Member, member(SANDBOX_ID)?, pod(CONTAINERD_POD)),
            Some(other) => return Err(Unclear::Type(other.to_owned())),
            None => (Role::Standalone, own, PodRef::default()),
        },
        Engine::CriO => match (get(NAME), get(CRIO_SANDBOX_ID)) {
            (Some(INFRA), _) if !restored => (Role::Sandbox, own, pod(KUBELET_POD)),
            // Every sandbox has the name; a member has the one that the kubelet gave it, and other clients may give none.
            (Some(_), _) | (None, Some(_)) => (Role::Member, member(CRIO_SANDBOX_ID)?, pod(KUBELET_POD)),
            (None, None) => (Role::Standalone, own, PodRef::default()),
        },
        Engine::Podman => match infra() {
            Some(sandbox) if sandbox == own => (Role::Sandbox, own, PodRef::default()),
            Some(sandbox) => (Role::Member, sandbox, PodRef::default()),
            None => (Role::Standalone, own, PodRef::default()),
        },
        Engine::Containerd | Engine::Other => (Role::Standalone, own, PodRef::default()),
    };
    Ok(Who { role, sandbox, pod })
}
