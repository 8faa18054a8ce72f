//! Containers that people run by hand, of no pod: the same tests for docker and for nerdctl, which are told the same.
//! `TOOL` of the crate says by which.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what a test expects and does not get fails it"
)]

mod docker;
mod forged;
mod made;
pub(crate) mod node;
mod plain;
