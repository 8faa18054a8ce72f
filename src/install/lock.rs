//! One install or uninstall at a time.

use super::InstallError;
use crate::engine::Host;
use crate::fsutil::{FileError, Lock};
use std::path::Path;
use std::time::Duration;

/// The lock; on the host's tmpfs, so that it goes with the machine.
const PATH: &str = "/run/berth-install.lock";
/// How long another one is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes the lock and says in it who has it.
///
/// # Errors
/// Another one has it all the time.
pub(super) fn take(host: &Host, what: &str) -> Result<Lock, InstallError> {
    let inside = Path::new(PATH);
    let path = host.path(inside).map_err(FileError::new("look at", inside))?;
    let Some(lock) = Lock::take(&path, PATIENCE)? else {
        let holder = std::fs::read_to_string(&path).unwrap_or_default();
        let holder = if holder.is_empty() { "somebody".to_owned() } else { holder.trim().to_owned() };
        return Err(InstallError::Locked { path: inside.to_owned(), holder });
    };
    lock.overwrite(&format!("{what}, pid {}\n", std::process::id()))?;
    Ok(lock)
}
