//! `berth check`: whether this node is ready for berth.

use super::AdminError;
use crate::check::{self, Node, Report};
use crate::cli::Check;
use crate::exit::Exit;
use std::io::Write;

/// Writes what is found; changes nothing. A finding that fails is a failure, and under `--strict` one that warns, too.
///
/// # Errors
/// The host's root is no directory, or `out` cannot be written.
pub fn check(command: Check, out: &mut dyn Write) -> Result<Exit, AdminError> {
    let (form, strict) = (command.form(), command.strict);
    let node = Node::look(command.request())?;
    let report = Report::new(&node, check::run(&node));
    report.write(form, out)?;
    Ok(if report.is_good(strict) { Exit::Ok } else { Exit::Failure })
}
