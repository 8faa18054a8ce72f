//! Putting objects at paths so that it can be taken back: everything that needs room on a disk is done first, beside the
//! place; then each object gets its name in one step, and what had the name is kept until the work is finished.
//!
//! Whatever kills the process, each path has what it had or what it is to have. What may remain are files named
//! [`PREFIX`]`*`, which [`sweep`] removes.

use super::attributes;
use super::object::{Object, hash};
use crate::fsutil::FileError;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What temporary files are called.
pub(super) const PREFIX: &str = ".berth-tmp-";

/// The mode of a configuration file that is new.
const MODE: u32 = 0o644;

/// What is to be at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing; of a directory, only if nothing is in it.
    Absent,
    /// A directory.
    Directory,
    /// A symbolic link to this target.
    Link(PathBuf),
    /// A file with the mode, owner and attributes of the one that it replaces.
    Text(Vec<u8>),
    /// A file that root alone can read: a copy of one that may hold credentials, whatever its mode is.
    Private(Vec<u8>),
    /// A program: mode 0755, and a security context if one is known.
    Program {
        /// The bytes.
        bytes: Vec<u8>,
        /// Their SHA-256, which takes a while.
        hash: String,
        /// The context.
        context: Option<Vec<u8>>,
    },
}

impl Content {
    /// The same in the words of a record.
    pub(super) fn object(&self) -> Object {
        match self {
            Self::Absent => Object::Absent,
            Self::Directory => Object::Directory,
            Self::Link(target) => Object::Link(target.clone()),
            Self::Text(bytes) | Self::Private(bytes) => Object::File(hash(bytes)),
            Self::Program { hash, .. } => Object::File(hash.clone()),
        }
    }
}

/// Work on a file system that is begun and not yet finished.
#[derive(Debug, Default)]
pub(super) struct Work {
    staged: Vec<Staged>,
    done: Vec<Undo>,
}

/// Written, and not yet at its place.
#[derive(Debug)]
struct Staged {
    path: PathBuf,
    /// What will be renamed to the path; `None`: the path is to go.
    temp: Option<PathBuf>,
}

/// How a step is taken back.
#[derive(Debug)]
enum Undo {
    RemoveFile(PathBuf),
    RemoveDir(PathBuf),
    MakeDir(PathBuf, u32),
    Return { kept: PathBuf, path: PathBuf },
}

impl Work {
    /// Makes ready what is to be at `path`. Directories are made at once, because others go into them.
    ///
    /// # Errors
    /// The step that failed; nothing is at `path` that was not there.
    pub(super) fn stage(&mut self, path: &Path, content: &Content) -> Result<(), FileError> {
        let temp = match content {
            Content::Absent => None,
            Content::Directory => {
                let made = DirBuilder::new().mode(0o755).create(path);
                made.map_err(FileError::new("make directory", path))?;
                self.done.push(Undo::RemoveDir(path.to_owned()));
                return sync_parent(path);
            }
            Content::Link(target) => {
                let linked = beside(path, |temp| std::os::unix::fs::symlink(target, temp));
                Some(linked.map_err(FileError::new("make a link for", path))?.1)
            }
            Content::Text(bytes) => Some(self.write(path, bytes, |file| like_the_old(path, file))?),
            // As it was created.
            Content::Private(bytes) => Some(self.write(path, bytes, |_| Ok(()))?),
            Content::Program { bytes, context, .. } => Some(self.write(path, bytes, |file| {
                file.set_permissions(Permissions::from_mode(0o755))?;
                context.as_ref().map_or(Ok(()), |context| attributes::set_context(file, context))
            })?),
        };
        self.staged.push(Staged { path: path.to_owned(), temp });
        Ok(())
    }

    /// A file beside `path`, whole and synced.
    fn write(
        &mut self,
        path: &Path,
        bytes: &[u8],
        attribute: impl Fn(&File) -> io::Result<()>,
    ) -> Result<PathBuf, FileError> {
        let made = beside(path, |temp| OpenOptions::new().write(true).create_new(true).mode(0o600).open(temp));
        let (mut file, temp) = made.map_err(FileError::new("create a temporary file for", path))?;
        let written = file
            .write_all(bytes)
            .map_err(FileError::new("write a temporary file for", path))
            .and_then(|()| attribute(&file).map_err(FileError::new("give mode, owner and attributes to a new", path)))
            .and_then(|()| file.sync_all().map_err(FileError::new("sync a temporary file for", path)));
        match written {
            Ok(()) => Ok(temp),
            Err(error) => {
                // Nothing more can be done about it; `sweep` finds it.
                drop(std::fs::remove_file(&temp));
                Err(error)
            }
        }
    }

    /// Gives everything that was staged its place, in the order of staging.
    ///
    /// # Errors
    /// The step that failed; those before it are done.
    pub(super) fn commit(&mut self) -> Result<(), FileError> {
        let mut pending = std::mem::take(&mut self.staged).into_iter();
        while let Some(staged) = pending.next() {
            if let Err(error) = self.commit_one(&staged) {
                self.staged = std::iter::once(staged).chain(pending).collect();
                return Err(error);
            }
        }
        Ok(())
    }

