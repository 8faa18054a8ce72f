//! The engine: which one, and whether its configuration holds together.

use super::{Node, drop_ins};
use crate::engine::{Effective, Engine, EngineError, Kind, RunError, Source};
use crate::exit::chain;
use crate::finding::Finding;
use std::io::ErrorKind;
use std::path::Path;

pub(super) const ENGINE: &str = "engine";
pub(super) const CONFIG: &str = "engine-config";

/// The oldest release that berth was ever run with, of each.
fn oldest(kind: Kind) -> (u64, u64) {
    match kind {
        Kind::Containerd => (1, 6),
        Kind::CriO => (1, 36),
    }
}

/// It is there, it runs, and berth knows it.
pub(super) fn engine(node: &Node) -> Vec<Finding> {
    let engine = match &node.engine {
        Ok(engine) => engine,
        Err(error @ EngineError::Several(_)) => {
            return vec![Finding::fail(ENGINE, chain(error), "say which one is meant with --engine or --config-file")];
        }
        Err(error) => {
            let hint = "start containerd or CRI-O; where its files are elsewhere, name them with --config-file, --engine-socket and --engine-program";
            return vec![Finding::fail(ENGINE, chain(error), hint)];
        }
    };
    let version = match &engine.version {
        Ok(version) => version,
        Err(why) => {
            let message = format!("{engine}: its version is not known: {why}");
            return vec![Finding::warn(ENGINE, message, "name its program with --engine-program")];
        }
    };
    let found = format!("{} {version} with {}", engine.name(), engine.config.display());
    let Some(process) = &engine.running else {
        let hint = format!("systemctl start {}; what follows is judged by its files alone", engine.unit);
        return vec![Finding::warn(ENGINE, format!("{found}: does not run"), hint)];
    };
    let found = format!("{found}, pid {}", process.pid);
    if version.minor() < oldest(engine.kind) {
        let (major, minor) = oldest(engine.kind);
        let hint = format!("upgrade to {} {major}.{minor} or newer", engine.kind);
        return vec![Finding::warn(ENGINE, format!("{found}: older than any that berth was tested with"), hint)];
    }
    vec![Finding::pass(ENGINE, found)]
}

/// Its own parser takes its files, and it serves pods.
pub(super) fn config(node: &Node) -> Vec<Finding> {
    let Some(engine) = node.engine() else {
        return vec![Finding::skip(CONFIG, "no engine")];
    };
    let one = match &node.effective {
        Ok(effective) if !effective.cri => Finding::fail(
            CONFIG,
            format!("{}: the CRI is off, so no pod can run", engine.config.display()),
            format!(
                "take whatever has \"cri\" in its name out of disabled_plugins in {}",
                drop_ins::file_with(node, &["disabled_plugins"])
            ),
        ),
        Ok(effective) => Finding::pass(CONFIG, summary(effective)),
        Err(error) if !node.privileges.root => {
            Finding::skip(CONFIG, format!("cannot be asked for: {}; run as root", chain(error)))
        }
        Err(error) => Finding::fail(CONFIG, chain(error), remedy(engine, error)),
    };
    vec![one]
}

/// What to do where the engine's parser says nothing.
fn remedy(engine: &Engine, error: &EngineError) -> String {
    match error {
        EngineError::Run(RunError::NotFound(_)) => "name its program with --engine-program".to_owned(),
        EngineError::Run(RunError::Start { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {
            "run as root; in a container, with SYS_CHROOT in securityContext.capabilities.add".to_owned()
        }
        _ => format!("correct {} until its own parser takes it: {}", engine.config.display(), command(engine)),
    }
}

fn summary(effective: &Effective) -> String {
    let names: Vec<_> = effective.handlers.keys().map(String::as_str).collect();
    let by = match effective.source {
        Source::Process => "the running engine",
        Source::Files => "its parser",
    };
    format!("{by} says: handlers {}; default {}", names.join(", "), effective.default_handler)
}

/// What has its own parser read its files.
pub(super) fn command(engine: &Engine) -> String {
    let program = engine.program.as_ref().map_or(engine.kind.program().into(), |path| path.display().to_string());
    match engine.kind {
        Kind::Containerd => format!("{program} --config {} config dump", engine.config.display()),
        Kind::CriO => {
            let dir = engine.drop_ins.as_deref().unwrap_or(Path::new("")).display();
            format!("{program} --config {} --config-dir '{dir}' config", engine.config.display())
        }
    }
}
