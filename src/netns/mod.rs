//! The pins: who may make one, what keeps it alive, what removes it.
//!
//! A *pin* is a bind mount of a network namespace's nsfs file onto `<directory>/berth-<id>`. It keeps the namespace
//! alive without any process, and its path means that namespace and no other for as long as it stands.
//!
//! Owns: the pins (files and mounts) below one directory, and every system call of the crate that has to do with
//! namespaces and mounts. The calls sit in `sys`, the only file of the crate that may contain `unsafe`.
//!
//! Promises: every operation is idempotent, safe against the same operation in another process, and may be killed at
//! any point: what it leaves is recognised and finished by the next [`Store::adopt`] or [`Store::release`]. No symbolic
//! link below the directory is followed, nothing that is not a pin is unmounted or removed, nothing waits for others
//! longer than a second.
//!
//! Does not: know pods, records, engines' APIs or policy; decide when a pin must go; log.

mod create;
mod dir;
mod enter;
mod error;
mod handle;
mod mountinfo;
mod reach;
mod store;
mod sysfs;
mod tasks;
#[cfg(test)]
pub(crate) mod testing;

/// Where the pins are unless told otherwise: where `ip netns` and the engines keep theirs.
pub const DEFAULT_DIR: &str = "/run/netns";

pub use enter::enter_mounts_of_node;
pub use error::NetnsError;
pub use handle::{Netns, NetnsId, Peek, host_ids, id_of};
pub use reach::{Reach, Way, reach, shared};
pub use store::{Listing, Pin, PinState, Released, Sharing, Store};
pub use sysfs::show_own_sysfs;
pub use tasks::{InUse, Occupancy, arguments, comm, in_use, same_network};
