//! One install or uninstall at a time, and no uninstall beside an install that stays.

use super::InstallError;
use crate::engine::Host;
use crate::fsutil::{FileError, Lock};
use std::path::Path;
use std::time::Duration;

/// The lock; on the host's tmpfs, so that it goes with the machine.
const PATH: &str = "/run/berth-install.lock";
/// How long another one is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What an uninstall calls itself in a lock.
pub(super) const UNINSTALL: &str = "berth uninstall";

/// The lock of what stays.
const STAYING: &str = "/run/berth-installer.lock";

/// Takes the lock and says in it who has it.
///
/// # Errors
/// Another one has it all the time.
pub(super) fn take(host: &Host, what: &str) -> Result<Lock, InstallError> {
    let locked = |holder| InstallError::Locked { path: PATH.into(), holder };
    take_at(host, Path::new(PATH), what)?.map_err(locked)
}

/// Takes the lock of an install that stays: it would put back what an uninstall takes away.
///
/// # Errors
/// Another one stays, or is just being taken away.
pub(super) fn take_staying(host: &Host, what: &str) -> Result<Lock, InstallError> {
    take_at(host, Path::new(STAYING), what)?.map_err(held)
}

/// Who stays has to be ended; an uninstall ends by itself.
fn held(holder: String) -> InstallError {
    let path = STAYING.into();
    if holder.starts_with(UNINSTALL) {
        InstallError::Locked { path, holder }
    } else {
        InstallError::Stays { path, holder }
    }
}

/// The lock, or who has it.
fn take_at(host: &Host, inside: &Path, what: &str) -> Result<Result<Lock, String>, InstallError> {
    let path = host.path(inside).map_err(FileError::new("look at", inside))?;
    let Some(lock) = Lock::take(&path, PATIENCE)? else {
        let holder = std::fs::read_to_string(&path).unwrap_or_default();
        let holder = if holder.is_empty() { "somebody".to_owned() } else { holder.trim().to_owned() };
        return Ok(Err(holder));
    };
    lock.overwrite(&format!("{what}, pid {}\n", std::process::id()))?;
    Ok(Ok(lock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_done_depends_on_who_holds_the_lock() {
        let said = |holder: &str| held(holder.to_owned()).to_string();
        assert!(said("berth uninstall, pid 7").contains("(berth uninstall, pid 7): wait for it to end"));
        assert!(said("berth install --stay, pid 7").contains("delete its DaemonSet, or end it"));
    }
}
