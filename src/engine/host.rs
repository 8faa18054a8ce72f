//! The node's file system, as it is seen from here.

use super::EngineError;
use crate::fsutil::FileError;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

/// Where programs of a host are, beside the directories that every system has. In this order.
const PROGRAM_DIRS: [&str; 8] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/opt/bin",
    "/var/lib/rancher/rke2/bin",
];

/// As many links as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// The largest configuration anybody has written; what is larger is something else.
const MAX_BYTES: u64 = 4 << 20;

/// A host's files below one directory: `/`, or where a container has the host's root mounted.
///
/// Every path that goes in or comes out is the host's own, absolute. A symbolic link is followed as the host would, so it
/// leads out of the root never.
#[derive(Debug, Clone)]
pub struct Host {
    root: PathBuf,
}

impl Host {
    /// The host whose root directory is `root`.
    ///
    /// # Errors
    /// [`EngineError::Root`] if it is not a directory.
    pub fn new(root: &Path) -> Result<Self, EngineError> {
        let error = |why: String| EngineError::Root { path: root.to_owned(), why };
        let why = |source: io::Error| match source.kind() {
            io::ErrorKind::PermissionDenied => format!("{source}; run it on the node, or in a privileged container"),
            _ => source.to_string(),
        };
        let directory = |path: &Path| path.metadata().map_err(|source| error(why(source)));
        let found = directory(root)?;
        if !found.is_dir() {
            return Err(error("is not a directory".to_owned()));
        }
        // What proc(5) calls /proc/1/root is a link whose text means another directory in a container than it leads to.
        let canonical = root.canonicalize().map_err(|source| error(why(source)))?;
        let same = directory(&canonical).is_ok_and(|one| (one.dev(), one.ino()) == (found.dev(), found.ino()));
        Ok(Self { root: if same { canonical } else { root.to_owned() } })
    }

    /// Where the host's root directory is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The host's root directory is this process's own.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.root == Path::new("/")
    }

    /// The host's procfs, seen from here.
    #[must_use]
    pub fn proc(&self) -> PathBuf {
        self.root.join("proc")
    }

    /// Where the host's `path` is to be found from here, links resolved; of what does not exist, the place where it would
    /// be.
    ///
    /// # Errors
    /// More links than the kernel follows, or a directory that may not be looked into.
    pub fn path(&self, path: &Path) -> io::Result<PathBuf> {
        self.resolve(path).map(|inside| self.outside(&inside))
    }

    /// The host's own path of what its `path` leads to, links resolved.
    ///
    /// # Errors
    /// As [`Host::path`].
    pub fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        let mut inside = PathBuf::from("/");
        let mut pending: Vec<PathBuf> = parts(path);
        let mut links = 0;
        while let Some(part) = pending.pop() {
            if part == Path::new("..") {
                inside.pop();
                continue;
            }
            let next = inside.join(&part);
            match std::fs::symlink_metadata(self.outside(&next)) {
                Ok(data) if data.is_symlink() => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(io::Error::from_raw_os_error(nix::libc::ELOOP));
                    }
                    let target = std::fs::read_link(self.outside(&next))?;
                    if target.is_absolute() {
                        inside = PathBuf::from("/");
                    }
                    pending.extend(parts(&target));
                }
                Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    return Err(error);
                }
                _ => inside = next,
            }
        }
        Ok(inside)
    }

    fn outside(&self, inside: &Path) -> PathBuf {
        self.root.join(inside.strip_prefix("/").unwrap_or(inside))
    }

    /// What is at the host's `path`, links followed; `Ok(None)` if nothing is.
    ///
    /// # Errors
    /// It may not be looked at.
    pub fn look(&self, path: &Path) -> Result<Option<std::fs::Metadata>, FileError> {
        let found = self.path(path).and_then(std::fs::symlink_metadata);
        missing(found).map_err(FileError::new("look at", path))
    }

    /// Whether there is something at the host's `path`, as far as can be told.
    #[must_use]
    pub fn has(&self, path: &Path) -> bool {
        self.look(path).is_ok_and(|found| found.is_some())
    }

    /// The text of the host's file at `path`; `Ok(None)` if there is none.
    ///
    /// # Errors
    /// It cannot be read, is not text, or is larger than any configuration.
    pub fn read(&self, path: &Path) -> Result<Option<String>, FileError> {
        self.read_some(path).map_err(FileError::new("read", path))
    }

    fn read_some(&self, path: &Path) -> io::Result<Option<String>> {
        let Some(file) = missing(self.path(path).and_then(|path| open(&path)))? else { return Ok(None) };
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a file"));
        }
        let mut text = String::new();
        file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
        if u64::try_from(text.len()).is_ok_and(|len| len > MAX_BYTES) {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(Some(text))
    }

    /// The names in the host's directory at `path`, sorted; `Ok(None)` if there is none.
    ///
    /// # Errors
    /// It cannot be read, or is no directory.
    pub fn list(&self, path: &Path) -> Result<Option<Vec<String>>, FileError> {
        let error = || FileError::new("list", path);
        let Some(entries) = missing(self.path(path).and_then(std::fs::read_dir)).map_err(error())? else {
            return Ok(None);
        };
        let names: io::Result<Vec<_>> =
            entries.map(|entry| entry.map(|entry| entry.file_name().to_string_lossy().into_owned())).collect();
        let mut names = names.map_err(error())?;
        names.sort();
        Ok(Some(names))
    }

    /// Where on the host the program `name` is: in the usual directories, in their order.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        PROGRAM_DIRS.iter().map(|dir| Path::new(dir).join(name)).find(|path| self.is_program(path))
    }

    /// Whether the host's `path` leads to a file that somebody may execute.
    #[must_use]
    pub fn is_program(&self, path: &Path) -> bool {
        self.look(path).is_ok_and(|found| found.is_some_and(|data| data.is_file() && data.mode() & 0o111 != 0))
    }

    /// The usual directories of programs, as a PATH.
    pub(super) fn search_path() -> String {
        PROGRAM_DIRS.join(":")
    }
}

