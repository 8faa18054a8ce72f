//! `berth config`: a file checked, or the default one.

use super::AdminError;
use crate::cli;
use crate::config::{Config, DEFAULT_TEXT};
use crate::exit::Exit;
use std::io::Write;

/// Writes that a file is good, or what holds without one.
///
/// # Errors
/// Every mistake of the file; `out` cannot be written.
pub fn config(command: cli::Config, out: &mut dyn Write) -> Result<Exit, AdminError> {
    match command {
        cli::Config::Default => out.write_all(DEFAULT_TEXT.as_bytes())?,
        cli::Config::Check { file } => {
            let count = Config::load(Some(&file))?.policy.profiles.len();
            writeln!(out, "{}: ok, {count} profiles", file.display())?;
        }
    }
    Ok(Exit::Ok)
}
