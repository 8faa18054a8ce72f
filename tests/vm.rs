//! berth in front of a runtime that puts each pod into a virtual machine: real guests, on a real containerd. Not part of
//! `cargo test`, which shall be quick; `make test-engine-vm` runs it.
//!
//! ```text
//! tests/vm/vmlike     the runtime, in the place of Kata Containers; an example of the package, so never in its binary
//! tests/vm/guest.sh   the first process of its guests
//! tests/vm/node.rs    a rig whose handlers run it, behind berth and bare
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]
#![allow(clippy::print_stderr, reason = "a failing test shows what the runtime did")]

mod rig;

#[path = "vm/node.rs"]
mod node;

#[path = "vm/join.rs"]
mod join;
#[path = "vm/kill.rs"]
mod kill;
#[path = "vm/linger.rs"]
mod linger;
