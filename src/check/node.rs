//! What can be seen of a node.

use super::wrapped::Wrapped;
use crate::config::{Config, ConfigError, DEFAULT_PATH};
use crate::engine::{Candidate, Choice, Distribution, Effective, Engine, EngineError, Host, Kind, Source};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is to be looked at.
#[derive(Debug)]
pub struct Request {
    /// The host's root directory.
    pub host_root: PathBuf,
    /// Which engine.
    pub choice: Choice,
    /// berth's configuration, if it is named: a path of this process's, whatever the host's root is.
    pub config: Option<PathBuf>,
    /// Where records are, on the host.
    pub state_dir: PathBuf,
    /// Where pins are, on the host.
    pub netns_dir: PathBuf,
    /// The plugin's index.
    pub index: String,
    /// The plugin's name.
    pub name: String,
}

/// A node, as it is now.
#[derive(Debug)]
pub struct Node {
    /// Its files.
    pub host: Host,
    /// Its engine.
    pub engine: Result<Engine, EngineError>,
    /// What that runs with.
    pub effective: Result<Effective, EngineError>,
    /// What that would run with if it were started now, where it runs with something else.
    pub on_disk: Option<Result<Effective, EngineError>>,
    /// berth's configuration.
    pub config: Result<Config, ConfigError>,
    /// Where records are, on the host.
    pub state_dir: PathBuf,
    /// Where pins are, on the host.
    pub netns_dir: PathBuf,
    /// The plugin's index.
    pub index: String,
    /// The plugin's name.
    pub name: String,
    /// The file of the running berth, as this process sees it.
    pub own: PathBuf,
    /// What this process may do.
    pub privileges: Privileges,
}

/// What a process may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Privileges {
    /// It is root, in its user namespace.
    pub root: bool,
    /// Its effective capabilities, by bit.
    pub capabilities: u64,
    /// A filter is on its system calls.
    pub filtered: bool,
}

impl Privileges {
    /// This process's, from its status; none where that cannot be read.
    #[must_use]
    pub fn here() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self { root: nix::unistd::geteuid().is_root(), ..Self::of(&status) }
    }

    /// What a `/proc/<pid>/status` says (proc_pid_status(5)). Pure.
    fn of(status: &str) -> Self {
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        Self {
            root: false,
            capabilities: field("CapEff:").and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or_default(),
            filtered: field("Seccomp:").is_some_and(|mode| mode != "0"),
        }
    }

    /// Whether it has the capability of this number (capabilities(7)).
    #[must_use]
    pub fn has(&self, capability: u32) -> bool {
        self.capabilities & (1 << capability) != 0
    }
}

impl Node {
    /// Looks at the node; what cannot be seen is an error in its place.
    ///
    /// # Errors
    /// The host's root is no directory.
    pub fn look(request: Request) -> Result<Self, EngineError> {
        let host = Host::new(&request.host_root)?;
        let engine = Engine::find(&host, &request.choice);
        let absent = || EngineError::None(Vec::new());
        let effective = engine.as_ref().map_err(|_| absent()).and_then(|engine| Effective::of(&host, engine));
        let of_process = effective.as_ref().is_ok_and(|effective| effective.source == Source::Process);
        let on_disk = engine.as_ref().ok().filter(|_| of_process).map(|engine| {
            let files = Candidate { config: &engine.config, drop_ins: engine.drop_ins.as_deref() };
            Effective::of_candidate(&host, engine, files)
        });
        let config = match &request.config {
            Some(path) => Config::load(Some(path)),
            None => usual_config(&host),
        };
        Ok(Self {
            engine,
            effective,
            on_disk,
            config,
            state_dir: request.state_dir,
            netns_dir: request.netns_dir,
            index: request.index,
            name: request.name,
            own: "/proc/self/exe".into(),
            privileges: Privileges::here(),
            host,
        })
    }

