//! What is at a path: the words in which a record compares what was, what was put there, and what is there now.

use crate::fsutil::FileError;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What is at a path, as far as it matters here. Links are not followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Object {
    /// Nothing.
    Absent,
    /// A directory, whatever is in it.
    Directory,
    /// A symbolic link, by its target.
    Link(PathBuf),
    /// A file, by the SHA-256 of its content.
    File(String),
    /// Something else: a socket, a device.
    Other,
}

impl Object {
    /// What is at `path` now.
    ///
    /// # Errors
    /// It may not be looked at or read.
    pub(super) fn at(path: &Path) -> Result<Self, FileError> {
        let data = match std::fs::symlink_metadata(path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(Self::Absent);
            }
            other => other.map_err(FileError::new("look at", path))?,
        };
        Ok(match data.file_type() {
            kind if kind.is_dir() => Self::Directory,
            kind if kind.is_symlink() => Self::Link(std::fs::read_link(path).map_err(FileError::new("read", path))?),
            kind if kind.is_file() => Self::File(hash_file(path).map_err(FileError::new("read", path))?),
            _ => Self::Other,
        })
    }
}

/// The SHA-256 of bytes, as `sha256sum` prints it.
#[must_use]
pub(super) fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hash_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let (mut sum, mut bytes) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(hex(&sum.finalize())),
            count => sum.update(bytes.get(..count).unwrap_or_default()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_that_of_sha256sum() {
        assert_eq!(hash(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn each_kind_of_object_is_told_from_the_others() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("x");
        assert_eq!(Object::at(&path).expect("nothing"), Object::Absent);
        std::os::unix::fs::symlink("none", &path).expect("link");
        assert_eq!(Object::at(&path).expect("a link"), Object::Link("none".into()));
        std::fs::remove_file(&path).expect("remove");
        crate::fsutil::replace_file(&path, b"abc").expect("write");
        assert_eq!(Object::at(&path).expect("a file"), Object::File(hash(b"abc")));
        assert_eq!(Object::at(&path.join("y")).expect("below a file"), Object::Absent);
        assert_eq!(Object::at(dir.path()).expect("a directory"), Object::Directory);
    }
}
