//! Running a program of the host: below its root directory, for a limited time, with a limited answer.

use super::RunError;
use super::host::Host;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long an answer is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The longest answer.
const MAX_BYTES: usize = 4 << 20;

/// What a program said that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Host {
    /// Runs the host's `program` with `args`, in the host's root directory, with nothing on its standard input and nothing
    /// of this process's environment but a PATH of the usual directories. It is killed, with what it has started, if it
    /// takes longer than ten seconds.
    ///
    /// # Errors
    /// [`RunError`]; an exit code other than 0 is one.
    pub fn run(&self, program: &Path, args: &[&str]) -> Result<Said, RunError> {
        self.run_within(PATIENCE, program, args)
    }

    /// As [`Host::run`], with a limit of the caller's.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn run_within(&self, limit: Duration, program: &Path, args: &[&str]) -> Result<Said, RunError> {
        let words: Vec<_> = std::iter::once(program.to_string_lossy().into_owned())
            .chain(args.iter().map(|&arg| arg.to_owned()))
            .collect();
        let name = words.join(" ");
        if !self.is_program(program) {
            return Err(RunError::NotFound(program.display().to_string()));
        }
        let mut command = Command::new(program);
        command.args(args).env_clear().env("PATH", Self::search_path()).current_dir("/");
        // What it starts is killed with it.
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let start = |source| RunError::Start { command: name.clone(), source };
        if !self.is_here() {
            crate::sys::run_below(&mut command, self.root()).map_err(start)?;
        }
        let child = command.spawn().map_err(start)?;
        answer(child, limit, name)
    }
}

fn answer(mut child: Child, limit: Duration, command: String) -> Result<Said, RunError> {
    let deadline = Instant::now() + limit;
    let pipes = collect(child.stdout.take()).and_then(|out| Ok([out, collect(child.stderr.take())?]));
    let pipes = match pipes {
        Ok(pipes) => pipes,
        Err(source) => {
            end(&mut child);
            return Err(RunError::Lost { command, source });
        }
    };
    let ended = pipes.map(|pipe| pipe.map_or(Ok(Ok(Vec::new())), |pipe| text(&pipe, deadline)));
    let waited = match &ended {
        [Ok(Ok(out)), Ok(Ok(err))] if out.len().max(err.len()) <= MAX_BYTES => wait(&mut child, deadline),
        _ => Ok(None),
    };
    let Ok(Some(status)) = waited else {
        end(&mut child);
        let full = ended.iter().flatten().flatten().any(|text| text.len() > MAX_BYTES);
        let lost = ended.into_iter().flatten().find_map(Result::err).or(waited.err());
        return Err(match lost {
            Some(source) => RunError::Lost { command, source },
            None if full => RunError::TooMuch { command, limit: MAX_BYTES },
            None => RunError::Late { command, limit },
        });
    };
    let [out, err] =
        ended.map(|text| String::from_utf8_lossy(&text.ok().and_then(Result::ok).unwrap_or_default()).into_owned());
    if status.success() {
        return Ok(Said { out, err });
    }
    let said = err.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned();
    Err(RunError::Failed { command, status: status.to_string(), said })
}

/// What is read from a pipe, all of it: half an answer is none, since it may be a configuration.
type Collected = Receiver<io::Result<Vec<u8>>>;

/// Has a thread read a pipe: a full one would stop the program, and there are two.
fn collect(pipe: Option<impl Read + Send + 'static>) -> io::Result<Option<Collected>> {
    let Some(pipe) = pipe else { return Ok(None) };
    let (sender, receiver) = channel();
    std::thread::Builder::new().spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
        drop(sender.send(read.map(|_| bytes)));
    })?;
    Ok(Some(receiver))
}

fn text(pipe: &Collected, deadline: Instant) -> Result<io::Result<Vec<u8>>, RecvTimeoutError> {
    pipe.recv_timeout(deadline.saturating_duration_since(Instant::now()))
}

/// `Ok(None)`: it has not ended in time.
fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        match child.try_wait()? {
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(2)),
            ended => return Ok(ended),
        }
    }
}

/// Kills what was started: the program is the leader of a process group of its own.
fn end(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        // ESRCH: it has ended by itself.
        nix::sys::signal::killpg(nix::unistd::Pid::from_raw(group), nix::sys::signal::Signal::SIGKILL)
            .unwrap_or_default();
    }
    drop(child.wait());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Host {
        Host::new(Path::new("/")).expect("root")
    }

    fn sh(script: &str) -> Result<Said, RunError> {
        here().run_within(Duration::from_secs(5), Path::new("/bin/sh"), &["-c", script])
    }

    #[test]
    fn what_a_program_prints_is_returned() {
        let said = sh("echo data; echo remark >&2; read -r line || echo no input").expect("sh");
        assert_eq!(said, Said { out: "data\nno input\n".into(), err: "remark\n".into() });
    }

    #[test]
    fn a_failure_says_the_command_its_status_and_its_last_words() {
        let error = sh("echo first >&2; echo last >&2; exit 3").expect_err("fails");
        let text = error.to_string();
        assert!(text.starts_with("/bin/sh -c ") && text.ends_with(": exit status: 3: last"), "{text}");
    }

    #[test]
    fn a_program_that_does_not_end_is_killed_with_what_it_started() {
        let dir = tempfile::tempdir().expect("dir");
        let pid = dir.path().join("pid");
        let script = format!("sleep 3600 & echo $! > {}; wait", pid.display());
        let limit = Duration::from_secs(1);
        let error = here().run_within(limit, Path::new("/bin/sh"), &["-c", &script]).expect_err("late");
        assert!(matches!(error, RunError::Late { .. }), "{error}");
        let pid = std::fs::read_to_string(pid).expect("pid");
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        let deadline = Instant::now() + Duration::from_secs(10);
        while !gone() {
            assert!(Instant::now() < deadline, "process {pid} is still there");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_program_that_prints_without_end_is_ended() {
        let error = sh("yes").expect_err("too much");
        assert!(matches!(error, RunError::TooMuch { .. }), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = here().run(Path::new("/none/crio"), &["version"]).expect_err("none");
        assert_eq!(error.to_string(), "/none/crio: not found as an executable file on the host");
    }
}
