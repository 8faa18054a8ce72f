//! The file that may contain `unsafe`.
#![allow(unsafe_code)]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the one descriptor a process inherits by number has been taken.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes the descriptor that this process was started with under `number`; once. `None` if it is not open, is one of
/// the three standard ones, or was taken already.
///
/// To be called before the process opens anything of its own, so that the number cannot mean something else.
#[must_use]
pub fn take_inherited(number: RawFd) -> Option<OwnedFd> {
    let open = std::path::Path::new("/proc/self/fd").join(number.to_string()).symlink_metadata().is_ok();
    if number < 3 || !open || TAKEN.swap(true, Ordering::SeqCst) {
        return None;
    }
    // SAFETY: from_raw_fd needs an open descriptor that nobody else owns. It is open (checked above; nothing closes it
    // in between, main has one thread then), it was not opened by this process (the caller's part), and the flag lets
    // only one call get here.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}
