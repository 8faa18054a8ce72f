//! The operator's commands, the real binary on the real kernel: what they show, and what they make of bad input. Pins are
//! made by interposers, without a daemon.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]

#[path = "common/isolated.rs"]
mod isolated;
#[path = "interpose/stage.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod stage;
#[path = "common/task.rs"]
mod task;

#[path = "operate/scene.rs"]
mod scene;

#[path = "operate/exec.rs"]
mod exec;
#[path = "operate/gc.rs"]
mod gc;
#[path = "operate/inspect.rs"]
mod inspect;
#[path = "operate/list.rs"]
mod list;
#[path = "operate/pipe.rs"]
mod pipe;
