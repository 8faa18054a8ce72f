//! What the daemon gives up when it starts, before it has met anybody: capabilities, the ways to get some back, and the system
//! calls that it never makes.
//!
//! For as long as a node is up the daemon reads what a runtime sends and what authors have written. Should one of them come to
//! run code in it, that code starts no program, opens no other kind of socket, loads nothing into the kernel, looks into
//! no other process's memory; and where interposers make the pins it has root's files and nothing else of root.
//!
//! Interposers are never confined: whatever they gave up, the delegate that they become would lack. Nor are commands.

mod calls;
mod filter;

use crate::apply::PinsBy;
use crate::exit::chain;
use crate::logging::Line;
use crate::sys;
use nix::errno::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};

pub use calls::{Call, Libc, RARE, REFUSED, allowed};

/// What is needed for as long as it runs. Its files are root's own, so it takes no capability to read and write them.
#[must_use]
pub fn needed(pins_by: PinsBy) -> CapabilitySet {
    match pins_by {
        // To mount and unmount, also in a copy of its mount namespace; to see in which network namespace another's task is.
        PinsBy::Daemon => CapabilitySet::SYS_ADMIN | CapabilitySet::SYS_PTRACE,
        PinsBy::Interposers => CapabilitySet::empty(),
    }
}

/// What could not be given up, and so is still there.
#[derive(Debug, thiserror::Error)]
enum ConfineError {
    #[error("give up capabilities")]
    Capabilities(#[source] rustix::io::Errno),
    #[error("give up the ways to more privileges (no_new_privs)")]
    Privileges(#[source] rustix::io::Errno),
    #[error("write the filter of system calls")]
    Filter(#[from] seccompiler::BackendError),
    #[error("have the kernel filter system calls")]
    Kernel(#[source] Errno),
}

/// What is left of a process's privileges.
#[derive(Debug)]
pub struct Confined {
    left: Option<CapabilitySet>,
    failed: Vec<ConfineError>,
}

/// Confines this process, for good. Holds before: it has one thread, of which those to come inherit everything; each would
/// keep its own capabilities otherwise. What cannot be given up is no reason not to serve the node: it is said
/// ([`Confined::log`]).
#[must_use]
pub fn confine(pins_by: PinsBy) -> Confined {
    let dropped = drop_capabilities(needed(pins_by)).map_err(ConfineError::Capabilities);
    let locked = rustix::thread::set_no_new_privs(true).map_err(ConfineError::Privileges);
    let program = filter::program(&allowed(Libc::OWN, pins_by)).map_err(ConfineError::from);
    let filtered = program.and_then(|program| sys::filter_calls(&program).map_err(ConfineError::Kernel));
    let left = dropped.as_ref().ok().copied();
    Confined { left, failed: [dropped.err(), locked.err(), filtered.err()].into_iter().flatten().collect() }
}

impl Confined {
    /// Says what it may still do, and what could not be given up.
    pub fn log(&self) {
        let left = self.left.map_or_else(|| "as before".to_owned(), words);
        log::info!("{}", Line::message("confined").with("capabilities", left));
        for error in &self.failed {
            let line = Line::message("some privilege could not be given up; the daemon serves all the same");
            log::warn!("{}", line.with("error", chain(error)));
        }
    }
}

/// `SYS_ADMIN,SYS_PTRACE`; `none`.
fn words(set: CapabilitySet) -> String {
    let names: Vec<_> = set.iter_names().map(|(name, _)| name).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(",") }
}

/// Leaves what is in `needed` and was there, in the effective and the permitted set, and nothing in the other three, but for the
/// bounding set of a process that may not change it. Returns what is left.
fn drop_capabilities(needed: CapabilitySet) -> rustix::io::Result<CapabilitySet> {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        // EINVAL: the kernel knows no more. EPERM: not without CAP_SETPCAP. It is a second lock: execve(2) gives nothing under
        // no_new_privs, and is filtered.
        if rustix::thread::remove_capability_from_bounding_set(capability).is_err() {
            break;
        }
    }
    // What is not inheritable is not ambient either: this clears both (capabilities(7)).
    let left = rustix::thread::capabilities(None)?.permitted & needed;
    let inheritable = CapabilitySet::empty();
    rustix::thread::set_capabilities(None, CapabilitySets { effective: left, permitted: left, inheritable })?;
    Ok(left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_have_the_words_of_capabilities_7() {
        assert_eq!(words(needed(PinsBy::Daemon)), "SYS_PTRACE,SYS_ADMIN");
        assert_eq!(words(needed(PinsBy::Interposers)), "none");
    }
}
