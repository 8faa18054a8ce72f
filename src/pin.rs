//! The name of a pin: the one key under which its mount, its record and its lock are found.

use crate::identity::{IdError, SandboxId, Scope};
use std::fmt;

/// Every pin's file name starts with this, so what is berth's is told from what is not by name alone.
pub const PREFIX: &str = "berth-";

/// The file name of a pin: `berth-<sandbox id>`, and outside the CRI `berth-<id>-<8 hex digits of the scope>`.
/// Holds: one path component, no hidden one, at most 143 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinName(Box<str>);

impl PinName {
    /// The name of the pin of `sandbox`.
    #[must_use]
    pub fn new(scope: &Scope, sandbox: &SandboxId) -> Self {
        match scope.tag() {
            None => Self(format!("{PREFIX}{sandbox}").into()),
            Some(tag) => Self(format!("{PREFIX}{sandbox}-{tag:08x}").into()),
        }
    }

    /// The pin a file name stands for; `None` if it is not one of berth's.
    ///
    /// # Errors
    /// A name with berth's prefix that berth would never have made.
    pub fn parse(file_name: &str) -> Result<Option<Self>, IdError> {
        let Some(id) = file_name.strip_prefix(PREFIX) else { return Ok(None) };
        SandboxId::try_from(id).map(|_| Some(Self(file_name.into())))
    }

    /// The file name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PinName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Engine;

    #[test]
    fn names_of_equal_ids_differ_between_scopes() {
        let id = SandboxId::try_from("abc").expect("id");
        let cri = PinName::new(&Scope::cri(Engine::Containerd), &id);
        let ctr = PinName::new(&Scope { engine: Engine::Containerd, root: "default".into() }, &id);
        assert_eq!(cri.as_str(), "berth-abc");
        assert!(ctr.as_str().starts_with("berth-abc-") && ctr.as_str().len() == "berth-abc-".len() + 8);
        assert_eq!(PinName::parse(ctr.as_str()), Ok(Some(ctr)));
    }

    #[test]
    fn what_is_not_berths_is_told_by_name() {
        assert_eq!(PinName::parse("cni-1234"), Ok(None));
        assert!(PinName::parse("berth-").is_err());
        assert!(PinName::parse("berth-../x").is_err());
    }
}
