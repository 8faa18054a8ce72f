//! The name of a pin: the one key under which its mount, its record and its lock are found.
//!
//! A [`PinName`] is one component of a path by construction: it cannot escape the directory.

use crate::identity::{SandboxId, Scope};
use std::fmt;

/// What every pin's file name begins with, so that a file's owner is certain.
const PREFIX: &str = "berth-";
/// The longest id. With prefix and scope the name stays well below NAME_MAX (255).
const MAX_ID: usize = 128;
/// `-` and eight hex digits.
const SCOPE_LEN: usize = 9;

/// The file name of a pin: `berth-<id>` or `berth-<id>-<8 hex digits of the scope>`.
///
/// Holds: the id is 1 to 128 characters, the first of `[A-Za-z0-9]`, the others of `[A-Za-z0-9_.-]`. So the name has no
/// slash, is neither `.` nor `..`, is printable and fits into a directory entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PinName(String);

/// Why a string is not the id of a pin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// No character at all.
    #[error("pin id: is empty")]
    Empty,
    /// More characters than an id may have.
    #[error("pin id: has {0} bytes, at most {MAX_ID} are allowed")]
    TooLong(usize),
    /// A character that an id may not contain, or not at its start.
    #[error("pin id {id:?}: character {bad:?} is not allowed at position {at}")]
    Character {
        /// The string that was refused.
        id: String,
        /// The first offending character.
        bad: char,
        /// Its byte position.
        at: usize,
    },
    /// A file name that does not begin with the prefix of pins.
    #[error("file name {0:?}: does not begin with {PREFIX:?}")]
    Prefix(String),
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

    /// The name of the pin of `id`.
    ///
    /// # Errors
    /// [`NameError`] when `id` is not made as the type demands.
    pub fn new(id: &str) -> Result<Self, NameError> {
        check(id, MAX_ID)?;
        Ok(Self(format!("{PREFIX}{id}")))
    }

    /// The name of the pin of `id` where ids are unique within `scope` only.
    ///
    /// An id that itself ends in `-` and eight hex digits can meet a scoped one; engines' ids have no dash.
    ///
    /// # Errors
    /// As [`PinName::new`].
    pub fn scoped(id: &str, scope: u32) -> Result<Self, NameError> {
        check(id, MAX_ID)?;
        Ok(Self(format!("{PREFIX}{id}-{scope:08x}")))
    }

    /// Reads a file name back, as a directory listing gives it. Whether it carries a scope is not looked at.
    ///
    /// # Errors
    /// [`NameError::Prefix`] for names that are none of berth's, the others for names that berth cannot have written.
    pub fn parse(file_name: &str) -> Result<Self, NameError> {
        let rest = file_name.strip_prefix(PREFIX).ok_or_else(|| NameError::Prefix(file_name.to_owned()))?;
        check(rest, MAX_ID + SCOPE_LEN)?;
        Ok(Self(file_name.to_owned()))
    }

    /// The file name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for PinName {
    type Error = NameError;

    fn try_from(id: &str) -> Result<Self, NameError> {
        Self::new(id)
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

fn check(id: &str, max: usize) -> Result<(), NameError> {
    if id.is_empty() {
        return Err(NameError::Empty);
    }
    if id.len() > max {
        return Err(NameError::TooLong(id.len()));
    }
    match id.char_indices().find(|&(at, c)| !allowed(at, c)) {
        None => Ok(()),
        Some((at, bad)) => Err(NameError::Character { id: id.to_owned(), bad, at }),
    }
}

fn allowed(at: usize, c: char) -> bool {
    c.is_ascii_alphanumeric() || (at > 0 && matches!(c, '_' | '.' | '-'))
}

#[cfg(test)]
mod tests;
