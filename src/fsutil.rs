//! Files written whole or not at all, files read up to a limit, and locks between processes.

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::NamedTempFile;

/// What temporary files are called, so that those of a killed process are recognised.
pub const TEMP_PREFIX: &str = ".tmp-";

/// How often the temporary file of a known name is tried for, each time others were quicker.
const TURNS: usize = 4;

/// The longest pause between two tries for a lock.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// An operation on a file that did not succeed.
#[derive(Debug, thiserror::Error)]
#[error("{op} {}", path.display())]
pub struct FileError {
    /// What was being done.
    pub op: &'static str,
    /// To what.
    pub path: PathBuf,
    /// Why it did not work.
    pub source: io::Error,
}

impl FileError {
    /// Names the step and the object of an I/O error.
    pub fn new(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { op, path, source }
    }

    /// Whether the object was not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// Puts `bytes` at `path` in one step, mode 0600. Holds: whatever kills the process, `path` has the old content
/// or the new one; what may remain is a file named [`TEMP_PREFIX`]`*`. Nothing is synced: for files under `/run`.
///
/// # Errors
/// The step that failed; the old content is then in place and no temporary file is left.
pub fn replace_file(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    settle(written(path, bytes)?, path)
}

/// As [`replace_file`], with the mode, owner, group and security context of `like`; and a temporary file that an earlier
/// call was killed over is gone afterwards: nobody else looks for it where `path` is.
///
/// # Errors
/// As [`replace_file`].
pub fn replace_file_as(path: &Path, bytes: &[u8], like: &File) -> Result<(), FileError> {
    let (mut temp, own) = temporary_in_turn(path)?;
    temp.write_all(bytes).map_err(FileError::new("write a temporary file for", path))?;
    let data = like.metadata().map_err(FileError::new("look at", path))?;
    if (own.uid(), own.gid()) != (data.uid(), data.gid()) {
        std::os::unix::fs::fchown(temp.as_file(), Some(data.uid()), Some(data.gid()))
            .map_err(FileError::new("give the owner to a temporary file for", path))?;
    }
    copy_context(like, temp.as_file()).map_err(FileError::new("give the security context to a new", path))?;
    // Last: a change of owner takes bits away (chown(2)).
    temp.as_file()
        .set_permissions(data.permissions())
        .map_err(FileError::new("give the mode to a temporary file for", path))?;
    settle(temp, path)
}

/// A temporary file beside `path` with `bytes` in it. It goes if it is dropped.
fn written(path: &Path, bytes: &[u8]) -> Result<NamedTempFile, FileError> {
    let mut temp = temporary(path)?;
    temp.write_all(bytes).map_err(FileError::new("write a temporary file for", path))?;
    Ok(temp)
}

/// A temporary file beside `path` whose name cannot be foreseen.
fn temporary(path: &Path) -> Result<NamedTempFile, FileError> {
    let dir = dir_of(path);
    let made = tempfile::Builder::new().prefix(TEMP_PREFIX).tempfile_in(dir);
    made.map_err(FileError::new("create a temporary file in", dir))
}

/// The one temporary file for `path` whose name is known, so that the next call finds what a killed one has left. It is
/// its writer's while locked (flock(2)); whoever comes meanwhile is given one of another name. With what it is.
fn temporary_in_turn(path: &Path) -> Result<(NamedTempFile, Metadata), FileError> {
    let dir = dir_of(path);
    let mut name = std::ffi::OsString::from(TEMP_PREFIX);
    name.push(path.file_name().unwrap_or_default());
    for _ in 0..TURNS {
        match tempfile::Builder::new().prefix(&name).rand_bytes(0).tempfile_in(dir) {
            Ok(mut temp) => match own(temp.as_file()).map_err(FileError::new("look at a temporary file for", path))? {
                Some(data) => return Ok((temp, data)),
                // Taken for a killed one's between its creation and its lock: the name is not this one's any more.
                None => temp.disable_cleanup(true),
            },
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !is_cleared(&dir.join(&name)) {
                    break;
                }
            }
            Err(error) => return Err(FileError::new("create a temporary file in", dir)(error)),
        }
    }
    let temp = temporary(path)?;
    let data = temp.as_file().metadata().map_err(FileError::new("look at a temporary file for", path))?;
    Ok((temp, data))
}

