//! A host in a directory, with scripts in the place of an engine's programs.

use super::host::Host;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// A host root of a test's own. Of its programs only those can be run that need nothing else of a host.
#[derive(Debug)]
pub(crate) struct FakeHost {
    pub(crate) dir: TempDir,
}

impl FakeHost {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("make a host") }
    }

    /// A host whose files are on a tmpfs, as those in a node's `/run` are.
    pub(crate) fn in_memory() -> Self {
        Self { dir: tempfile::tempdir_in("/dev/shm").expect("make a host in /dev/shm, which must be a tmpfs") }
    }

    pub(crate) fn host(&self) -> Host {
        Host::new(self.dir.path()).expect("open the host")
    }

    /// Writes a file of the host, with the directories above it.
    pub(crate) fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.dir.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("make directories");
        crate::fsutil::replace_file(&path, text.as_bytes()).expect("write");
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).expect("set the mode");
        self
    }

    /// Writes a program.
    pub(crate) fn program(&self, path: &str, text: &str) -> &Self {
        self.write(path, text);
        let path = self.dir.path().join(path.trim_start_matches('/'));
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("set the mode");
        self
    }

    /// A process of the host, with this command line; a relative program has no link to itself.
    pub(crate) fn process(&self, pid: u32, line: &str) -> &Self {
        let words: Vec<_> = line.split(' ').collect();
        let dir = format!("/proc/{pid}");
        self.write(&format!("{dir}/cmdline"), &format!("{}\0", words.join("\0")));
        if words[0].starts_with('/') {
            self.link(&format!("{dir}/exe"), words[0]);
        }
        self.link(&format!("{dir}/cwd"), "/work")
    }

    pub(crate) fn dir(&self, path: &str, mode: u32) -> &Self {
        let path = self.dir.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(&path).expect("make directories");
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("set the mode");
        self
    }

    pub(crate) fn link(&self, path: &str, target: impl AsRef<Path>) -> &Self {
        let path = self.dir.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("make directories");
        std::os::unix::fs::symlink(target, path).expect("link");
        self
    }
}
