//! Becoming another program.

use nix::errno::Errno;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Replaces this process by `program`, with `args` behind its own path and with the environment as it is. Returns only
/// if that did not work.
///
/// Pid, working directory, standard streams, signal mask and environment stay, byte for byte. Every descriptor opened
/// here is close-on-exec, so none is passed on. The program is told its own path as its name, because runtimes such as
/// crun choose their behaviour by it.
#[must_use]
pub fn replace(program: &Path, args: &[OsString]) -> io::Error {
    failed(attempt(program, args))
}

/// Where a command is looked for whose environment says nothing.
const USUAL: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Replaces this process by the command that `words` begin with, looked for in PATH unless it has a slash, as execvp(3)
/// does; but a file that is no program is not given to a shell. Else as [`replace`], but it is told its name as it is here.
///
/// The error is that of kind `NotFound` only where there is no such file.
#[must_use]
pub fn search(words: &[OsString]) -> io::Error {
    let Some(name) = words.first() else { return io::ErrorKind::InvalidInput.into() };
    if name.is_empty() {
        return Errno::ENOENT.into();
    }
    let argv = match self::words(words.iter().map(OsString::as_os_str)) {
        Ok(argv) => argv,
        Err(error) => return error,
    };
    if name.as_bytes().contains(&b'/') {
        return failed(execute(Path::new(name), &argv));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| USUAL.into());
    let mut error = io::Error::from(Errno::ENOENT);
    for dir in std::env::split_paths(&path) {
        let tried = failed(execute(&dir.join(name), &argv));
        match tried.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {}
            // There may be another one that can be executed.
            io::ErrorKind::PermissionDenied => error = tried,
            _ => return tried,
        }
    }
    error
}

fn failed(attempt: io::Result<std::convert::Infallible>) -> io::Error {
    match attempt {
        Err(error) => error,
        Ok(never) => match never {},
    }
}

fn attempt(program: &Path, args: &[OsString]) -> io::Result<std::convert::Infallible> {
    execute(program, &command_line(program, args)?)
}

/// The words that `program` is given: its own path, and `args` as they are, in their order, byte for byte.
///
/// # Errors
/// A word with a zero byte in it, which none has that came by execve(2).
pub fn command_line(program: &Path, args: &[OsString]) -> io::Result<Vec<CString>> {
    words(std::iter::once(program.as_os_str()).chain(args.iter().map(OsString::as_os_str)))
}

fn words<'a>(words: impl Iterator<Item = &'a OsStr>) -> io::Result<Vec<CString>> {
    Ok(words.map(|word| CString::new(word.as_bytes())).collect::<Result<_, _>>()?)
}

fn execute(program: &Path, argv: &[CString]) -> io::Result<std::convert::Infallible> {
    let program = CString::new(program.as_os_str().as_bytes())?;
    crate::sys::restore_sigpipe()?;
    // Not std's Command: it would clear a signal mask that was inherited. execv(3) passes `environ` on untouched.
    Ok(nix::unistd::execv(&program, argv)?)
}
