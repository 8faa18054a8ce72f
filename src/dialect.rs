//! The annotation dialects in which runtimes read a container's identity: which key carries which fact, with
//! which words, and which keys make a set complete. A table; no decisions and no I/O.
//!
//! Sources: containerd `internal/cri/annotations`, CRI-O `internal/annotations`, dockershim's `docker.type`
//! keys as Kata and runhcs still read them, and the 2016 `ocid/*` keys. Readers take the first key present,
//! each in an order of its own, so dialects are safe side by side only while they agree.

use crate::identity::{Engine, PodRef, Role, SandboxId};

/// A family of annotation keys that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// `ocid/*`: berth's own words, after the first ones this field had.
    Ocid,
    /// `io.kubernetes.cri.*`, containerd's.
    Containerd,
    /// `io.kubernetes.cri-o.*`, CRI-O's.
    CriO,
    /// `io.kubernetes.docker.type` and its id: recognised and removed, never written. Nobody writes them today.
    Dockershim,
}

/// A fact that a key carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Sandbox or container.
    Type,
    /// The sandbox's id.
    SandboxId,
    /// The pod's name.
    PodName,
    /// The pod's Kubernetes namespace.
    PodNamespace,
    /// The pod's uid.
    PodUid,
    /// CRI-O's long name `k8s_<pod>_<namespace>_<uid>_<attempt>`. The attempt is the engine's own knowledge, so
    /// it can be checked but not written.
    LongName,
}

/// One key of a dialect.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The annotation key.
    pub name: &'static str,
    /// What it carries.
    pub field: Field,
}

const OCID: &[Key] = &[
    Key { name: "ocid/container_type", field: Field::Type },
    Key { name: "ocid/sandbox_id", field: Field::SandboxId },
    Key { name: "ocid/sandbox_name", field: Field::PodName },
];

const CONTAINERD: &[Key] = &[
    Key { name: "io.kubernetes.cri.container-type", field: Field::Type },
    Key { name: "io.kubernetes.cri.sandbox-id", field: Field::SandboxId },
    Key { name: "io.kubernetes.cri.sandbox-name", field: Field::PodName },
    Key { name: "io.kubernetes.cri.sandbox-namespace", field: Field::PodNamespace },
    Key { name: "io.kubernetes.cri.sandbox-uid", field: Field::PodUid },
];

const CRI_O: &[Key] = &[
    Key { name: "io.kubernetes.cri-o.ContainerType", field: Field::Type },
    Key { name: "io.kubernetes.cri-o.SandboxID", field: Field::SandboxId },
    Key { name: "io.kubernetes.cri-o.KubeName", field: Field::PodName },
    Key { name: "io.kubernetes.cri-o.Namespace", field: Field::PodNamespace },
    Key { name: "io.kubernetes.cri-o.SandboxName", field: Field::LongName },
];

const DOCKERSHIM: &[Key] = &[
    Key { name: "io.kubernetes.docker.type", field: Field::Type },
    Key { name: "io.kubernetes.sandbox.id", field: Field::SandboxId },
];

/// A container's identity as berth vouches for it.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// Sandbox or member; [`Role::Standalone`] has no identity to write.
    pub role: Role,
    /// The sandbox it is or joins.
    pub sandbox: &'a SandboxId,
    /// Its pod.
    pub pod: &'a PodRef,
}

impl Dialect {
    /// Every dialect berth recognises.
    pub const ALL: [Self; 4] = [Self::Ocid, Self::Containerd, Self::CriO, Self::Dockershim];

