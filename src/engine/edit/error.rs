//! Why no change can be planned. Each says what to do about it.

use super::Toml;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Nothing is planned.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EditError {
    /// A file that is not TOML.
    #[error("{}: line {line}, column {column}: {message}; repair the file first, the engine cannot read it either", path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// The parser's.
        message: String,
    },
    /// The engine's account of its configuration is not TOML.
    #[error("the engine's own account of its configuration: line {line}: {message}")]
    Dump {
        /// From 1.
        line: usize,
        /// The parser's.
        message: String,
    },
    /// There is no such handler.
    #[error("there is no runtime handler {handler:?}; there is {known}")]
    UnknownHandler {
        /// What was asked for.
        handler: String,
        /// What there is, separated by commas.
        known: String,
    },
    /// Not a name that a `RuntimeClass` can have as its handler.
    #[error(
        "{name:?} cannot be a runtime handler: take up to 63 lower-case letters, digits and dashes, with a letter or \
         digit at each end"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// Two new handlers of one name.
    #[error("two new runtime handlers are to be called {name:?}")]
    Twice {
        /// The name.
        name: String,
    },
    /// A handler of this name exists and is not berth's.
    #[error("there is a runtime handler {name:?} already, and berth did not make it{}; take another name", place(path.as_deref()))]
    NameTaken {
        /// The name.
        name: String,
        /// Where it is declared, if in a file.
        path: Option<PathBuf>,
    },
    /// berth would stand before itself.
    #[error("runtime handler {handler:?} goes through berth already: wrap the one behind it")]
    Loop {
        /// The handler.
        handler: String,
    },
    /// berth cannot stand in front of this handler in this way.
    #[error("runtime handler {handler:?} has {has}: {instead}")]
    Unfit {
        /// The handler.
        handler: String,
        /// The setting that is in the way.
        has: String,
        /// What to do.
        instead: &'static str,
    },
    /// The engine takes a `runtime_path` and does nothing with it.
    #[error(
        "containerd {version} reads runtime_path and does nothing with it: update to 1.6.21, 1.7.1 or newer, or wrap an \
         OCI runtime by BinaryName"
    )]
    TooOld {
        /// The engine's version.
        version: String,
    },
    /// A configuration in the words of version 1.
    #[error("{}: line {line}: {}", path.display(), old_words(*.declared))]
    Version1 {
        /// The file.
        path: PathBuf,
        /// Where `version` is, or should be.
        line: usize,
        /// Whether the file says `version = 1`, and not nothing.
        declared: bool,
    },
    /// `imports` of another type.
    #[error("{}: line {line}: imports is not an array of strings", path.display())]
    Imports {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// What is at the place of berth's own file is not berth's.
    #[error("{}: was not written by berth: move it away, or put berth's file elsewhere", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A begin without its end.
    #[error("{}: line {line}: the end of what berth has written here is missing: put {end:?} below it", path.display())]
    Unended {
        /// The file.
        path: PathBuf,
        /// Where it begins, from 1.
        line: usize,
        /// The line that is missing.
        end: &'static str,
    },
    /// A file that replaces the section that would be edited.
    #[error(
        "{}: replaces the section of the CRI that {} has, as imported files do in containerd before 2.0: bring the two \
         together in one file first",
        by.display(), path.display()
    )]
    Shadowed {
        /// The file that would be edited.
        path: PathBuf,
        /// The one that counts.
        by: PathBuf,
    },
    /// The CRI is off.
    #[error("disabled_plugins has {plugin:?}: this containerd serves no Kubernetes; take it out of the list first")]
    NoCri {
        /// As it is written there.
        plugin: String,
    },
    /// The addition does not fit into the file.
    #[error(
        "{}: nothing can be added to what is there: {message}; write plugins and runtimes as tables of their own, \
         [plugins.…], and not inline or with dots",
        path.display()
    )]
    NoRoom {
        /// The file.
        path: PathBuf,
        /// Why.
        message: String,
    },
}

impl EditError {
    /// A file that does not parse.
    pub(super) fn not_toml(path: &Path, text: &str, error: &toml_edit::TomlError) -> Self {
        let (line, column) = position(text, error);
        Self::NotToml { path: path.to_owned(), line, column, message: first_line(error) }
    }

    /// A dump that does not parse.
    pub(super) fn dump(text: &str, error: &toml_edit::TomlError) -> Self {
        Self::Dump { line: position(text, error).0, message: first_line(error) }
    }

    /// An `imports` at this place that is not what it should be.
    pub(super) fn imports(file: &Toml<'_>, at: usize) -> Self {
        Self::Imports { path: file.path.to_owned(), line: line(file.text, at) }
    }
}

/// The line of an offset, from 1.
pub(super) fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

fn position(text: &str, error: &toml_edit::TomlError) -> (usize, usize) {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let start = text.as_bytes()[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    (line(text, at), String::from_utf8_lossy(&text.as_bytes()[start..at]).chars().count() + 1)
}

fn first_line(error: &toml_edit::TomlError) -> String {
    error.message().lines().next().unwrap_or_default().to_owned()
}

fn place(path: Option<&Path>) -> String {
    path.map(|path| format!(" ({})", path.display())).unwrap_or_default()
}

fn old_words(declared: bool) -> &'static str {
    if declared {
        "version = 1 is read in the words of containerd 1.2: `containerd config migrate` prints it in today's"
    } else {
        "without a version it is read in the words of containerd 1.2: put `version = 2` here if the sections below are \
         called like plugins.\"io.containerd.grpc.v1.cri\", else take what `containerd config migrate` prints"
    }
}
