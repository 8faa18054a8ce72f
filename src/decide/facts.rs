//! What a door knows when it asks for a decision. Plain data: gathered by the door, from sources it may trust.

use crate::identity::{Engine, PodRef, Role, SandboxId};
use std::collections::{BTreeMap, HashMap};

/// Through which interface a container came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The NRI plugin.
    Nri,
    /// The exec-interposer, shim grammar.
    Shim,
    /// The exec-interposer, OCI runtime grammar.
    Runtime,
}

impl Door {
    /// The name used in records and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nri => "nri",
            Self::Shim => "shim",
            Self::Runtime => "runtime",
        }
    }
}

/// Where the network namespace path that a container has been given leads, found on descriptors held open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lead {
    /// To the pod's own namespace.
    Own,
    /// To the namespace that is pinned for another sandbox.
    Other(SandboxId),
    /// To the host's.
    Host,
    /// To nothing, or to nothing that is a network namespace (`/proc/0/ns/net`, a dead pid, a placeholder).
    Nowhere,
    /// It cannot be told from here, or there is no path to follow yet.
    Unknown,
}

/// The network of the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// The host's: nothing to pin.
    Host,
    /// Its own, which is pinned or can be.
    Own {
        /// Where the container's present path leads.
        lead: Lead,
    },
    /// A new one, which the specification asks for and which berth may make: it names no user namespace, to which the
    /// network namespace would have to belong (user_namespaces(7)).
    New,
    /// The engine does not say.
    Unknown,
}

/// Whether a swap would reach the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swap {
    /// It would.
    Possible,
    /// The runtime does not know the namespace field of an NRI adjustment and would drop it silently.
    RuntimeCannot,
    /// A mount made here is not shown to reach the engine.
    PinsDoNotReach,
    /// The host's own network namespace is not known here, so it could be pinned by mistake.
    HostNotVisible,
    /// Pins are made by interposers alone, and none has pinned this pod.
    NotPinned,
}

/// Annotations by key: the two kinds of map that doors have.
pub trait Annotations: std::fmt::Debug + Send + Sync {
    /// The value of `key`.
    fn get(&self, key: &str) -> Option<&str>;
    /// All keys, in any order.
    fn keys(&self) -> Vec<&str>;
}

impl Annotations for HashMap<String, String> {
    fn get(&self, key: &str) -> Option<&str> {
        Self::get(self, key).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        Self::keys(self).map(String::as_str).collect()
    }
}

impl Annotations for BTreeMap<String, String> {
    fn get(&self, key: &str) -> Option<&str> {
        Self::get(self, key).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        Self::keys(self).map(String::as_str).collect()
    }
}

/// Everything a decision depends on, besides the policy.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The door.
    pub door: Door,
    /// The engine behind it.
    pub engine: Engine,
    /// What is being created, from keys or messages that the engine alone writes.
    pub role: Role,
    /// The sandbox it is or joins.
    pub sandbox: &'a SandboxId,
    /// Its pod.
    pub pod: &'a PodRef,
    /// Runtime handler, empty for the default one; `None` where the door is not told it.
    pub handler: Option<&'a str>,
    /// The id that the engine itself tells a standalone container of a group without a sandbox: podman's of a pod.
    pub group: Option<&'a str>,
    /// The container's annotations as they stand: claims.
    pub annotations: &'a dyn Annotations,
    /// The pod's network.
    pub network: Network,
    /// Whether a swap can be had.
    pub swap: Swap,
    /// The path of the pod's pin, made or to be made.
    pub pin_path: &'a str,
}
