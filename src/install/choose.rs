//! Which handlers are wrapped, and how: by which name berth stands in front of what.

use super::InstallError;
use crate::door::interpose::{self, Candidate};
use crate::engine::edit::{By, Wrap};
use crate::engine::{Effective, Engine, Handler, Host, Kind};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// What systemd gives to its services.
const USUAL: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A handler that was asked for: `NAME` or `NAME=NEW`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The one that is there.
    pub handler: String,
    /// The one that is to be beside it.
    pub new: String,
}

impl std::str::FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (handler, new) = text.split_once('=').map_or((text, None), |(handler, new)| (handler, Some(new)));
        if handler.is_empty() || new.is_some_and(str::is_empty) {
            return Err("expected NAME or NAME=NEW".to_owned());
        }
        Ok(Self { handler: handler.to_owned(), new: new.map_or_else(|| format!("{handler}-berth"), str::to_owned) })
    }
}

/// How berth stands in front of a handler's program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    /// For the engine's configuration.
    pub(super) wrap: Wrap,
    /// berth's name there.
    pub(super) name: String,
    /// What it becomes.
    pub(super) delegate: PathBuf,
    /// The name alone does not lead to the delegate: berth's configuration has to.
    pub(super) needs_entry: bool,
}

/// In front of which of a handler's programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Front {
    Shim,
    Runtime,
}

/// Where the engine looks for programs.
#[derive(Debug)]
struct Search {
    path: OsString,
    beside: Option<PathBuf>,
}

impl Search {
    /// The PATH of the engine's process; where that cannot be seen, the one that systemd gives.
    fn of(host: &Host, engine: &Engine) -> Self {
        let environ = engine.running.as_ref().map(|process| host.proc().join(process.pid.to_string()).join("environ"));
        let environ = environ.and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
        let path = environ.split(|byte| *byte == 0).find_map(|pair| pair.strip_prefix(b"PATH="));
        let path = path.map_or_else(|| USUAL.into(), |path| OsString::from_vec(path.to_vec()));
        // containerd takes a shim that is beside its own program where none is on its PATH (`core/runtime/v2/shim_manager.go`).
        let beside = engine.program.as_deref().and_then(Path::parent).map(Path::to_owned);
        Self { path, beside: beside.filter(|_| engine.kind == Kind::Containerd) }
    }

    /// What the engine runs when it is told this name.
    fn by_engine(&self, host: &Host, name: &Path, front: Front) -> Option<PathBuf> {
        if name.is_absolute() {
            return host.is_program(name).then(|| name.to_owned());
        }
        let beside = self.beside.iter().filter(|_| front == Front::Shim).cloned();
        let dirs = std::env::split_paths(&self.path).filter(|dir| dir.is_absolute());
        dirs.chain(beside).map(|dir| dir.join(name)).find(|path| host.is_program(path))
    }

    /// The PATH that an interposer will have: CRI-O's monitor gives runtimes one of the handler's.
    fn of_interposer(&self, front: Front, handler: &Handler) -> OsString {
        let told = handler.monitor_env.iter().find_map(|variable| variable.strip_prefix("PATH="));
        told.filter(|_| front == Front::Runtime).map_or_else(|| self.path.clone(), OsString::from)
    }
}

/// How berth is to stand in front of what was asked for.
///
/// # Errors
/// There is no such handler, or its program is not there or is berth.
pub(super) fn choose(
    host: &Host,
    engine: &Engine,
    effective: &Effective,
    asked: &[Asked],
    bin_dir: &Path,
) -> Result<Vec<Chosen>, InstallError> {
    let search = Search::of(host, engine);
    let mut chosen: Vec<Chosen> = Vec::new();
    for Asked { handler, new } in asked {
        let told = effective.handlers.get(handler).ok_or_else(|| InstallError::UnknownHandler {
            handler: handler.clone(),
            known: candidates(effective, &[]).join(", "),
        })?;
        let (front, wanted) = program(engine.kind, handler, told);
        let delegate = search
            .by_engine(host, &wanted, front)
            .ok_or_else(|| InstallError::NoDelegate { handler: handler.clone(), program: wanted.clone() })?;
        if is_berth(host, &delegate) {
            return Err(InstallError::Recursion { handler: handler.clone(), delegate });
        }
        let file = delegate.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let (mut name, by_name) = name(engine.kind, front, &file);
        let found = interpose::search(&name, None, Some(&search.of_interposer(front, told)), |path| look(host, path));
        let resolve = |path: &Path| host.resolve(path).ok();
        let mut needs_entry = !by_name || found.ok().and_then(|found| resolve(&found)) != resolve(&delegate);
        if chosen.iter().any(|other| other.name == name && other.delegate != delegate) {
            name = self::name(engine.kind, front, &own_name(front, handler)).0;
            needs_entry = true;
        }
        let path = bin_dir.join(&name);
        let by = if front == Front::Shim { By::ShimPath(path) } else { By::BinaryName(path) };
        let wrap = Wrap { handler: handler.clone(), new: new.clone(), by };
        chosen.push(Chosen { wrap, name, delegate, needs_entry });
    }
    Ok(chosen)
}

/// Handlers that can be wrapped: not the default one, not berth's own.
#[must_use]
pub(super) fn candidates(effective: &Effective, own: &[String]) -> Vec<String> {
    let names = effective.handlers.keys();
    names.filter(|name| **name != effective.default_handler && !own.contains(name)).cloned().collect()
}

