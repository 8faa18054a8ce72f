//! The berth binary against a fake runtime of both generations, on the real kernel: what it answers, what it leaves
//! behind, and what it makes of bad input. Beside the tests on a real containerd, for what that would not do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]
#![allow(clippy::print_stderr, reason = "a failing test shows the log")]

#[path = "races/chance.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod chance;
#[path = "common/fake_runtime.rs"]
mod fake_runtime;
#[path = "common/isolated.rs"]
mod isolated;
#[path = "daemon/node.rs"]
mod node;
#[path = "nri_stub/session.rs"]
mod session;
#[path = "interpose/stage.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod stage;
#[path = "common/task.rs"]
mod task;

#[path = "daemon/bad_input.rs"]
mod bad_input;
#[path = "daemon/containers.rs"]
mod containers;
#[path = "daemon/ending.rs"]
mod ending;
#[path = "daemon/hostile.rs"]
mod hostile;
#[path = "daemon/interposed.rs"]
mod interposed;
#[path = "daemon/lifecycle.rs"]
mod lifecycle;
#[path = "daemon/made.rs"]
mod made;
#[path = "daemon/process.rs"]
mod process;
#[path = "daemon/reload.rs"]
mod reload;
#[path = "daemon/stopped.rs"]
mod stopped;
