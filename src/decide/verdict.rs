//! What a decision says. Plain data, and the words for it in logs and counters.

use crate::identity::SandboxId;
use std::collections::{BTreeMap, BTreeSet};

/// The answer to "what shall be done with this container".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing changes.
    Leave(Reason),
    /// This changes.
    Adjust(Plan),
    /// It must not be created.
    Refuse(Refusal),
}

/// What changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Annotations to write. No key is in both sets.
    pub set: BTreeMap<String, String>,
    /// Annotations to remove.
    pub remove: BTreeSet<String>,
    /// The network namespace path.
    pub netns: Netns,
    /// Keys that contradicted the engine, by name.
    pub contradictions: Vec<String>,
    /// Keys that go because the profile drops them, by name. No contradictions: they say nothing about identity.
    pub dropped: Vec<String>,
    /// The container's own path led to the host's namespace or nowhere, whatever becomes of it: counted.
    pub stray: bool,
}

impl Plan {
    /// A plan that changes no annotation.
    #[must_use]
    pub fn new(netns: Netns) -> Self {
        Self {
            set: BTreeMap::new(),
            remove: BTreeSet::new(),
            netns,
            contradictions: Vec::new(),
            dropped: Vec::new(),
            stray: false,
        }
    }

    /// Whether the container is given the pin's path.
    #[must_use]
    pub fn joins_pin(&self) -> bool {
        matches!(self.netns, Netns::Swap | Netns::Create)
    }

    /// What it comes to, in a word.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self.netns {
            Netns::Swap => Reason::IdentityAndNetns,
            Netns::Create => Reason::NetnsCreated,
            Netns::Keep(reason) => reason,
        }
    }
}

/// What becomes of the network namespace path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Netns {
    /// The namespace is pinned and its pin's path given to the container.
    Swap,
    /// A namespace is made, pinned, and its pin's path given to the container.
    Create,
    /// The path stays, because of this.
    Keep(Reason),
}

/// Why something is as it is; a closed list, used as log value and counter label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// No profile selects the pod.
    NotSelected,
    /// Identity and path.
    IdentityAndNetns,
    /// A path, and identity if it is a sandbox: the specification asked for a new namespace and berth has made it.
    NetnsCreated,
    /// Identity alone: the pod uses the host's network.
    HostNetwork,
    /// Identity alone: the profile leaves the path.
    ProfileLeavesNetns,
    /// Identity alone: the engine told no network namespace.
    NoNetns,
    /// Identity alone: the runtime's NRI cannot change namespaces (before 0.10).
    RuntimeCannotSwap,
    /// Identity alone: a pin made here would not reach the engine.
    PinsDoNotReach,
    /// Identity alone: the host's own namespace cannot be told from a pod's here.
    HostNotVisible,
    /// Identity alone: only interposers make pins here, and none has made this pod's.
    NotPinned,
    /// A standalone container: cleaned of identity keys, never stamped.
    Standalone,
}

impl Reason {
    /// Every reason, for tests that look for ones that never occur.
    pub const ALL: [Self; 11] = [
        Self::NotSelected,
        Self::IdentityAndNetns,
        Self::NetnsCreated,
        Self::HostNetwork,
        Self::ProfileLeavesNetns,
        Self::NoNetns,
        Self::RuntimeCannotSwap,
        Self::PinsDoNotReach,
        Self::HostNotVisible,
        Self::NotPinned,
        Self::Standalone,
    ];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSelected => "not-selected",
            Self::IdentityAndNetns => "identity-and-netns",
            Self::NetnsCreated => "netns-created",
            Self::HostNetwork => "host-network",
            Self::ProfileLeavesNetns => "profile-leaves-netns",
            Self::NoNetns => "no-netns",
            Self::RuntimeCannotSwap => "runtime-cannot-swap",
            Self::PinsDoNotReach => "pins-do-not-reach",
            Self::HostNotVisible => "host-not-visible",
            Self::NotPinned => "not-pinned",
            Self::Standalone => "standalone",
        }
    }
}

/// Why a container must not be created. Not a failure: the failure policy has no say in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its network namespace is pinned for another pod.
    #[error("its network namespace is the one pinned for sandbox {0}, not its own pod's")]
    ForeignNetns(SandboxId),
    /// The profile refuses contradictions.
    #[error("its annotations {} contradict the engine and the profile refuses that", .0.join(", "))]
    Contradiction(Vec<String>),
}

impl Refusal {
    /// The keys it is about, by name; none where it is about something else.
    #[must_use]
    pub fn contradictions(&self) -> &[String] {
        match self {
            Self::Contradiction(keys) => keys,
            Self::ForeignNetns(_) => &[],
        }
    }

    /// The word for it in logs and counters.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::ForeignNetns(_) => "foreign-netns",
            Self::Contradiction(_) => "contradiction",
        }
    }
}
