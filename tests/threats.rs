//! What `docs/security.md` says that somebody could try, tried on the real kernel: paths and links, and what is exchanged between
//! two looks. Forged identity, hostile peers and races have tests of their own; the document names them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]
#![allow(clippy::print_stderr, reason = "a failing test shows the log")]

#[path = "common/fake_runtime.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod fake_runtime;
#[path = "common/isolated.rs"]
mod isolated;
#[path = "daemon/node.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod node;
#[path = "interpose/stage.rs"]
#[allow(dead_code, reason = "each test file uses a part of it")]
mod stage;

#[path = "threats/bundles.rs"]
mod bundles;
#[path = "threats/delegates.rs"]
mod delegates;
#[path = "threats/exchanged.rs"]
mod exchanged;
#[path = "threats/ids.rs"]
mod ids;
#[path = "threats/places.rs"]
mod places;
