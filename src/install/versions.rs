//! Programs of earlier installs that nothing uses any more.

use super::InstallError;
use super::object::Object;
use super::parts::{Part, outside, place};
use super::record::{Record, Role};
use super::site::Site;
use super::users;
use super::work::{Content, Work};
use crate::engine::Host;
use crate::fsutil::FileError;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The recorded programs other than `current`, with their directories, that no link leads to when those of `renewed` lead
/// elsewhere, and that no process runs. None at all while pods run on a handler of ours: by a link put back these could
/// still be led through the version that made them.
///
/// # Errors
/// Something may not be looked at.
pub(super) fn stale(
    host: &Host,
    site: &Site,
    record: &Record,
    current: &Path,
    renewed: &[&Path],
) -> Result<Vec<Part>, InstallError> {
    let programs = record.items.iter().filter(|item| item.role == Role::Program && item.path != current);
    let mut programs: Vec<_> = programs.collect();
    if programs.is_empty() || !users::pods(host, &site.engine, &site.state, record)?.is_empty() {
        return Ok(Vec::new());
    }
    let linked = linked(host, record, renewed)?;
    let running = running(host);
    let runs = |path: &Path| {
        std::fs::metadata(outside(host, path)).is_ok_and(|data| running.contains(&(data.dev(), data.ino())))
    };
    programs.retain(|item| !linked.contains(&item.path) && !runs(&item.path));
    let mut found = Vec::new();
    for program in programs {
        let part = Part::new(host, &program.path, Role::Program, Content::Absent)?;
        // What somebody has put in its place is not ours to remove.
        if !matches!(part.now, Object::Absent) && !program.is_ours(&part.now) {
            continue;
        }
        found.push(part);
        let dir = program.path.parent().and_then(|dir| record.item(dir));
        if let Some(dir) = dir.filter(|dir| dir.role == Role::Directory) {
            found.push(Part::new(host, &dir.path, Role::Directory, Content::Absent)?);
        }
    }
    Ok(found)
}

/// Removes what was found, and forgets it; a directory with something else in it stays.
///
/// # Errors
/// The step that failed; what was not removed is still in the record.
pub(super) fn prune(host: &Host, stale: &[Part], record: &mut Record) -> Result<(), FileError> {
    for part in stale {
        let path = outside(host, &part.path);
        if part.role == Role::Directory {
            match std::fs::remove_dir(&path) {
                Err(error) if !matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound) => {
                    return Err(FileError::new("remove directory", &path)(error));
                }
                _ => {}
            }
        } else {
            let mut work = Work::default();
            work.stage(&path, &part.content)?;
            work.commit()?;
            work.finish()?;
        }
        record.items.retain(|item| item.path != part.path);
    }
    Ok(())
}

/// What links beside berth's, or beside the plugin, lead to by themselves.
fn linked(host: &Host, record: &Record, renewed: &[&Path]) -> Result<Vec<PathBuf>, FileError> {
    let places = record.items.iter().filter(|item| matches!(item.role, Role::Name | Role::Plugin));
    let dirs: std::collections::BTreeSet<_> = places.filter_map(|item| item.path.parent()).collect();
    let mut found = Vec::new();
    for dir in dirs {
        for name in host.list(dir)?.unwrap_or_default() {
            let path = dir.join(name);
            let Ok(target) = std::fs::read_link(outside(host, &path)) else { continue };
            if !renewed.contains(&&*path) {
                found.push(place(host, &dir.join(target))?);
            }
        }
    }
    Ok(found)
}

/// The programs that the host's processes run.
fn running(host: &Host) -> Vec<(u64, u64)> {
    let entries = std::fs::read_dir(host.proc()).into_iter().flatten().flatten();
    let programs = entries.filter_map(|entry| std::fs::metadata(entry.path().join("exe")).ok());
    programs.map(|data| (data.dev(), data.ino())).collect()
}

/// Whether a process of the host runs the program that berth's name leads to.
pub(super) fn runs_current(host: &Host, record: &Record) -> bool {
    let current = host.path(&record.bin_dir.join("berth")).and_then(std::fs::metadata);
    current.is_ok_and(|data| running(host).contains(&(data.dev(), data.ino())))
}
