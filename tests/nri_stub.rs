//! The NRI stub against a runtime that behaves like the Go one, and against some that do not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "common/fake_runtime.rs"]
mod fake_runtime;
#[path = "nri_stub/harness.rs"]
mod harness;
#[path = "common/recorder.rs"]
mod recorder;

#[path = "nri_stub/bad_peers.rs"]
mod bad_peers;
#[path = "nri_stub/cut.rs"]
mod cut;
#[path = "nri_stub/events.rs"]
mod events;
#[path = "nri_stub/handlers.rs"]
mod handlers;
#[path = "nri_stub/lifecycle.rs"]
mod lifecycle;
#[path = "nri_stub/session.rs"]
mod session;
#[path = "nri_stub/synchronize.rs"]
mod synchronize;
