//! The berth binary, killed before and after each of its system calls, and with an error in the place of each call's
//! effect: whatever it was at, the next call, the next start or `berth gc` makes everything right.
//!
//! A tracer of the test's own counts the calls of a path in an undisturbed run, and then disturbs one call a run, each on
//! a fresh stage in namespaces of its own. What is right is said once, in `state` and `sweep`.
//!
//! The short form takes some of the calls. `BERTH_FAULTS=all` takes every one and every error that it can give, and
//! `BERTH_BIN` another binary than the one that was built for the tests. What was done is printed with `--nocapture`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]
#![allow(clippy::print_stdout, reason = "says what was done")]

#[cfg(not(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu")))]
compile_error!("these tests read and write the registers of a traced program, and know only those of x86_64");

#[path = "common/fake_runtime.rs"]
mod fake_runtime;
#[path = "common/isolated.rs"]
mod isolated;
#[path = "rig/provision.rs"]
#[allow(dead_code, reason = "containerd's program is asked for, and no rig")]
mod provision;

#[path = "faults/alone.rs"]
mod alone;
#[path = "faults/calls.rs"]
mod calls;
#[path = "faults/daemon.rs"]
mod daemon;
#[path = "faults/install.rs"]
mod install;
#[path = "faults/node.rs"]
mod node;
#[path = "faults/paths.rs"]
mod paths;
#[path = "faults/scene.rs"]
mod scene;
#[path = "faults/state.rs"]
mod state;
#[path = "faults/sweep.rs"]
mod sweep;
#[path = "faults/tracer.rs"]
mod tracer;
