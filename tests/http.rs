//! The daemon's listener of health and metrics: what it says, when, to whom, and that nobody who asks disturbs the work.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]
#![allow(clippy::print_stderr, reason = "a failing test shows the log")]

#[path = "common/fake_runtime.rs"]
mod fake_runtime;
#[path = "common/isolated.rs"]
mod isolated;
#[path = "daemon/node.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod node;
#[path = "interpose/stage.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod stage;

#[path = "http/client.rs"]
mod client;
#[path = "http/metrics.rs"]
mod metrics;
#[path = "http/moved.rs"]
mod moved;
#[path = "http/places.rs"]
mod places;
#[path = "http/ready.rs"]
mod ready;
#[path = "http/requests.rs"]
mod requests;
