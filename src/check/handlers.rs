//! The handlers that berth is in front of: the program that is named is berth, and behind it is what it stands for.

use super::wrapped::{Behind, Wrapped};
use super::{Node, drop_ins};
use crate::door::interpose::{self, Candidate};
use crate::engine::{Kind, ignores_runtime_path};
use crate::exit::chain;
use crate::finding::Finding;
use crate::identity::Engine;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub(super) const PROGRAMS: &str = "interposer-files";
pub(super) const DELEGATES: &str = "delegates";
pub(super) const RUNTIME_PATH: &str = "runtime-path";
pub(super) const INTERPOSERS: &str = "interposers";

/// What to say where the engine's configuration is not known, or has no such handler.
fn none(node: &Node, check: &'static str) -> Vec<Finding> {
    let why =
        if node.effective().is_some() { "no handler is wrapped" } else { "the engine's configuration is not known" };
    vec![Finding::skip(check, why)]
}

/// Each wrapped handler once more for each way in which it is wrapped.
fn each(node: &Node, check: &'static str, one: impl Fn(&Wrapped<'_>) -> Finding) -> Vec<Finding> {
    let found: Vec<_> = node.wrapped().iter().map(one).collect();
    if found.is_empty() { none(node, check) } else { found }
}

/// What the engine would run is berth.
pub(super) fn programs(node: &Node) -> Vec<Finding> {
    each(node, PROGRAMS, |wrapped| {
        let shown = wrapped.program.display();
        let place = format!("{}: {} {shown}", wrapped.handler, wrapped.setting);
        if !node.host.is_program(&wrapped.program) {
            let message = format!("{place}: is not a file that can be executed; no pod of this handler can start");
            return Finding::fail(
                PROGRAMS,
                message,
                format!(
                    "make it a link to berth: ln -sfn berth {shown}; or take the handler out of {}",
                    drop_ins::file_of(node, wrapped.handler)
                ),
            );
        }
        match node.is_own(&wrapped.program) {
            Ok(true) => Finding::pass(PROGRAMS, format!("{place} is this berth")),
            Ok(false) => Finding::warn(
                PROGRAMS,
                format!("{place}: is another program than this berth ({})", crate::VERSION),
                format!("if it is not an older berth that is still to be exchanged: ln -sfn berth {shown}"),
            ),
            Err(error) => Finding::skip(PROGRAMS, format!("{place}: {error}")),
        }
    })
}

/// What berth becomes is there, and not berth.
pub(super) fn delegates(node: &Node) -> Vec<Finding> {
    let Ok(config) = &node.config else {
        return vec![Finding::skip(DELEGATES, "berth's configuration is not valid; it may name them")];
    };
    each(node, DELEGATES, |wrapped| {
        let entry = config.interposers.get(wrapped.name);
        let configured = entry.and_then(|entry| entry.delegate.as_deref());
        let path = path_for(node, wrapped);
        match interpose::search(wrapped.name, configured, path.as_deref(), |candidate| look(node, candidate)) {
            Ok(delegate) => Finding::pass(
                DELEGATES,
                format!("{}: {} becomes {}", wrapped.handler, wrapped.name, delegate.display()),
            ),
            Err(error) => {
                let hint = format!(
                    "put the program there, or set interposers.{}.delegate in {} to its path",
                    wrapped.name,
                    config_file(node)
                );
                Finding::fail(DELEGATES, format!("{}: {}", wrapped.handler, chain(&error)), hint)
            }
        }
    })
}

/// The PATH that the interposer will have: CRI-O's monitor gives runtimes one of the handler's.
fn path_for(node: &Node, wrapped: &Wrapped<'_>) -> Option<OsString> {
    let of_monitor = wrapped.told.monitor_env.iter().find_map(|variable| variable.strip_prefix("PATH="));
    let of_monitor = of_monitor.filter(|_| wrapped.behind == Behind::Runtime).map(OsString::from);
    of_monitor.or_else(|| node.engine_path())
}