/// Locks the file; `None` if that or the file's name is another's. Where files cannot be locked, nobody takes one away.
fn own(file: &File) -> io::Result<Option<Metadata>> {
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Ok(None);
    }
    Ok(Some(file.metadata()?).filter(|data| data.nlink() > 0))
}

/// Removes a temporary file whose writer is gone. `false`: there is one whose writer is not, as far as can be told.
fn is_cleared(path: &Path) -> bool {
    let flags = (nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK).bits();
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file.try_lock().is_ok() && is_at(&file, path) && std::fs::remove_file(path).is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Whether the open file is the one at `path`. It stays so while the caller has its lock: without that nobody renames or
/// removes it.
fn is_at(file: &File, path: &Path) -> bool {
    let id = |data: Metadata| (data.dev(), data.ino());
    file.metadata().map(id).ok() == std::fs::symlink_metadata(path).map(id).ok()
}

/// The directory of a file. Of a name alone, the parent is an empty path.
fn dir_of(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn settle(temp: NamedTempFile, path: &Path) -> Result<(), FileError> {
    temp.persist(path).map(drop).map_err(|error| FileError::new("rename a temporary file to", path)(error.error))
}

/// The attribute that carries a file's SELinux context. Longer ones than this do not exist.
const CONTEXT: &str = "security.selinux";
const MAX_CONTEXT: usize = 4096;

/// Gives `to` the security context of `from`, where that has one and it is another.
fn copy_context(from: &File, to: &File) -> io::Result<()> {
    match (context(from)?, context(to)?) {
        (Some(wanted), has) if has.as_ref() != Some(&wanted) => {
            Ok(rustix::fs::fsetxattr(to, CONTEXT, &wanted, rustix::fs::XattrFlags::empty())?)
        }
        _ => Ok(()),
    }
}

fn context(file: &File) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; MAX_CONTEXT];
    match rustix::fs::fgetxattr(file, CONTEXT, &mut bytes) {
        Ok(len) => {
            bytes.truncate(len);
            Ok(Some(bytes))
        }
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Reads at most `limit` bytes of the file at `path`; a symlink there is not followed.
///
/// # Errors
/// The step that failed; a file with more than `limit` bytes is one, with kind `FileTooLarge`.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let flags = (nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(FileError::new("open", path))?;
    // Room for a whole record, so that it comes in one read.
    read_open(&file, path, 1024, limit)
}

/// Reads at most `limit` bytes of an open file; about `expected` are there. `path` is for the error alone.
///
/// # Errors
/// As [`read_bounded`].
pub fn read_open(file: &File, path: &Path, expected: u64, limit: u64) -> Result<Vec<u8>, FileError> {
    let room = usize::try_from(expected.min(limit) + 1).unwrap_or_default();
    let mut bytes = Vec::with_capacity(room);
    file.take(limit + 1).read_to_end(&mut bytes).map_err(FileError::new("read", path))?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > limit) {
        return Err(FileError::new("read", path)(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(bytes)
}

/// Removes the file at `path`. `Ok(false)` if there was none.
///
/// # Errors
/// Any other reason.
pub fn remove_file(path: &Path) -> Result<bool, FileError> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileError::new("remove", path)(error)),
    }
}

