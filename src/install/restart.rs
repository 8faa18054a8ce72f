//! Restarting the engine, and waiting until it answers as it should.

use super::cri;
use crate::engine::{Engine, Host};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a restart may take unless the operator says otherwise.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at an engine that is about to come.
const PAUSE: Duration = Duration::from_millis(50);
/// What a CRI may take for one answer.
const ANSWER: Duration = Duration::from_secs(5);
/// How many of the engine's last words are repeated.
const LINES: usize = 10;
/// How much of a command's output is kept.
const MAX_BYTES: u64 = 64 << 10;

/// How the engine is restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// `systemctl restart` of its unit, by the host's own systemctl in the host's root. A systemctl that finds itself in a
    /// chroot does nothing, unless it is told that this is meant (systemd `ENVIRONMENT.md`, SYSTEMD_IGNORE_CHROOT).
    Systemd(String),
    /// A line for the host's shell, in the host's root.
    Shell(String),
}

impl std::fmt::Display for How {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Systemd(unit) => write!(f, "systemctl restart {unit}"),
            Self::Shell(line) => f.write_str(line),
        }
    }
}

/// Why the engine is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum RestartError {
    /// The command could not be run: the engine is as it was.
    #[error("restart by `{how}`: {source}")]
    Start {
        /// The command.
        how: How,
        /// Why.
        source: io::Error,
    },
    /// It failed.
    #[error("restart by `{how}`: {status}{}", words(said))]
    Failed {
        /// The command.
        how: How,
        /// How it ended.
        status: String,
        /// What was said.
        said: String,
    },
    /// The engine did not come.
    #[error("restarted by `{how}`, and after {} s {why}{}", patience.as_secs(), words(said))]
    Late {
        /// The command.
        how: How,
        /// How long was waited.
        patience: Duration,
        /// What is not as it should be.
        why: String,
        /// What was said.
        said: String,
    },
}

fn words(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!("; its last words:\n{said}") }
}

/// An engine that can be restarted.
#[derive(Debug)]
pub(super) struct Restarter<'a> {
    pub(super) host: &'a Host,
    pub(super) engine: &'a Engine,
    pub(super) how: How,
    pub(super) patience: Duration,
}

/// What the engine's CRI is to say after its restart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Handlers that are to be there.
    pub(super) with: &'a [String],
    /// Handlers that are not.
    pub(super) without: &'a [String],
}

