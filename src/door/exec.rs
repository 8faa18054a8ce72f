//! Becoming another program.

use std::ffi::{CString, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Replaces this process by `program`, with `args` behind its own path and with the environment as it is. Returns only
/// if that did not work.
///
/// Pid, working directory, standard streams, signal mask and environment stay, byte for byte. Every descriptor opened
/// here is close-on-exec, so none is passed on. The program is told its own path as its name, because runtimes such as
/// crun choose their behaviour by it.
#[must_use]
pub fn replace(program: &Path, args: &[OsString]) -> io::Error {
    match attempt(program, args) {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

fn attempt(program: &Path, args: &[OsString]) -> io::Result<std::convert::Infallible> {
    let program = CString::new(program.as_os_str().as_bytes())?;
    let mut argv = vec![program.clone()];
    for arg in args {
        argv.push(CString::new(arg.clone().into_vec())?);
    }
    crate::sys::restore_sigpipe()?;
    // Not std's Command: it would clear a signal mask that was inherited. execv(3) passes `environ` on untouched.
    Ok(nix::unistd::execv(&program, &argv)?)
}