    /// The name used in configuration and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ocid => "ocid",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Dockershim => "dockershim",
        }
    }

    /// The dialect of that name, if it is one that berth writes.
    #[must_use]
    pub fn writable(name: &str) -> Option<Self> {
        [Self::Ocid, Self::Containerd, Self::CriO].into_iter().find(|dialect| dialect.as_str() == name)
    }

    /// Whether `engine` itself speaks it.
    #[must_use]
    pub fn is_of(self, engine: Engine) -> bool {
        matches!((self, engine), (Self::Containerd, Engine::Containerd) | (Self::CriO, Engine::CriO | Engine::Podman))
    }

    /// Its keys.
    #[must_use]
    pub fn keys(self) -> &'static [Key] {
        match self {
            Self::Ocid => OCID,
            Self::Containerd => CONTAINERD,
            Self::CriO => CRI_O,
            Self::Dockershim => DOCKERSHIM,
        }
    }

    /// The value `field` must have in this dialect; `None` where berth does not know it.
    #[must_use]
    pub fn value<'a>(self, field: Field, identity: &Identity<'a>) -> Option<&'a str> {
        let known = |text: &'a str| (!text.is_empty()).then_some(text);
        match field {
            Field::Type if self == Self::Dockershim && identity.role == Role::Sandbox => Some("podsandbox"),
            Field::Type => identity.role.container_type(),
            Field::SandboxId => Some(identity.sandbox.as_str()),
            Field::PodName => known(&identity.pod.name),
            Field::PodNamespace => known(&identity.pod.namespace),
            Field::PodUid => known(&identity.pod.uid),
            Field::LongName => None,
        }
    }

    /// Whether a `value` found under a key for `field` is what this identity says. What it does not say, such as the name
    /// of a pod of podman, is nobody's word but an author's.
    #[must_use]
    pub fn agrees(self, field: Field, value: &str, identity: &Identity<'_>) -> bool {
        if field == Field::LongName {
            let PodRef { namespace, name, uid } = identity.pod;
            return value.starts_with(&format!("k8s_{name}_{namespace}_{uid}_"));
        }
        value == self.value(field, identity).unwrap_or_default()
    }
}

/// The dialect and key a name belongs to, if it is an identity key of any dialect.
#[must_use]
pub fn identity_key(name: &str) -> Option<(Dialect, Key)> {
    Dialect::ALL
        .into_iter()
        .flat_map(|dialect| dialect.keys().iter().map(move |key| (dialect, *key)))
        .find(|(_, key)| key.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_writable_dialect_has_type_and_id_and_no_key_belongs_to_two() {
        let mut seen = std::collections::BTreeSet::new();
        for dialect in Dialect::ALL {
            for field in [Field::Type, Field::SandboxId] {
                assert_eq!(dialect.keys().iter().filter(|key| key.field == field).count(), 1, "{dialect:?} {field:?}");
            }
            assert!(dialect.keys().iter().all(|key| seen.insert(key.name)), "{dialect:?}");
        }
    }

    #[test]
    fn a_key_leads_back_to_its_dialect() {
        let (dialect, key) = identity_key("io.kubernetes.cri-o.SandboxID").expect("known");
        assert_eq!((dialect, key.field), (Dialect::CriO, Field::SandboxId));
        assert!(identity_key("io.kubernetes.cri.image-name").is_none());
    }

    #[test]
    fn what_the_engine_does_not_say_is_agreed_with_by_nothing() {
        let sandbox = SandboxId::try_from("abc").expect("id");
        let identity = Identity { role: Role::Sandbox, sandbox: &sandbox, pod: &PodRef::default() };
        for field in [Field::PodName, Field::PodNamespace, Field::PodUid] {
            assert!(!Dialect::Containerd.agrees(field, "kube-system", &identity), "{field:?}");
            assert!(Dialect::Containerd.agrees(field, "", &identity), "{field:?}");
        }
    }

    #[test]
    fn the_long_name_is_checked_by_its_parts() {
        let pod = PodRef { namespace: "ns".into(), name: "web".into(), uid: "u1".into() };
        let sandbox = SandboxId::try_from("abc").expect("id");
        let identity = Identity { role: Role::Sandbox, sandbox: &sandbox, pod: &pod };
        assert!(Dialect::CriO.agrees(Field::LongName, "k8s_web_ns_u1_0", &identity));
        assert!(!Dialect::CriO.agrees(Field::LongName, "k8s_other_ns_u1_0", &identity));
    }
}