fn look(node: &Node, path: &Path) -> io::Result<Candidate> {
    let Some(data) = node.host.look(path).map_err(|error| error.source)? else {
        return Ok(Candidate::Unusable("does not exist"));
    };
    Ok(if !data.is_file() {
        Candidate::Unusable("is not a file")
    } else if node.is_own(path)? {
        Candidate::Berth
    } else if data.mode() & 0o111 == 0 {
        Candidate::Unusable("is not executable")
    } else {
        Candidate::Program
    })
}

pub(super) fn config_file(node: &Node) -> String {
    node.config
        .as_ref()
        .ok()
        .filter(|config| config.is_from_file())
        .map_or_else(|| crate::config::DEFAULT_PATH.to_owned(), |config| config.origin.to_string())
}

/// containerd does something with the `runtime_path` that it takes.
pub(super) fn runtime_path(node: &Node) -> Vec<Finding> {
    let Some((engine, version)) =
        node.engine().zip(node.version()).filter(|(engine, _)| engine.kind == Kind::Containerd)
    else {
        return vec![Finding::skip(RUNTIME_PATH, "of containerd alone")];
    };
    if !node.wrapped().iter().any(|wrapped| wrapped.behind == Behind::Shim) {
        return vec![Finding::skip(RUNTIME_PATH, "no shim is wrapped")];
    }
    vec![if ignores_runtime_path(version) {
        Finding::fail(
            RUNTIME_PATH,
            format!(
                "containerd {} takes runtime_path and does nothing with it: its wrapped shims are not run",
                node.version_text()
            ),
            format!(
                "upgrade {} to 1.6.21, 1.7.1 or newer, or wrap the OCI runtime by options.BinaryName",
                engine.name()
            ),
        )
    } else {
        Finding::pass(RUNTIME_PATH, format!("containerd {} runs the shim that runtime_path names", node.version_text()))
    }]
}

/// The entries of berth's configuration and the engine's handlers fit together.
pub(super) fn interposers(node: &Node) -> Vec<Finding> {
    let (Some(engine), Ok(config), Some(_)) = (node.engine(), &node.config, node.effective()) else {
        return vec![Finding::skip(INTERPOSERS, "one of the two configurations is not known")];
    };
    let wrapped = node.wrapped();
    let mut found = Vec::new();
    for (name, entry) in &config.interposers {
        let users: Vec<_> = wrapped.iter().filter(|wrapped| wrapped.name == name).collect();
        let place = format!("interposers.{name}");
        let file = config_file(node);
        let of_engine = entry.engine.as_str() == engine.kind.as_str();
        if users.is_empty() && of_engine {
            let message = format!("{place}: no handler of {} runs berth by this name", engine.name());
            found.push(Finding::warn(
                INTERPOSERS,
                message,
                format!("add a handler to {}, or take the entry out of {file}", node.file()),
            ));
        }
        for user in users.iter().filter(|_| !of_engine) {
            let message = format!(
                "{place}: engine is {}, and {}'s handler {} runs it: its containers are of no pod",
                entry.engine.as_str(),
                engine.kind,
                user.handler
            );
            found.push(Finding::fail(INTERPOSERS, message, format!("set {place}.engine to {} in {file}", engine.kind)));
        }
        let told = entry.handler.as_deref();
        if let Some(told) = told.filter(|told| !users.is_empty() && users.iter().all(|user| user.handler != *told)) {
            let users: Vec<_> = users.iter().map(|user| user.handler).collect();
            let message = format!("{place}: handler is {told}, and the engine runs it for {}", users.join(", "));
            found.push(Finding::warn(INTERPOSERS, message, format!("set {place}.handler to {} in {file}", users[0])));
        }
    }
    if found.is_empty() {
        let known = |engine: Engine| engine.as_str();
        let other: Vec<_> = config
            .interposers
            .values()
            .map(|entry| known(entry.engine))
            .filter(|name| *name != engine.kind.as_str())
            .collect();
        let other = if other.is_empty() { String::new() } else { format!("; {} of other engines", other.len()) };
        found.push(Finding::pass(
            INTERPOSERS,
            format!("{} entries fit {} wrapped handlers{other}", config.interposers.len(), wrapped.len()),
        ));
    }
    found
}
