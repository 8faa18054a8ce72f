//! The directory of plugins that the engine starts, and whom berth could get in the way of.
//!
//! containerd/nri `pkg/adaptation/adaptation.go` (discoverPlugins): whatever there is executable, by lstat(2), must be named
//! two digits, a dash and a name; else the engine's CRI does not start. A symbolic link is executable by its mode, wherever
//! it leads.

use super::{Node, daemon, nri};
use crate::finding::Finding;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub(super) const DIRECTORY: &str = "nri-plugin-directory";
pub(super) const OWN: &str = "nri-plugin-file";
pub(super) const CONFLICT: &str = "nri-plugin-conflict";

/// A file of the directory that the engine takes for a plugin, or would if it were executable.
#[derive(Debug)]
struct Entry {
    file: String,
    /// Index and name, if it is well named.
    named: Option<(String, String)>,
    executable: bool,
    /// The owner is root and nobody else may write.
    trusted: bool,
}

fn directory_of(node: &Node) -> Option<&Path> {
    node.effective().filter(|_| nri::is_on(node)).map(|effective| effective.nri.plugins.as_path())
}

/// `90-berth` as the engine reads it.
fn named(file: &str) -> Option<(String, String)> {
    let (index, name) = file.split_once('-')?;
    let good = index.len() == 2 && index.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| (index.to_owned(), name.to_owned()))
}

fn entries(node: &Node, dir: &Path) -> Result<Vec<Entry>, String> {
    let names = node.host.list(dir).map_err(|error| crate::exit::chain(&error))?.unwrap_or_default();
    let entry = |file: String| {
        let data = std::fs::symlink_metadata(node.here(dir).join(&file)).ok()?;
        (!data.is_dir()).then(|| Entry {
            named: named(&file),
            executable: data.mode() & 0o111 != 0,
            trusted: data.uid() == 0 && (data.is_symlink() || data.mode() & 0o022 == 0),
            file,
        })
    };
    Ok(names.into_iter().filter_map(entry).collect())
}

/// The files by which the engine starts berth.
pub(super) fn own_files(node: &Node) -> Vec<PathBuf> {
    let Some(dir) = directory_of(node) else { return Vec::new() };
    let own = |entry: &Entry| entry.named.as_ref().is_some_and(|(_, name)| *name == node.name);
    let entries = entries(node, dir).unwrap_or_default();
    entries.iter().filter(|entry| own(entry)).map(|entry| dir.join(&entry.file)).collect()
}

/// Nothing in it keeps the engine from starting, and only root decides what it starts.
pub(super) fn directory(node: &Node) -> Vec<Finding> {
    let Some(dir) = directory_of(node) else { return vec![Finding::skip(DIRECTORY, "NRI is not on")] };
    let shown = dir.display();
    let entries = match entries(node, dir) {
        Ok(entries) => entries,
        Err(why) if !node.privileges.root => return vec![Finding::skip(DIRECTORY, format!("{why}; run as root"))],
        Err(why) => return vec![Finding::fail(DIRECTORY, why, format!("make {shown} a directory of root's"))],
    };
    let mut found = Vec::new();
    if let Ok(Some(data)) = node.host.look(dir)
        && (data.uid() != 0 || data.mode() & 0o022 != 0)
    {
        let message = format!("{shown}: others than root can put plugins there, which the engine runs as root");
        found.push(Finding::fail(DIRECTORY, message, format!("chown root {shown} && chmod 755 {shown}")));
    }
    for entry in entries.iter().filter(|entry| entry.executable) {
        let path = dir.join(&entry.file);
        let path = path.display();
        if entry.named.is_none() {
            let message = format!("{path}: the engine does not start with an executable of such a name");
            let hint = format!(
                "remove it, or name it NN-name: two digits, a dash, a name; no editor's or package's copies in {shown}"
            );
            found.push(Finding::fail(DIRECTORY, message, hint));
        }
        if !entry.trusted {
            let message = format!("{path}: others than root can change it, and the engine runs it as root");
            found.push(Finding::fail(DIRECTORY, message, format!("chown root {path} && chmod 755 {path}")));
        }
    }
    if found.is_empty() {
        let count = entries.iter().filter(|entry| entry.executable).count();
        found.push(Finding::pass(DIRECTORY, format!("{shown}: {count} plugins that the engine starts")));
    }
    found
}

