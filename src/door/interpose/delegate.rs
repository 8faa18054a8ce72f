//! Finding the program that berth becomes, and making sure that it is another one.

use super::name;
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Searched after PATH: a container engine's PATH can be short.
const USUAL: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Why there is nothing to become.
#[derive(Debug, thiserror::Error)]
pub enum DelegateError {
    /// The name says nothing and no entry does.
    #[error(
        "no delegate is known for the name {0:?}: call the interposer berth-<runtime> or containerd-shim-berth-<x>-vN, or give interposers.{0} a delegate"
    )]
    Unnamed(String),
    /// It is nowhere.
    #[error("delegate {wanted}: not found as an executable file in {}", searched.join(":"))]
    NotFound {
        /// The name.
        wanted: String,
        /// Where it was looked for.
        searched: Vec<String>,
    },
    /// A configured one is not a program.
    #[error("delegate {}: {why}", path.display())]
    Unusable {
        /// The path.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// It is berth.
    #[error("delegate {}: is berth itself, which would run itself for ever", .0.display())]
    Recursion(PathBuf),
    /// It or berth's own program could not be looked at.
    #[error("look at {}", path.display())]
    Look {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It was found and could not be executed.
    #[error("execute {}", path.display())]
    Exec {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What a file is for this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Candidate {
    /// A program that berth can become.
    Program,
    /// berth itself.
    Berth,
    /// Nothing of the kind, in words.
    Unusable(&'static str),
}

/// The program behind the interposer `name`: the configured one, else the one it is named after, in the directories of
/// `path` and then the usual ones, berth itself skipped. Symbolic links are not resolved: the name is part of it.
///
/// # Errors
/// [`DelegateError`].
pub(super) fn find(name: &str, configured: Option<&Path>, path: Option<&OsStr>) -> Result<PathBuf, DelegateError> {
    let own = identity(Path::new("/proc/self/exe"))?;
    search(name, configured, path, |candidate| look(candidate, own))
}

/// What the interposer `name` would become where `look` says what files are.
///
/// # Errors
/// [`DelegateError`].
pub fn search(
    name: &str,
    configured: Option<&Path>,
    path: Option<&OsStr>,
    look: impl Fn(&Path) -> io::Result<Candidate>,
) -> Result<PathBuf, DelegateError> {
    if let Some(delegate) = configured {
        return match look(delegate).map_err(looking(delegate))? {
            Candidate::Program => Ok(delegate.to_owned()),
            Candidate::Berth => Err(DelegateError::Recursion(delegate.to_owned())),
            Candidate::Unusable(why) => Err(DelegateError::Unusable { path: delegate.to_owned(), why }),
        };
    }
    let wanted = name::wrapped(name).ok_or_else(|| DelegateError::Unnamed(name.to_owned()))?;
    let dirs = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>()).unwrap_or_default();
    // A relative directory would mean another one in every bundle.
    let dirs: Vec<_> =
        dirs.into_iter().filter(|dir| dir.is_absolute()).chain(USUAL.into_iter().map(PathBuf::from)).collect();
    let mut recursion = None;
    for dir in &dirs {
        let candidate = dir.join(&wanted);
        match look(&candidate) {
            Ok(Candidate::Program) => return Ok(candidate),
            Ok(Candidate::Berth) => recursion = Some(candidate),
            Ok(Candidate::Unusable(_)) => {}
            Err(error) if is_passed_over(&error) => {}
            // What comes after it in PATH may be another program of that name.
            Err(error) => return Err(looking(&candidate)(error)),
        }
    }
    let searched = || dirs.iter().map(|dir| dir.display().to_string()).collect();
    Err(recursion.map_or_else(|| DelegateError::NotFound { wanted, searched: searched() }, DelegateError::Recursion))
}

/// Whether a directory in which this comes of looking is passed over, as execvp(3) does.
fn is_passed_over(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, StaleNetworkFileHandle, TimedOut};
    matches!(error.kind(), NotADirectory | NotFound | PermissionDenied | StaleNetworkFileHandle | TimedOut)
}

fn look(path: &Path, own: (u64, u64)) -> io::Result<Candidate> {
    let data = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Candidate::Unusable("does not exist")),
        other => other?,
    };
    Ok(match data {
        data if !data.is_file() => Candidate::Unusable("is not a file"),
        data if (data.dev(), data.ino()) == own => Candidate::Berth,
        data if data.mode() & 0o111 == 0 => Candidate::Unusable("is not executable"),
        _ => Candidate::Program,
    })
}

fn identity(path: &Path) -> Result<(u64, u64), DelegateError> {
    let data = std::fs::metadata(path).map_err(looking(path))?;
    Ok((data.dev(), data.ino()))
}

fn looking(path: &Path) -> impl FnOnce(io::Error) -> DelegateError {
    let path = path.to_owned();
    move |source| DelegateError::Look { path, source }
}
