//! Whether the engine has read what its files say now.

use super::drop_ins::Files;
use super::{Node, engine};
use crate::engine::{Effective, Kind, Source};
use crate::exit::chain;
use crate::finding::Finding;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

pub(super) const RESTART: &str = "engine-restart";

/// A start is known to a second or so.
const BLUR: Duration = Duration::from_secs(2);

/// The engine runs with what its files say.
pub(super) fn restart(node: &Node) -> Vec<Finding> {
    let (Some(engine), Some(effective)) = (node.engine(), node.effective()) else {
        return vec![Finding::skip(RESTART, "the engine's configuration is not known")];
    };
    let Some(process) = &engine.running else { return vec![Finding::skip(RESTART, "the engine does not run")] };
    if effective.source == Source::Process {
        return vec![by_effect(node, effective)];
    }
    let Some(started) = process.started else {
        return vec![Finding::skip(RESTART, "when the engine was started cannot be told")];
    };
    let files = Files::beside(node, engine);
    let read = files.all.iter().filter(|file| engine.kind == Kind::CriO || files.is_read(file));
    let paths: Vec<_> = std::iter::once(&engine.config).chain(read.map(|file| &file.path)).collect();
    let newer = |path: &&&PathBuf| {
        let changed = node.host.look(path).ok().flatten().and_then(|data| data.modified().ok());
        changed.is_some_and(|changed| changed > started + BLUR)
    };
    let newer: Vec<_> = paths.iter().filter(newer).map(|path| path.display().to_string()).collect();
    vec![if newer.is_empty() {
        Finding::pass(RESTART, "no file was changed since the engine started")
    } else {
        let message = format!(
            "changed after the engine started: {}; what is said here holds from its next start on",
            newer.join(", ")
        );
        Finding::warn(RESTART, message, node.restart())
    }]
}

/// CRI-O tells what it runs with, and reads handlers again at SIGHUP: the time says nothing.
fn by_effect(node: &Node, running: &Effective) -> Finding {
    let files = match &node.on_disk {
        Some(Ok(files)) => files,
        Some(Err(error)) => {
            let message = format!("the engine would not start again with its files: {}", chain(error));
            let command = node.engine().map(engine::command).unwrap_or_default();
            let hint =
                format!("correct them before the node is restarted, until the engine's parser takes them: {command}");
            return Finding::fail(RESTART, message, hint);
        }
        None => return Finding::skip(RESTART, "the engine's files are not known"),
    };
    let names: BTreeSet<_> = running.handlers.keys().chain(files.handlers.keys()).collect();
    let differ = |name: &&&String| {
        let of = |effective: &Effective| {
            effective
                .handlers
                .get(**name)
                .map(|told| (told.kind.clone(), told.runtime_root.clone(), told.monitor_env.clone()))
        };
        let path = |effective: &Effective| effective.handlers.get(**name).and_then(|told| told.runtime_path.clone());
        // A path that the files leave out is one that CRI-O has found.
        of(running) != of(files) || path(files).is_some_and(|wanted| path(running) != Some(wanted))
    };
    let mut changed: Vec<_> = names.iter().filter(differ).map(|name| format!("handler {name}")).collect();
    changed.extend((running.drops_infra != files.drops_infra).then(|| "drop_infra_ctr".to_owned()));
    changed.extend((running.nri.enabled != files.nri.enabled).then(|| "enable_nri".to_owned()));
    if changed.is_empty() {
        Finding::pass(RESTART, "the engine runs with what its files say")
    } else {
        let message = format!("the files say something else than the engine runs with: {}", changed.join(", "));
        Finding::warn(RESTART, message, node.restart())
    }
}
