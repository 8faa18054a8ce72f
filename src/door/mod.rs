//! The doors: where a container engine meets berth. Each gathers facts, asks [`crate::decide`], has
//! [`crate::apply`] carry out the verdict, and answers in its own protocol. No rule lives here.

pub mod count;
pub mod exec;
pub mod interpose;
pub mod nri;
mod said;

/// What is said where a killed process has covered mounts of the engine's that cannot be uncovered now.
pub const STAY_COVERED: &str = "files of the engine's in the netns directory stay covered; the next start of the daemon, \
                                or creation by an interposer, tries again";