    /// The engine that was found.
    pub(super) fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref().ok()
    }

    /// What holds of its configuration.
    pub(super) fn effective(&self) -> Option<&Effective> {
        self.effective.as_ref().ok()
    }

    /// The engine's version, if it is known.
    pub(super) fn version(&self) -> Option<(u64, u64, u64)> {
        self.engine()?.version.as_ref().ok().map(|version| version.core)
    }

    /// The engine's version, as it prints it.
    pub(super) fn version_text(&self) -> String {
        let version = self.engine().and_then(|engine| engine.version.as_ref().ok());
        version.map_or_else(|| "of unknown version".to_owned(), ToString::to_string)
    }

    /// The host's path, where it is to be found from here; the same path where that cannot be told.
    pub(super) fn here(&self, path: &Path) -> PathBuf {
        self.host.path(path).unwrap_or_else(|_| path.to_owned())
    }

    /// The file in which a setting of the engine is to be made that no file has yet, for hints. Not berth's own, which is
    /// written anew by each install; where files are read in the order of their names, one that comes last.
    pub(super) fn file(&self) -> String {
        let Some(engine) = self.engine() else { return String::new() };
        match (engine.kind, engine.distribution) {
            (Kind::CriO, _) => {
                let dir = engine.drop_ins.as_deref().unwrap_or(Path::new("/etc/crio/crio.conf.d"));
                dir.join("99-local.conf").display().to_string()
            }
            (_, Distribution::K3s | Distribution::Rke2) => {
                let before_2 = self.version().is_some_and(|version| version < (2, 0, 0));
                let template = if before_2 { "config.toml.tmpl" } else { "config-v3.toml.tmpl" };
                engine.config.with_file_name(template).display().to_string()
            }
            (_, Distribution::K0s) => "/etc/k0s/containerd.d/99-local.toml".to_owned(),
            (_, Distribution::MicroK8s) => {
                engine.config.with_file_name("containerd-template.toml").display().to_string()
            }
            (_, Distribution::Plain) => engine.config.display().to_string(),
        }
    }

    /// How the engine is made to read its files again.
    pub(super) fn restart(&self) -> String {
        self.engine().map(|engine| format!("systemctl restart {}", engine.unit)).unwrap_or_default()
    }

    /// The handlers that berth is in front of.
    pub(super) fn wrapped(&self) -> Vec<Wrapped<'_>> {
        self.effective().map(|effective| Wrapped::all(self, effective)).unwrap_or_default()
    }

    /// The PATH of the engine's process, which its shims and runtimes have, too.
    pub(super) fn engine_path(&self) -> Option<OsString> {
        let pid = self.engine()?.running.as_ref()?.pid;
        let environ = std::fs::read(self.host.proc().join(pid.to_string()).join("environ")).ok()?;
        let path = environ.split(|&byte| byte == 0).find_map(|variable| variable.strip_prefix(b"PATH="))?;
        Some(OsString::from_vec(path.to_vec()))
    }

    /// Whether the host's file at `path` is this very berth: the same file, or a copy.
    ///
    /// # Errors
    /// It may not be looked at.
    pub(super) fn is_own(&self, path: &Path) -> io::Result<bool> {
        let (own, other) = (std::fs::metadata(&self.own)?, std::fs::metadata(self.host.path(path)?)?);
        if (own.dev(), own.ino()) == (other.dev(), other.ino()) {
            return Ok(true);
        }
        // Reading both costs a few milliseconds, and only copies are as long.
        let same_bytes = || Ok::<_, io::Error>(std::fs::read(&self.own)? == std::fs::read(self.host.path(path)?)?);
        Ok(other.is_file() && own.len() == other.len() && same_bytes()?)
    }
}

/// The host's own configuration; the defaults where it has none.
fn usual_config(host: &Host) -> Result<Config, ConfigError> {
    let path = host.path(Path::new(DEFAULT_PATH)).unwrap_or_else(|_| DEFAULT_PATH.into());
    match Config::load(Some(&path)) {
        Err(error) if error.is_not_found() => Ok(Config::built_in()),
        loaded => loaded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_are_read_off_a_status() {
        let status = "Name:\tberth\nCapEff:\t0000000000200000\nNoNewPrivs:\t0\nSeccomp:\t2\n";
        let told = Privileges::of(status);
        assert!(told.has(21) && !told.has(19) && told.filtered);
        assert_eq!(Privileges::of(""), Privileges { root: false, capabilities: 0, filtered: false });
    }
}
