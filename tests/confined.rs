//! What the daemon gives up at its start, and that it calls what the table says and nothing else. Needs strace(1).
//!
//! `BERTH_BIN` names the binary to watch, where that is not the one that cargo has built for the tests; `BERTH_LIBC=musl` says
//! that it was built with that library. `make prove` watches both.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]
#![allow(clippy::print_stderr, reason = "a failing test shows the log")]

#[path = "http/client.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod client;
#[path = "common/fake_runtime.rs"]
mod fake_runtime;
#[path = "common/isolated.rs"]
mod isolated;
#[path = "daemon/node.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod node;
#[path = "rig/provision.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod provision;
#[path = "interpose/stage.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod stage;
#[path = "common/task.rs"]
mod task;

#[path = "confined/calls.rs"]
mod calls;
#[path = "confined/given_up.rs"]
mod given_up;
#[path = "confined/life.rs"]
mod life;
#[path = "confined/trace.rs"]
mod trace;
