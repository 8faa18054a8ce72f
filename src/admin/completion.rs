//! `berth completion`: how the command line goes on, for a shell.

use super::AdminError;
use crate::cli::{Cli, Completion, Shell};
use crate::exit::Exit;
use clap::CommandFactory;
use clap_complete::aot;
use std::io::Write;

/// Writes the script that the shell is to read.
///
/// # Errors
/// `out` cannot be written.
pub fn completion(command: Completion, out: &mut dyn Write) -> Result<Exit, AdminError> {
    let shell = match command.shell {
        Shell::Bash => aot::Shell::Bash,
        Shell::Zsh => aot::Shell::Zsh,
        Shell::Fish => aot::Shell::Fish,
    };
    // Into memory first: the generator takes a write that fails for a bug.
    let mut script = Vec::new();
    aot::generate(shell, &mut Cli::command(), "berth", &mut script);
    out.write_all(&script)?;
    Ok(Exit::Ok)
}