    fn commit_one(&mut self, Staged { path, temp }: &Staged) -> Result<(), FileError> {
        match (temp, std::fs::symlink_metadata(path)) {
            (None, Ok(data)) if data.is_dir() => {
                std::fs::remove_dir(path).map_err(FileError::new("remove directory", path))?;
                self.done.push(Undo::MakeDir(path.clone(), data.mode() & 0o7777));
            }
            (None, Ok(_)) => {
                let kept = beside(path, |kept| std::fs::rename(path, kept)).map_err(FileError::new("remove", path))?.1;
                self.done.push(Undo::Return { kept, path: path.clone() });
            }
            (None, Err(_)) => return Ok(()),
            (Some(temp), old) => {
                let kept = old.is_ok().then(|| keep(path)).transpose()?;
                let renamed = std::fs::rename(temp, path).map_err(FileError::new("rename a temporary file to", path));
                if let (Err(_), Some(kept)) = (&renamed, &kept) {
                    drop(std::fs::remove_file(kept));
                }
                renamed?;
                self.done.push(match kept {
                    Some(kept) => Undo::Return { kept, path: path.clone() },
                    None => Undo::RemoveFile(path.clone()),
                });
            }
        }
        sync_parent(path)
    }

    /// Lets go of what was kept: it cannot be taken back any more.
    ///
    /// # Errors
    /// A kept file could not be removed; the others were.
    pub(super) fn finish(self) -> Result<(), FileError> {
        let kept = self.done.into_iter().filter_map(|undo| match undo {
            Undo::Return { kept, .. } => Some(kept),
            _ => None,
        });
        let removed: Vec<_> = kept.map(|kept| crate::fsutil::remove_file(&kept)).collect();
        removed.into_iter().collect::<Result<Vec<_>, _>>().map(drop)
    }

    /// Takes everything back, last step first. What could not be taken back is returned.
    pub(super) fn roll_back(self) -> Vec<FileError> {
        for temp in self.staged.iter().filter_map(|staged| staged.temp.as_ref()) {
            // What was renamed before its directory could not be synced is not there any more.
            drop(std::fs::remove_file(temp));
        }
        self.done.into_iter().rev().filter_map(|undo| take_back(undo).err()).collect()
    }
}

fn take_back(undo: Undo) -> Result<(), FileError> {
    match undo {
        Undo::RemoveFile(path) => {
            std::fs::remove_file(&path).map_err(FileError::new("remove", &path))?;
            sync_parent(&path)
        }
        Undo::RemoveDir(path) => std::fs::remove_dir(&path).map_err(FileError::new("remove directory", &path)),
        Undo::MakeDir(path, mode) => {
            DirBuilder::new().mode(mode).create(&path).map_err(FileError::new("make directory", &path))
        }
        Undo::Return { kept, path } => {
            std::fs::rename(&kept, &path).map_err(FileError::new("put back", &path))?;
            sync_parent(&path)
        }
    }
}

/// A second name for what is at `path`; no room is needed to give it back. A copy where the file system knows no second
/// names.
fn keep(path: &Path) -> Result<PathBuf, FileError> {
    let linked = match beside(path, |kept| std::fs::hard_link(path, kept)) {
        Err(error) if error.raw_os_error() == Some(nix::libc::EPERM) => beside(path, |kept| {
            std::fs::copy(path, kept)?;
            attributes::copy(&File::open(path)?, &File::open(kept)?)
        }),
        linked => linked,
    };
    Ok(linked.map_err(FileError::new("keep the old", path))?.1)
}

fn like_the_old(path: &Path, file: &File) -> io::Result<()> {
    match File::open(path) {
        Ok(old) => attributes::copy(&old, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => file.set_permissions(Permissions::from_mode(MODE)),
        Err(error) => Err(error),
    }
}

/// Makes something under a new name on the file system of `path`.
fn beside<T>(path: &Path, make: impl FnMut(&Path) -> io::Result<T>) -> io::Result<(T, PathBuf)> {
    let made = tempfile::Builder::new().prefix(PREFIX).make_in(temp_dir(path)?, make)?;
    made.keep().map_err(|error| error.error)
}

/// Not a directory of drop-ins: CRI-O reads whatever file it finds there (cri-o `pkg/config/config.go`, `UpdateFromPath`),
/// half-written ones too. Nor NRI's of plugins: an engine does not start with an executable of another kind of name there
/// (nri `pkg/adaptation/adaptation.go`, `discoverPlugins`), and links count as such.
fn temp_dir(path: &Path) -> io::Result<PathBuf> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    let is_read = dir.extension().is_some_and(|extension| extension == "d") || dir.ends_with("plugins");
    if let (true, Some(above)) = (is_read, dir.parent())
        && std::fs::metadata(above)?.dev() == std::fs::metadata(dir)?.dev()
    {
        return Ok(above.to_owned());
    }
    Ok(dir.to_owned())
}

fn sync_parent(path: &Path) -> Result<(), FileError> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(FileError::new("sync directory", dir))
}

/// Removes what killed processes have left where work on `path` would leave it. To be called by whoever holds the lock.
///
/// # Errors
/// A directory cannot be read, or a file not removed.
pub(super) fn sweep(path: &Path) -> Result<(), FileError> {
    let own = path.parent();
    for dir in [own, own.and_then(Path::parent)].into_iter().flatten() {
        let Ok(entries) = std::fs::read_dir(dir) else { continue };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                _ if !entry.file_name().to_string_lossy().starts_with(PREFIX) => {}
                Ok(kind) if kind.is_dir() => {
                    std::fs::remove_dir_all(&path).map_err(FileError::new("remove directory", &path))?;
                }
                _ => drop(crate::fsutil::remove_file(&path)?),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_file_is_roots_alone() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("config.toml.0123");
        let mut work = Work::default();
        work.stage(&path, &Content::Private(b"password".to_vec())).expect("stage");
        work.commit().expect("commit");
        work.finish().expect("finish");
        assert_eq!(std::fs::metadata(&path).expect("the file").mode() & 0o777, 0o600);
    }
}