/// Without waiting: a FIFO in the place of a configuration would be waited for until somebody writes into it.
fn open(path: &Path) -> io::Result<File> {
    let flags = (nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY).bits();
    File::options().read(true).custom_flags(flags).open(path)
}

/// The components of a path, last one first, without root and dots.
fn parts(path: &Path) -> Vec<PathBuf> {
    let kept = path.components().rev().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    kept.map(|part| PathBuf::from(part.as_os_str())).collect()
}

fn missing<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn host() -> (tempfile::TempDir, Host) {
        let dir = tempfile::tempdir().expect("dir");
        std::fs::create_dir_all(dir.path().join("usr/bin")).expect("usr/bin");
        std::fs::create_dir_all(dir.path().join("etc/x")).expect("etc/x");
        let host = Host::new(dir.path()).expect("host");
        (dir, host)
    }

    #[test]
    fn links_lead_where_they_lead_on_the_host_and_never_out_of_it() {
        let (dir, host) = host();
        let root = host.root().to_owned();
        symlink("/usr/bin", dir.path().join("bin")).expect("absolute link");
        symlink("../../../../../../etc/x", dir.path().join("etc/up")).expect("relative link");
        symlink("/etc/loop", dir.path().join("etc/loop")).expect("a link to itself");
        for (path, wanted) in [
            ("/bin/crio", "usr/bin/crio"),
            ("/etc/up/config.toml", "etc/x/config.toml"),
            ("/../../etc/passwd", "etc/passwd"),
            ("/none/such/file", "none/such/file"),
        ] {
            assert_eq!(host.path(Path::new(path)).expect(path), root.join(wanted), "{path}");
        }
        assert!(host.path(Path::new("/etc/loop/x")).is_err());
    }

    #[test]
    fn what_is_not_there_is_no_error_and_what_is_no_file_is_one() {
        let (dir, host) = host();
        assert!(host.read(Path::new("/etc/x/none")).expect("none").is_none());
        assert!(host.list(Path::new("/etc/none")).expect("none").is_none());
        assert!(host.read(Path::new("/etc/x")).is_err());
        nix::unistd::mkfifo(&dir.path().join("etc/fifo"), nix::sys::stat::Mode::S_IRUSR).expect("a FIFO");
        let error = host.read(Path::new("/etc/fifo")).expect_err("nobody writes into it");
        assert_eq!(error.source.to_string(), "is not a file");
        std::fs::File::create(dir.path().join("etc/x/b")).expect("b");
        std::fs::File::create(dir.path().join("etc/x/a")).expect("a");
        assert_eq!(host.list(Path::new("/etc/x")).expect("list"), Some(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn a_program_is_a_file_that_can_be_executed() {
        let (dir, host) = host();
        let file = dir.path().join("usr/bin/crio");
        std::fs::File::create(&file).expect("file");
        assert_eq!(host.program("crio"), None);
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).expect("mode");
        assert_eq!(host.program("crio"), Some(PathBuf::from("/usr/bin/crio")));
        assert!(!host.is_program(Path::new("/usr/bin")));
    }

    #[test]
    fn a_root_that_is_none_is_named() {
        let error = Host::new(Path::new("/proc/self/cmdline")).expect_err("a file");
        assert_eq!(error.to_string(), "host root /proc/self/cmdline: is not a directory");
    }
}
