//! What is berth's own in the engine's configuration, held against the record: whoever has written into it since is to
//! lose nothing by it, and nobody is left with a handler that leads through a program that goes.

use super::InstallError;
use super::object::hash;
use super::record::{Record, Role};
use super::site::Site;
use crate::engine::edit::{self, Change, Input};
use crate::engine::{Host, Kind};
use crate::fsutil::FileError;

/// The hash of berth's own text as these changes leave it; none where there is none.
///
/// # Errors
/// As [`edit::own`].
pub(super) fn after(site: &Site, changes: &[Change]) -> Result<Option<String>, InstallError> {
    let input = site.input.with(changes);
    Ok(edit::own(&input)?.1.map(|text| hash(text.as_bytes())))
}

/// berth's own text is as it was written, or gone.
///
/// # Errors
/// Somebody has changed it.
pub(super) fn check(input: &Input, record: &Record) -> Result<(), InstallError> {
    let (path, text) = edit::own(input)?;
    let edited = match text {
        Some(text) => !record.own.contains(&hash(text.as_bytes())),
        // There is a file, and its first line does not say any more whose it is.
        None => path == input.dropin.path && input.dropin.text.is_some(),
    };
    if edited && !record.own.is_empty() { Err(InstallError::Edited { path: path.to_owned() }) } else { Ok(()) }
}

/// berth's own text is there as it was written, and the engine will read it at its next start; else why not. Of the
/// operator's own lines nothing is asked.
///
/// # Errors
/// A file cannot be parsed.
pub(super) fn missing(host: &Host, input: &Input, record: &Record) -> Result<Option<String>, InstallError> {
    let (path, text) = edit::own(input)?;
    let Some(text) = text else { return Ok(Some(format!("{} does not have berth's lines any more", path.display()))) };
    if !record.own.contains(&hash(text.as_bytes())) {
        return Ok(Some(format!("berth's lines in {} were changed", path.display())));
    }
    let root = &input.root;
    // Where berth did not change the root file, somebody else's import leads to it. A link was changed where it leads to.
    let changed = host.resolve(&root.path).map_err(FileError::new("look at", &root.path))?;
    let imports = input.kind == Kind::Containerd && path == input.dropin.path && record.item(&changed).is_some();
    let patterns = edit::patterns(&root.path, root.text.as_deref().unwrap_or_default())?;
    let is_read = !imports || patterns.iter().any(|pattern| edit::covers(pattern, path));
    Ok((!is_read).then(|| format!("{} does not import {} any more", root.path.display(), path.display())))
}

/// No handler but berth's own leads through what berth has put there.
///
/// # Errors
/// Those that do.
pub(super) fn check_alone(site: &Site, record: &Record) -> Result<(), InstallError> {
    let own = edit::owned(&site.input)?;
    let ours = |path: &std::path::PathBuf| {
        let name = record.item(path).is_some_and(|item| item.role == Role::Name);
        name || record.handlers.iter().any(|handler| handler.interposer == *path)
    };
    let others = site.effective.handlers.iter().filter(|(name, _)| !own.contains(name));
    let others =
        others.filter(|(_, handler)| [&handler.runtime_path, &handler.binary_name].into_iter().flatten().any(ours));
    let names: Vec<_> = others.map(|(name, _)| name.clone()).collect();
    if names.is_empty() { Ok(()) } else { Err(InstallError::StillConfigured(names)) }
}