/// The program that the engine runs for a handler, as it is told it.
fn program(kind: Kind, name: &str, handler: &Handler) -> (Front, PathBuf) {
    let path = handler.runtime_path.clone();
    match kind {
        Kind::CriO if handler.kind == "vm" => (Front::Shim, path.unwrap_or_else(|| name.into())),
        // Without a path CRI-O looks for the handler's name (`pkg/config/config.go`, `ValidateRuntimePath`).
        Kind::CriO => (Front::Runtime, path.unwrap_or_else(|| name.into())),
        Kind::Containerd if is_runcs(&handler.kind) => {
            (Front::Runtime, handler.binary_name.clone().unwrap_or_else(|| "runc".into()))
        }
        Kind::Containerd => (Front::Shim, path.unwrap_or_else(|| shim(&handler.kind))),
    }
}

/// containerd's own shim, which takes the OCI runtime's name as an option.
fn is_runcs(kind: &str) -> bool {
    matches!(kind, "io.containerd.runc.v2" | "io.containerd.runc.v1")
}

/// The shim of a type, `io.containerd.kata.v2` or a path (containerd `core/runtime/v2/shim_manager.go`).
fn shim(kind: &str) -> PathBuf {
    if Path::new(kind).is_absolute() {
        return kind.into();
    }
    let mut parts = kind.rsplit('.');
    let (version, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("containerd-shim-{name}-{version}").into()
}

/// The name for berth in front of the program `file`, and whether that name says what is behind it.
fn name(kind: Kind, front: Front, file: &str) -> (String, bool) {
    let shim = file.strip_prefix("containerd-shim-").and_then(|rest| rest.rsplit_once("-v"));
    match (front, shim) {
        // CRI-O takes no shim of another name (`pkg/config/config.go`, `ValidateRuntimeVMBinaryPattern`).
        (Front::Shim, Some((x, version))) if kind == Kind::CriO => {
            (format!("containerd-shim-berth-{x}-v2"), version == "2")
        }
        (Front::Shim, Some((x, version))) => (format!("containerd-shim-berth-{x}-v{version}"), true),
        (Front::Shim, None) => (format!("containerd-shim-berth-{file}-v2"), false),
        (Front::Runtime, _) => (format!("berth-{file}"), true),
    }
}

/// What stands for the program where its own name is taken.
fn own_name(front: Front, handler: &str) -> String {
    match front {
        Front::Shim => format!("containerd-shim-{handler}-v2"),
        Front::Runtime => handler.to_owned(),
    }
}

fn look(host: &Host, path: &Path) -> io::Result<Candidate> {
    Ok(if !host.is_program(path) {
        Candidate::Unusable("is not a program")
    } else if is_berth(host, path) {
        Candidate::Berth
    } else {
        Candidate::Program
    })
}

/// By its name, links resolved: a berth of another version is one too.
fn is_berth(host: &Host, program: &Path) -> bool {
    let resolved = host.resolve(program).unwrap_or_else(|_| program.to_owned());
    resolved.file_name().is_some_and(|name| name == "berth")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_behind_them() {
        for (kind, front, file, wanted) in [
            (Kind::Containerd, Front::Runtime, "crun", ("berth-crun", true)),
            (Kind::Containerd, Front::Shim, "containerd-shim-runsc-v1", ("containerd-shim-berth-runsc-v1", true)),
            (Kind::CriO, Front::Shim, "containerd-shim-runsc-v1", ("containerd-shim-berth-runsc-v2", false)),
            (Kind::CriO, Front::Shim, "containerd-shim-kata-v2", ("containerd-shim-berth-kata-v2", true)),
            (Kind::Containerd, Front::Shim, "my-shim", ("containerd-shim-berth-my-shim-v2", false)),
        ] {
            assert_eq!(name(kind, front, file), (wanted.0.to_owned(), wanted.1), "{file}");
        }
    }

    #[test]
    fn the_engine_runs_what_the_handler_says() {
        let handler = |kind: &str| Handler { kind: kind.into(), ..Handler::default() };
        let told = |kind, handler: Handler| program(kind, "x", &handler);
        assert_eq!(told(Kind::Containerd, handler("io.containerd.runc.v2")), (Front::Runtime, "runc".into()));
        let crun = Handler { binary_name: Some("/usr/bin/crun".into()), ..handler("io.containerd.runc.v2") };
        assert_eq!(told(Kind::Containerd, crun), (Front::Runtime, "/usr/bin/crun".into()));
        assert_eq!(
            told(Kind::Containerd, handler("io.containerd.kata.v2")),
            (Front::Shim, "containerd-shim-kata-v2".into())
        );
        let kata = Handler {
            runtime_path: Some("/opt/kata/bin/containerd-shim-kata-v2".into()),
            ..handler("io.containerd.kata-qemu.v2")
        };
        assert_eq!(told(Kind::Containerd, kata).1, Path::new("/opt/kata/bin/containerd-shim-kata-v2"));
        assert_eq!(told(Kind::CriO, handler("oci")), (Front::Runtime, "x".into()));
        assert_eq!(told(Kind::CriO, handler("vm")).0, Front::Shim);
    }

    #[test]
    fn what_is_asked_for_has_a_name_of_its_own() {
        let asked = |text: &str| text.parse::<Asked>();
        assert_eq!(asked("kata"), Ok(Asked { handler: "kata".into(), new: "kata-berth".into() }));
        assert_eq!(asked("kata=vm"), Ok(Asked { handler: "kata".into(), new: "vm".into() }));
        assert!(asked("=x").is_err() && asked("x=").is_err() && asked("").is_err());
    }
}
