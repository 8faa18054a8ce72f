//! What every command of the command line keeps to: where it writes, how it ends, how it is helped, completed and
//! documented. Each rule is tried on every command there is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot run fails")]

#[path = "cli/commands.rs"]
mod commands;
#[path = "cli/completion.rs"]
mod completion;
#[path = "cli/help.rs"]
mod help;
#[path = "cli/manual.rs"]
mod manual;
#[path = "cli/output.rs"]
mod output;