/// An exclusive lock between processes (flock(2)) on a file of its own. Ends when it is dropped or the process
/// dies.
#[derive(Debug)]
pub struct Lock {
    file: Flock<File>,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock at `path`, waiting at most `patience`. `Ok(None)`: somebody else has it all that time.
    ///
    /// A holder may remove the file ([`Lock::remove`]), so one that was unlinked while waiting is not the lock any
    /// more, and the wait goes on with the file that is at the path then.
    ///
    /// # Errors
    /// The lock file cannot be made or locked for another reason.
    pub fn take(path: &Path, patience: Duration) -> Result<Option<Self>, FileError> {
        let deadline = Instant::now() + patience;
        let mut pause = Duration::from_micros(250);
        loop {
            if let Some(lock) = Self::try_take(path)? {
                return Ok(Some(lock));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            // flock(2) has no time limit of its own, and a signal to break it off would be the process's.
            std::thread::sleep(pause.min(left));
            pause = (pause * 2).min(LOCK_PAUSE);
        }
    }

    fn try_take(path: &Path) -> Result<Option<Self>, FileError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits())
            .open(path)
            .map_err(FileError::new("open the lock", path))?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => {
                let links = file.metadata().map_err(FileError::new("look at the lock", path))?.nlink();
                Ok((links > 0).then(|| Self { file, path: path.to_owned() }))
            }
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(FileError::new("lock", path)(errno.into())),
        }
    }

    /// What the lock's file says, up to `limit` bytes.
    ///
    /// # Errors
    /// It cannot be read, or has more.
    pub fn text(&self, limit: u64) -> Result<String, FileError> {
        let bytes = read_open(&self.file, &self.path, 0, limit)?;
        String::from_utf8(bytes).map_err(|error| FileError::new("read", &self.path)(io::Error::other(error)))
    }

    /// Writes `text` in the place of what the lock's file says, in one call, so that no kill leaves half of it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn overwrite(&self, text: &str) -> Result<(), FileError> {
        let written = self.file.write_at(text.as_bytes(), 0).map_err(FileError::new("write", &self.path))?;
        // Nearly always it is as long as before or longer, and there is nothing to cut off.
        if self.file.metadata().is_ok_and(|data| data.len() > text.len() as u64) {
            self.file.set_len(text.len() as u64).map_err(FileError::new("shorten", &self.path))?;
        }
        if written == text.len() {
            Ok(())
        } else {
            Err(FileError::new("write", &self.path)(io::ErrorKind::WriteZero.into()))
        }
    }

    /// Ends the lock and removes its file: for locks of things that are gone.
    ///
    /// # Errors
    /// The file could not be removed; the lock has ended all the same.
    pub fn remove(self) -> Result<(), FileError> {
        let removed = remove_file(&self.path);
        drop(self.file);
        removed.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_has_the_new_content_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("f");
        replace_file(&path, b"one").expect("first");
        replace_file(&path, b"two").expect("second");
        assert_eq!(read_bounded(&path, 3).expect("read"), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).expect("list").count(), 1);
    }

    #[test]
    fn a_replacement_that_cannot_be_made_leaves_the_old_content() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("d");
        std::fs::create_dir(&path).expect("a directory in its place");
        let error = replace_file(&path, b"x").expect_err("rename onto a directory");
        assert!(error.to_string().starts_with("rename a temporary file to"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).expect("list").count(), 1);
    }

    #[test]
    fn what_a_killed_writer_has_left_goes_and_what_a_living_one_writes_stays() {
        let dir = tempfile::tempdir().expect("dir");
        let (path, temp) = (dir.path().join("f"), dir.path().join(".tmp-f"));
        std::fs::write(&path, "one").expect("write");
        let like = File::open(&path).expect("open");
        std::fs::write(&temp, "half").expect("of a killed one");
        replace_file_as(&path, b"two", &like).expect("second");
        assert_eq!(read_bounded(&path, 3).expect("read"), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).expect("list").count(), 1);

        let writer = File::create(&temp).expect("a living one");
        writer.lock().expect("lock");
        replace_file_as(&path, b"new", &like).expect("third");
        assert_eq!(read_bounded(&path, 3).expect("read"), b"new");
        assert!(temp.exists());
    }

    #[test]
    fn reading_stops_at_the_limit_and_does_not_follow_links() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("f");
        replace_file(&path, b"four").expect("write");
        let error = read_bounded(&path, 3).expect_err("too large");
        assert_eq!(error.source.kind(), io::ErrorKind::FileTooLarge);
        let link = dir.path().join("l");
        std::os::unix::fs::symlink(&path, &link).expect("link");
        assert!(read_bounded(&link, 10).is_err());
    }

    #[test]
    fn a_lock_excludes_and_ends_with_its_holder() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("lock");
        let held = Lock::take(&path, Duration::ZERO).expect("take").expect("free");
        assert!(Lock::take(&path, Duration::from_millis(5)).expect("try").is_none());
        drop(held);
        assert!(Lock::take(&path, Duration::ZERO).expect("take").is_some());
    }

    #[test]
    fn whoever_waited_for_a_removed_lock_gets_the_new_file_and_excludes_others() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("lock");
        let held = Lock::take(&path, Duration::ZERO).expect("take").expect("free");
        let waiter = std::thread::spawn({
            let path = path.clone();
            move || Lock::take(&path, Duration::from_secs(10)).expect("wait").expect("got it")
        });
        held.remove().expect("remove");
        let got = waiter.join().expect("waiter");
        assert!(path.exists(), "the lock is on a file that others find");
        assert!(Lock::take(&path, Duration::ZERO).expect("try").is_none());
        drop(got);
    }
}
