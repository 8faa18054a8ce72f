//! The handlers of the engine that berth is in front of: by the name of a program, by an entry for it, or by its file.

use super::Node;
use crate::door::interpose;
use crate::engine::{Effective, Handler, Kind};
use std::path::{Path, PathBuf};

/// What berth is in front of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behind {
    /// A containerd shim.
    Shim,
    /// An OCI runtime.
    Runtime,
}

/// A handler that berth is in front of.
#[derive(Debug, Clone)]
pub(super) struct Wrapped<'a> {
    /// Its name.
    pub(super) handler: &'a str,
    /// What the engine says of it.
    pub(super) told: &'a Handler,
    /// The file that is configured, which is berth or should be.
    pub(super) program: PathBuf,
    /// The name under which berth is run.
    pub(super) name: &'a str,
    /// What stands behind.
    pub(super) behind: Behind,
    /// The setting that names the file.
    pub(super) setting: &'static str,
}

impl<'a> Wrapped<'a> {
    /// Those of what holds.
    pub(super) fn all(node: &'a Node, effective: &'a Effective) -> Vec<Self> {
        let kind = node.engine().map_or(Kind::Containerd, |engine| engine.kind);
        let mut all = Vec::new();
        for (handler, told) in &effective.handlers {
            let ways = match kind {
                Kind::Containerd => vec![
                    (&told.runtime_path, Behind::Shim, "runtime_path"),
                    (&told.binary_name, Behind::Runtime, "options.BinaryName"),
                ],
                Kind::CriO if told.kind == "vm" => vec![(&told.runtime_path, Behind::Shim, "runtime_path")],
                Kind::CriO => vec![(&told.runtime_path, Behind::Runtime, "runtime_path")],
            };
            let ours = ways.into_iter().filter_map(|(program, behind, setting)| {
                let program = program.as_deref()?;
                let name = program.file_name()?.to_str()?;
                let program = found(node, program);
                is_berth(node, &program, name).then_some(Self { handler, told, program, name, behind, setting })
            });
            all.extend(ours);
        }
        all
    }
}

/// Where a program is that is named without a directory: runc's shim looks for it in its PATH, which is the engine's.
fn found(node: &Node, program: &Path) -> PathBuf {
    let path = node.engine_path().filter(|_| !program.is_absolute()).unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|dir| dir.join(program));
    places.find(|place| place.is_absolute() && node.host.is_program(place)).unwrap_or_else(|| program.to_owned())
}

/// The name says it, an entry of the configuration does, or the file is berth.
fn is_berth(node: &Node, program: &Path, name: &str) -> bool {
    let configured = node.config.as_ref().is_ok_and(|config| config.interposers.contains_key(name));
    interpose::wrapped(name).is_some() || configured || node.is_own(program).unwrap_or(false)
}
