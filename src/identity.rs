//! Who a container is: the words every layer uses for engines, sandboxes and pods.
//!
//! Values that become part of a path or of an answer to a runtime exist only as types built by `TryFrom`,
//! so what holds for them is checked once, at the edge. No I/O.

use std::fmt;

/// Longest id accepted. Engines use 64 hex digits; containerd's own identifiers end at 76 characters.
pub const MAX_ID_LEN: usize = 128;

/// Why a string is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing was given.
    #[error("{what} is empty")]
    Empty {
        /// Which id.
        what: &'static str,
    },
    /// Longer than accepted.
    #[error("{what} has {len} characters, at most {most} are accepted")]
    TooLong {
        /// Which id.
        what: &'static str,
        /// Its length in bytes.
        len: usize,
        /// How long it may be.
        most: usize,
    },
    /// A character that could leave a directory, break a line, or start a hidden name.
    #[error(
        "{what} {id:?} has {found:?} at position {at}: letters, digits, '_', '.', '-' are accepted, the first a letter or digit"
    )]
    BadCharacter {
        /// Which id.
        what: &'static str,
        /// The offending text.
        id: String,
        /// The character.
        found: char,
        /// Its index in characters.
        at: usize,
    },
}

/// Checks that `id` is what engines' ids are made of, and no longer than `most`.
pub(crate) fn check_id(what: &'static str, id: &str, most: usize) -> Result<(), IdError> {
    if id.is_empty() {
        return Err(IdError::Empty { what });
    }
    if id.len() > most {
        return Err(IdError::TooLong { what, len: id.len(), most });
    }
    let bad = id
        .chars()
        .enumerate()
        .find(|(at, c)| !(c.is_ascii_alphanumeric() || (*at > 0 && matches!(c, '_' | '.' | '-'))));
    match bad {
        None => Ok(()),
        Some((at, found)) => Err(IdError::BadCharacter { what, id: id.to_owned(), found, at }),
    }
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The id as the engine wrote it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = IdError;

            fn try_from(id: &str) -> Result<Self, IdError> {
                check_id($what, id, MAX_ID_LEN)?;
                Ok(Self(id.into()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id_type! {
    /// The id the engine gave a pod sandbox. Holds: usable as a part of a file name.
    SandboxId, "sandbox id"
}
/// The Kubernetes pod, as the engine knows it. Free text: quoted wherever it is printed, never part of a path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct PodRef {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Pod name.
    pub name: String,
    /// Pod uid.
    pub uid: String,
}

impl fmt::Display for PodRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The container engine on whose behalf a door was entered. Configured or told by the handshake, never
/// guessed from a specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    /// containerd.
    Containerd,
    /// CRI-O.
    CriO,
    /// podman.
    Podman,
    /// None that berth knows: nothing in a specification is trusted.
    Other,
}

impl Engine {
    /// The name used in records, configuration and logs; NRI reports the first two by the same names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
            Self::Other => "none",
        }
    }

    /// The engine of that name; any other name is [`Engine::Other`].
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "containerd" => Self::Containerd,
            "cri-o" => Self::CriO,
            "podman" => Self::Podman,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where an id is unique: the engine and its namespace (containerd) or root directory (OCI runtimes).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The engine.
    pub engine: Engine,
    /// containerd's namespace, an OCI runtime's root, empty where the engine has neither.
    pub root: String,
}

/// containerd's namespace for what the CRI creates.
pub const CONTAINERD_CRI_NAMESPACE: &str = "k8s.io";

impl Scope {
    /// The scope in which `engine` creates what the CRI asks for. There is one per node and engine, so ids in
    /// it need no further name.
    #[must_use]
    pub fn cri(engine: Engine) -> Self {
        let root = if engine == Engine::Containerd { CONTAINERD_CRI_NAMESPACE } else { "" };
        Self { engine, root: root.to_owned() }
    }

    /// What distinguishes names made outside the CRI: 32 bits of the scope; `None` inside it.
    #[must_use]
    pub fn tag(&self) -> Option<u32> {
        let is_cri = matches!(self.engine, Engine::Containerd | Engine::CriO) && *self == Self::cri(self.engine);
        (!is_cri).then(|| {
            let wide = fnv1a(format!("{}\0{}", self.engine, self.root).as_bytes()).to_be_bytes();
            u32::from_be_bytes([wide[0] ^ wide[4], wide[1] ^ wide[5], wide[2] ^ wide[6], wide[3] ^ wide[7]])
        })
    }
}

/// What a created thing is to the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The pod's sandbox: the runtime boots here.
    Sandbox,
    /// A container that joins an existing sandbox.
    Member,
    /// Neither: docker, nerdctl, ctr. Never stamped.
    Standalone,
}

impl Role {
    /// The value of the container type annotation, where there is one to write.
    #[must_use]
    pub fn container_type(self) -> Option<&'static str> {
        match self {
            Self::Sandbox => Some("sandbox"),
            Self::Member => Some("container"),
            Self::Standalone => None,
        }
    }
}

/// FNV-1a, 64 bits: a name for a text that is the same in every build. Not for anything an adversary chooses.
#[must_use]
pub const fn fnv1a(bytes: &[u8]) -> u64 {
    let (mut hash, mut rest) = (0xcbf2_9ce4_8422_2325, bytes);
    while let [byte, tail @ ..] = rest {
        hash = (hash ^ *byte as u64).wrapping_mul(0x0000_0100_0000_01b3);
        rest = tail;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_leave_a_directory_are_refused() {
        for bad in ["", ".", "..", "../x", "a/b", "-a", "_a", "a b", "a\nb", "a\0b", "ä", &"a".repeat(300)] {
            assert!(SandboxId::try_from(bad).is_err(), "{bad:?}");
        }
        for good in ["a", "0", "a.b", "a-b_c.d", &"f".repeat(64), &"a".repeat(MAX_ID_LEN)] {
            assert_eq!(SandboxId::try_from(good).expect(good).as_str(), good);
        }
    }

    #[test]
    fn a_refused_id_is_named_with_its_character() {
        let error = SandboxId::try_from("ab/c").expect_err("slash");
        assert!(error.to_string().contains("sandbox id \"ab/c\" has '/' at position 2"), "{error}");
    }

    #[test]
    fn only_scopes_outside_the_cri_have_a_tag() {
        assert_eq!(Scope::cri(Engine::Containerd).tag(), None);
        assert_eq!(Scope::cri(Engine::CriO).tag(), None);
        let ctr = Scope { engine: Engine::Containerd, root: "default".into() };
        let moby = Scope { engine: Engine::Containerd, root: "moby".into() };
        assert!(ctr.tag().is_some());
        assert_ne!(ctr.tag(), moby.tag());
        assert!(Scope { engine: Engine::Other, root: "/run/runc".into() }.tag().is_some());
    }

    #[test]
    fn fnv1a_is_the_published_function() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
    }
}
