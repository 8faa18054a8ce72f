//! What berth would write into an engine's configuration, and take out of it. Pure.
//!
//! One new runtime handler per [`Wrap`], with every setting of the one it stands beside, and berth in front. The default
//! runtime is never touched.
//!
//! ```text
//! containerd 2   a file of berth's own below conf.d, and an import of it in the root file
//! before 2       the root file itself, between two marked lines: there a file of conf.d replaces whole sections. Where
//!                the engine has become a 2 since, these lines go
//! CRI-O          a file of berth's own below crio.conf.d
//! ```
//!
//! Files are edited by inserting and cutting text, never by writing what was parsed: outside of berth's own pieces every
//! byte stays. The pieces are told by themselves (the own file by its first line, the import by its pattern, the block by
//! its markers), so that they are found again without a record. Adding and taking out again gives the bytes of before.

mod cri;
mod crio;
mod diff;
mod dropin;
mod error;
mod handler;
mod imports;
mod inplace;
mod made;
mod node;
mod splice;
mod stanza;
#[cfg(test)]
mod tests;
mod verify;

pub use error::EditError;
pub use imports::{covers, patterns};
pub use stanza::{Stanza, stanza};
pub use verify::verify;

use super::Kind;
use std::path::{Path, PathBuf};
use toml_edit::Document;

/// The first line of every file that is berth's alone.
const OWN: &str = "# Written by berth install, and removed by berth uninstall. Not to be edited.";

/// A file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Where the engine has it: without the root directory through which berth may see it.
    pub path: PathBuf,
    /// What is in it; `None`: there is none.
    pub text: Option<String>,
}

/// What was read of an engine's configuration.
#[derive(Debug, Clone)]
pub struct Input {
    /// Which engine it is.
    pub kind: Kind,
    /// Its version: major, minor, patch. For containerd alone it makes a difference.
    pub version: (u64, u64, u64),
    /// containerd's `config.toml`, CRI-O's `crio.conf`.
    pub root: Snapshot,
    /// Every other file that the engine reads, in the order in which it reads them. For containerd those that [`patterns`]
    /// of the root file lead to, and then those that their own do; for CRI-O all files below `crio.conf.d`. Our own may be among them.
    pub others: Vec<Snapshot>,
    /// berth's own file. Its directory is one that the engine reads, or that an import can be added for. Not used for
    /// containerd before 2.0.
    pub dropin: Snapshot,
    /// What the engine makes of all of it: `containerd config dump`, `crio config`.
    pub dump: String,
}

/// What is wrapped: an existing handler by name, the new handler's name, and how berth stands in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrap {
    /// The existing one.
    pub handler: String,
    /// The new one, such as `kata-berth`.
    pub new: String,
    /// How.
    pub by: By,
}

/// How berth stands in front. Both paths are absolute, as the engine sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// In the place of a containerd shim: containerd's `runtime_path`, and CRI-O's for handlers of type `vm`.
    ShimPath(PathBuf),
    /// In the place of an OCI runtime: `BinaryName` for containerd's runc shim, CRI-O's `runtime_path` for all others.
    BinaryName(PathBuf),
}

impl By {
    fn path(&self) -> &Path {
        match self {
            Self::ShimPath(path) | Self::BinaryName(path) => path,
        }
    }
}

/// One file as it is and as it should be. `None`: the file is not there, or is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where the engine has it.
    pub path: PathBuf,
    /// As it was read.
    pub before: Option<String>,
    /// As it should be.
    pub after: Option<String>,
}

impl Change {
    /// Is there anything to be done?
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.before != self.after
    }

    /// As `diff -u` would print it, `/dev/null` standing for a file that is not there. Empty if nothing is to be done.
    /// Values that look like credentials are left out: the lines around a change are the operator's.
    #[must_use]
    pub fn diff(&self) -> String {
        diff::unified(&self.path, self.before.as_deref(), self.after.as_deref())
    }
}

/// All changes to the engine's files that leave exactly these handlers of berth's in them, in the order in which they are
/// to be written; with none, everything of berth's is taken out. Files that stay as they are may be among them.
///
/// Holds: on its own result nothing more is needed, and taking out what was added to files that nobody else has changed
/// meanwhile gives back their bytes.
///
/// # Errors
///
/// The first thing that stands in the way; nothing is planned then.
pub fn changes(input: &Input, wraps: &[Wrap]) -> Result<Vec<Change>, EditError> {
    match input.kind {
        Kind::Containerd if input.is_in_place() => inplace::changes(input, wraps),
        Kind::Containerd => dropin::changes(input, wraps),
        Kind::CriO => crio::changes(input, wraps),
    }
}

/// The names of the handlers that berth has in these files already.
///
/// # Errors
///
/// A file of berth's that does not parse.
pub fn owned(input: &Input) -> Result<Vec<String>, EditError> {
    let mut names = if input.kind == Kind::Containerd { inplace::owned(input)? } else { Vec::new() };
    if !input.is_in_place() {
        names.extend(made::owned(input)?);
    }
    Ok(names)
}

/// What is berth's own in these files, and in which: the text of its file, or its lines in the root file. `None`: nothing,
/// or something that does not say that it is berth's.
///
/// # Errors
///
/// Lines of berth's that do not end.
pub fn own(input: &Input) -> Result<(&Path, Option<&str>), EditError> {
    let lines = if input.kind == Kind::Containerd { inplace::own_text(input)? } else { None };
    Ok(match lines {
        Some(lines) => (&input.root.path, Some(lines)),
        None if input.is_in_place() => (&input.root.path, None),
        None => (&input.dropin.path, made::own_text(input)),
    })
}

impl Input {
    /// The same files as these changes would leave them.
    #[must_use]
    pub fn with(&self, changes: &[Change]) -> Self {
        let mut input = self.clone();
        for change in changes {
            let files = [&mut input.root, &mut input.dropin].into_iter().chain(&mut input.others);
            files.filter(|file| file.path == change.path).for_each(|file| file.text.clone_from(&change.after));
        }
        input
    }

    /// Is the root file itself edited?
    fn is_in_place(&self) -> bool {
        self.kind == Kind::Containerd && self.version.0 < 2
    }

    /// The files that are not berth's own, in the order in which the engine reads them.
    fn files(&self) -> impl Iterator<Item = (&Path, &str)> {
        let files = std::iter::once(&self.root).chain(&self.others).filter(|file| file.path != self.dropin.path);
        files.filter_map(|file| Some((file.path.as_path(), file.text.as_deref()?)))
    }
}

impl Snapshot {
    fn becomes(&self, after: Option<String>) -> Change {
        Change { path: self.path.clone(), before: self.text.clone(), after }
    }
}

/// A file of TOML, with the places of what is in it.
struct Toml<'a> {
    path: &'a Path,
    text: &'a str,
    document: Document<&'a str>,
}

impl<'a> Toml<'a> {
    fn read(path: &'a Path, text: &'a str) -> Result<Self, EditError> {
        let document = Document::parse(text).map_err(|error| EditError::not_toml(path, text, &error))?;
        Ok(Self { path, text, document })
    }

    fn node(&self) -> node::Node {
        node::Node::of(self.document.as_item())
    }

    /// Its `version`, if it is a number.
    fn version(&self) -> Option<i64> {
        self.document.get("version")?.as_integer()
    }

    /// The line of its `version`, from 1; without one, the first.
    fn version_line(&self) -> usize {
        let span = self.document.get("version").and_then(toml_edit::Item::span);
        span.map_or(1, |span| error::line(self.text, span.start))
    }
}
