//! The name of a pin: the one key under which its mount, its record and its lock are found.
//!
//! A [`PinName`] is one component of a path by construction: it cannot escape the directory.

use crate::identity::{IdError, MAX_ID_LEN, SandboxId, Scope, check_id};
use std::fmt;

/// What every pin's file name begins with, so that a file's owner is certain.
const PREFIX: &str = "berth-";
/// `-` and eight hex digits.
const SCOPE_LEN: usize = 9;

/// The file name of a pin: `berth-<id>` or `berth-<id>-<8 hex digits of the scope>`.
///
/// Holds: the id is 1 to 128 characters, the first of `[A-Za-z0-9]`, the others of `[A-Za-z0-9_.-]`. So the name has no
/// slash, is neither `.` nor `..`, is printable and fits into a directory entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PinName(String);

/// Why a file name is not a pin's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It does not begin with the prefix of pins: somebody else's.
    #[error("file name {0:?}: does not begin with {PREFIX:?}")]
    Prefix(String),
    /// What follows is nothing that berth would have written.
    #[error(transparent)]
    Id(#[from] IdError),
}

impl PinName {
    /// The name of the pin of `sandbox`: its id, and outside the CRI the scope in which the id is unique.
    #[must_use]
    pub fn of(scope: &Scope, sandbox: &SandboxId) -> Self {
        match scope.tag() {
            None => Self(format!("{PREFIX}{sandbox}")),
            Some(tag) => Self(format!("{PREFIX}{sandbox}-{tag:08x}")),
        }
    }

    /// Reads a file name back, as a directory listing gives it. Whether it carries a scope is not looked at.
    ///
    /// # Errors
    /// [`NameError::Prefix`] for names that are none of berth's, [`NameError::Id`] for those berth cannot have written.
    pub fn parse(file_name: &str) -> Result<Self, NameError> {
        let rest = file_name.strip_prefix(PREFIX).ok_or_else(|| NameError::Prefix(file_name.to_owned()))?;
        check_id("pin id", rest, MAX_ID_LEN + SCOPE_LEN)?;
        Ok(Self(file_name.to_owned()))
    }

    /// What follows the prefix: the sandbox's id, and its scope where that is told.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.strip_prefix(PREFIX).unwrap_or(&self.0)
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

/// Whether a file name claims to be a pin's, well-formed or not.
#[must_use]
pub fn claims(file_name: &str) -> bool {
    file_name.starts_with(PREFIX)
}

#[cfg(test)]
mod tests;
