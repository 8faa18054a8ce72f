//! `berth install` and `berth uninstall`.

use super::{AdminError, Remarks};
use crate::cli;
use crate::install::{self, Told};
use std::io::Write;

/// Prints the plan of an install, or carries it out and prints what was done.
///
/// # Errors
/// What stood in the way, or `out` cannot be written.
pub fn install(command: cli::Install, out: &mut dyn Write) -> Result<Remarks, AdminError> {
    let (order, wanted) = command.parts();
    tell(install::install(&order, &wanted)?, out)
}

/// Prints the plan of an uninstall, or carries it out and prints what was done.
///
/// # Errors
/// As [`install()`].
pub fn uninstall(command: cli::Uninstall, out: &mut dyn Write) -> Result<Remarks, AdminError> {
    tell(install::uninstall(&command.doing.order())?, out)
}

fn tell(told: Told, out: &mut dyn Write) -> Result<Remarks, AdminError> {
    out.write_all(told.text.as_bytes())?;
    match told.left {
        None => Ok(told.remarks),
        Some(left) => {
            told.remarks.iter().for_each(|remark| crate::streams::remark(remark));
            Err(AdminError::Left(left))
        }
    }
}
