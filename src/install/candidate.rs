//! The configuration as it would be, in a directory of its own, read by the engine's own parser before anything goes live.

use super::InstallError;
use super::site::{Site, matches};
use crate::engine::edit::{self, Change, Wrap, covers, patterns};
use crate::engine::{Candidate, Effective, EngineError, Host, Kind};
use crate::fsutil::FileError;
use std::path::{Path, PathBuf};
use toml_edit::{Array, DocumentMut, value};

/// Has the engine read what would be, and compares what it makes of it with what is meant.
///
/// # Errors
/// The engine does not take it, or it would mean something else.
pub(super) fn validate(
    host: &Host,
    site: &Site,
    changes: &[Change],
    wraps: &[Wrap],
    state: &Path,
) -> Result<(), InstallError> {
    let inside = |error: std::io::Error| InstallError::File(FileError::new("make a directory in", state)(error));
    let dir = host.path(state).map_err(inside)?;
    // It goes when this function ends; what a killed process leaves has the name that `sweep` knows.
    let dir = tempfile::Builder::new().prefix(super::work::PREFIX).tempdir_in(dir).map_err(inside)?;
    let name = dir.path().file_name().unwrap_or_default();
    let files = Files { host, site, changes, inside: state.join(name), outside: dir.path() };
    let printed = match site.engine.kind {
        Kind::Containerd => files.containerd()?,
        Kind::CriO => files.crio()?,
    };
    let drop_ins = site.engine.drop_ins.as_ref().map(|_| files.inside.join("conf.d"));
    let candidate =
        Candidate { config: &printed, drop_ins: drop_ins.as_deref().filter(|_| site.engine.kind == Kind::CriO) };
    let after = Effective::print(host, &site.engine, candidate)
        .map_err(|source| InstallError::Refused { engine: site.engine.kind.as_str(), source })?;
    edit::verify(&site.input, &after, wraps).map_err(InstallError::Verify)
}

struct Files<'a> {
    host: &'a Host,
    site: &'a Site,
    changes: &'a [Change],
    /// The directory as the engine sees it, and as it is seen here.
    inside: PathBuf,
    outside: &'a Path,
}

impl Files<'_> {
    /// A root file whose imports lead to what would be there: those that lead to a changed file into this directory, all
    /// others where they have always led.
    fn containerd(&self) -> Result<PathBuf, InstallError> {
        let root = &self.site.input.root;
        let text = self.text(&root.path)?.unwrap_or_default();
        let mut document: DocumentMut =
            text.parse().map_err(|error| EngineError::unreadable(root.path.display().to_string(), &error))?;
        let mut imports = Array::new();
        for (at, pattern) in patterns(&root.path, &text)?.into_iter().enumerate() {
            let changed = self.changes.iter().any(|change| change.path != root.path && covers(&pattern, &change.path));
            imports.push(if changed { self.copies(at, &pattern)? } else { pattern.display().to_string() });
        }
        if document.get("imports").is_some() {
            document["imports"] = value(imports);
        }
        self.write("config.toml", &document.to_string())?;
        Ok(self.inside.join("config.toml"))
    }

    /// What a pattern would lead to, as a pattern that leads to copies in the same order.
    fn copies(&self, at: usize, pattern: &Path) -> Result<String, InstallError> {
        let name = format!("import{at}");
        self.dir(&name)?;
        let mut paths = matches(self.host, pattern)?;
        paths.extend(self.changes.iter().map(|change| change.path.clone()).filter(|path| covers(pattern, path)));
        paths.sort();
        paths.dedup();
        for (number, path) in paths.iter().enumerate() {
            if let Some(text) = self.text(path)? {
                self.write(&format!("{name}/{number:04}.toml"), &text)?;
            }
        }
        Ok(self.inside.join(name).join("*.toml").display().to_string())
    }

    fn crio(&self) -> Result<PathBuf, InstallError> {
        let input = &self.site.input;
        self.write("crio.conf", &self.text(&input.root.path)?.unwrap_or_default())?;
        self.dir("conf.d")?;
        let mut paths: Vec<_> = input.others.iter().map(|file| file.path.clone()).collect();
        paths.extend(self.changes.iter().map(|change| change.path.clone()).filter(|path| *path != input.root.path));
        paths.sort();
        paths.dedup();
        for (number, path) in paths.iter().enumerate() {
            if let Some(text) = self.text(path)? {
                self.write(&format!("conf.d/{number:04}.conf"), &text)?;
            }
        }
        Ok(self.inside.join("crio.conf"))
    }

    /// What the file would be.
    fn text(&self, path: &Path) -> Result<Option<String>, FileError> {
        match self.changes.iter().find(|change| change.path == path) {
            Some(change) => Ok(change.after.clone()),
            None => self.host.read(path),
        }
    }

    fn write(&self, name: &str, text: &str) -> Result<(), FileError> {
        let path = self.outside.join(name);
        crate::fsutil::replace_file(&path, text.as_bytes())
    }

    fn dir(&self, name: &str) -> Result<(), FileError> {
        let path = self.outside.join(name);
        std::fs::create_dir(&path).map_err(FileError::new("make directory", &path))
    }
}