/// Where the engine starts berth, it starts this one.
pub(super) fn own(node: &Node) -> Vec<Finding> {
    let files = own_files(node);
    if directory_of(node).is_none() || files.is_empty() {
        return vec![Finding::skip(OWN, "the engine does not start berth")];
    }
    let one = |path: &PathBuf| {
        let shown = path.display();
        let replace = || format!("cp --remove-destination $(command -v berth) {shown}, then {}", node.restart());
        if !node.host.is_program(path) {
            let message = format!("{shown}: is not a file that can be executed, so the engine does not start it");
            return Finding::fail(OWN, message, format!("chmod 755 {shown}, then {}", node.restart()));
        }
        match node.is_own(path) {
            Ok(true) => Finding::pass(OWN, format!("{shown} is this berth")),
            Ok(false) => Finding::warn(OWN, format!("{shown} is not this berth ({})", crate::VERSION), replace()),
            Err(error) => Finding::skip(OWN, format!("{shown}: {error}")),
        }
    };
    files.iter().map(one).collect()
}

/// No other plugin has berth's index or name, no second berth is started, and its configuration reaches it.
pub(super) fn conflict(node: &Node) -> Vec<Finding> {
    let Some(dir) = directory_of(node) else { return vec![Finding::skip(CONFLICT, "NRI is not on")] };
    let Ok(entries) = entries(node, dir) else {
        return vec![Finding::skip(CONFLICT, format!("{} cannot be read", dir.display()))];
    };
    let mut found = Vec::new();
    let started: Vec<_> = entries.iter().filter(|entry| entry.executable).collect();
    let (own, others): (Vec<_>, Vec<_>) = started
        .into_iter()
        .filter_map(|entry| entry.named.as_ref().map(|named| (&entry.file, named)))
        .partition(|(_, (_, name))| *name == node.name);
    if own.len() > 1 {
        let files: Vec<_> = own.iter().map(|(file, _)| file.as_str()).collect();
        let message = format!("the engine starts berth {} times: {}", own.len(), files.join(", "));
        found.push(Finding::fail(CONFLICT, message, format!("leave one of them in {}", dir.display())));
    }
    let index = own.first().map_or(node.index.as_str(), |(_, (index, _))| index);
    for (file, _) in others.iter().filter(|(_, (other, _))| other == index) {
        let message = format!("{file} has berth's index {index}: which of the two comes last is left to chance");
        let hint = "give one of them another index; berth's is to be the highest of those that change annotations or namespaces";
        found.push(Finding::warn(CONFLICT, message, hint));
    }
    let daemons = daemon::running(node).len();
    if !own.is_empty() && daemons > own.len() {
        let message = format!("the engine starts berth, and {daemons} daemons run: all but one are passive");
        let hint = format!("keep one: remove {}/{}, or the DaemonSet or unit", dir.display(), own[0].0);
        found.push(Finding::warn(CONFLICT, message, hint));
    }
    found.extend(stray_configs(node, &own.iter().map(|(file, _)| file.as_str()).collect::<Vec<_>>()));
    if found.is_empty() {
        found.push(Finding::pass(CONFLICT, format!("no other plugin in {} has berth's name or index", dir.display())));
    }
    found
}

/// Configurations of berth's that are of a plugin which is not there: only `<file>.conf` and `<name>.conf` reach one.
fn stray_configs(node: &Node, own: &[&str]) -> Vec<Finding> {
    let Some(dir) = node.effective().map(|effective| effective.nri.configs.as_path()) else { return Vec::new() };
    let names = node.host.list(dir).ok().flatten().unwrap_or_default();
    let ours = |file: &&String| {
        let plugin = file.strip_suffix(".conf").unwrap_or_default();
        let name = named(plugin).map_or(plugin.to_owned(), |(_, name)| name);
        name == node.name && !(own.contains(&plugin) || (plugin == node.name && !own.is_empty()))
    };
    let stray = names.iter().filter(ours).map(|file| {
        let path = dir.join(file);
        let message = format!("{}: no plugin that the engine starts has this name, so nobody reads it", path.display());
        Finding::warn(CONFLICT, message, "name it after the plugin's file, or put its text into /etc/berth/config.yaml")
    });
    stray.collect()
}