impl Restarter<'_> {
    /// Restarts the engine. Holds on `Ok`: a new process answers on its socket, is ready, and knows the handlers that are
    /// wanted and none of the others.
    ///
    /// # Errors
    /// [`RestartError`], with what the command and the journal have to say.
    pub(super) fn restart(&self, wanted: Wanted<'_>) -> Result<(), RestartError> {
        let socket = self.socket();
        let before = mark(&socket);
        let deadline = Instant::now() + self.patience;
        let said = self.run(deadline)?;
        loop {
            let why = match look(&socket, before, wanted) {
                Ok(()) => return Ok(()),
                Err(why) => why,
            };
            if Instant::now() >= deadline {
                let said = self.last_words(said);
                return Err(RestartError::Late { how: self.how.clone(), patience: self.patience, why, said });
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn socket(&self) -> PathBuf {
        self.host.path(&self.engine.socket).unwrap_or_else(|_| self.engine.socket.clone())
    }

    /// Runs the command to its end; what it has said on its standard error.
    fn run(&self, deadline: Instant) -> Result<String, RestartError> {
        let failed = |source| RestartError::Start { how: self.how.clone(), source };
        // A file and no pipe: what the command leaves behind may keep it open.
        // In memory: an image of berth alone has no directory for it.
        let output = rustix::fs::memfd_create("restart", rustix::fs::MemfdFlags::CLOEXEC);
        let mut output = File::from(output.map_err(|errno| failed(errno.into()))?);
        let mut child = self.command(&output).map_err(failed)?;
        let status = match wait(&mut child, deadline) {
            Ok(Some(status)) if status.success() => return Ok(tail(&mut output)),
            Ok(Some(status)) => status.to_string(),
            Ok(None) => format!("did not end within {} s", self.patience.as_secs()),
            Err(error) => format!("how it ended is not known: {error}"),
        };
        let said = self.last_words(tail(&mut output));
        Err(RestartError::Failed { how: self.how.clone(), status, said })
    }

    fn command(&self, output: &File) -> io::Result<Child> {
        let (program, args) = match &self.how {
            How::Systemd(unit) => (self.host.program("systemctl"), vec!["restart", unit.as_str()]),
            How::Shell(line) => (Some(PathBuf::from("/bin/sh")), vec!["-c", line.as_str()]),
        };
        let program = program.ok_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, "there is no systemctl on the host: use --restart-command")
        })?;
        let mut command = Command::new(program);
        command.args(args).current_dir("/").process_group(0).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(output.try_clone()?);
        if !self.host.is_here() {
            command.env("SYSTEMD_IGNORE_CHROOT", "1");
            crate::sys::run_below(&mut command, self.host.root())?;
        }
        command.spawn()
    }

    /// What was said when it did not work: by the command, and by the engine into the journal.
    fn last_words(&self, said: String) -> String {
        let How::Systemd(unit) = &self.how else { return said };
        let Some(journalctl) = self.host.program("journalctl") else { return said };
        let count = LINES.to_string();
        let args = ["--unit", unit, "--lines", &count, "--no-pager", "--output", "cat"];
        let journal = self.host.run(&journalctl, &args).map(|said| said.out).unwrap_or_default();
        [said.trim_end(), journal.trim_end()]
            .iter()
            .filter(|text| !text.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// Which socket it is: an engine makes a new one when it starts.
fn mark(socket: &Path) -> Option<(u64, u64, i64, i64)> {
    let data = std::fs::symlink_metadata(socket).ok()?;
    Some((data.dev(), data.ino(), data.ctime(), data.ctime_nsec()))
}

/// When the engine made its socket, in seconds of the Unix epoch.
pub(super) fn since(host: &Host, socket: &Path) -> Option<u64> {
    let path = host.path(socket).ok()?;
    let (_, _, seconds, _) = mark(&path)?;
    crate::unix::connect(&path, ANSWER).ok()?;
    seconds.try_into().ok()
}

/// Whether somebody listens on the engine's socket.
pub(super) fn answers(host: &Host, engine: &Engine) -> bool {
    // One that is too busy to take a connection is there.
    let nobody =
        |error: &io::Error| [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused].contains(&error.kind());
    host.path(&engine.socket).is_ok_and(|path| crate::unix::connect(&path, ANSWER).err().is_none_or(|e| !nobody(&e)))
}

fn look(socket: &Path, before: Option<(u64, u64, i64, i64)>, wanted: Wanted<'_>) -> Result<(), String> {
    let shown = socket.display();
    let now = mark(socket);
    if now.is_none() {
        return Err(format!("there is no socket {shown}"));
    }
    if now == before {
        return Err(format!("its socket {shown} is still that of the process before"));
    }
    let status = cri::status(socket, ANSWER).map_err(|error| format!("its socket {shown}: {error}"))?;
    if !status.ready {
        return Err("it says that it is not ready".to_owned());
    }
    let has = |name: &&String| status.handlers.contains(*name);
    if let Some(missing) = wanted.with.iter().find(|name| !has(name)) {
        return Err(format!("it does not know the handler {missing}"));
    }
    match wanted.without.iter().find(has) {
        Some(left) => Err(format!("it still knows the handler {left}")),
        None => Ok(()),
    }
}

fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<std::process::ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            let group = nix::unistd::Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
            match nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL) {
                // It has ended in between.
                Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
                Err(errno) => return Err(errno.into()),
            }
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn tail(output: &mut File) -> String {
    let mut bytes = Vec::new();
    // What was read before an error is all there is to say.
    if output.rewind().is_ok() {
        drop(output.take(MAX_BYTES).read_to_end(&mut bytes));
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default().join("\n")
}
