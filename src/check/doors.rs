//! This node's rows of the table of doors: who covers a pod's sandbox and its containers, for each handler.

use super::wrapped::{Behind, Wrapped};
use super::{Node, config, drop_ins, nri};
use crate::engine::{Effective, Handler, Kind};
use crate::finding::Finding;
use std::path::Path;

pub(super) const DOORS: &str = "doors";

/// Who covers a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Interposer,
    /// NRI, which can change the path.
    Nri,
    /// NRI, which cannot.
    NriIdentity,
    /// Nobody.
    Nobody,
}

impl Door {
    fn words(self) -> &'static str {
        match self {
            Self::Interposer => "interposer",
            Self::Nri => "NRI",
            Self::NriIdentity => "NRI (identity alone)",
            Self::Nobody => "nobody",
        }
    }
}

/// The names by which VM runtimes go that CRI-O runs as OCI runtimes.
const VM_RUNTIMES: [&str; 8] = ["kata", "krun", "urunc", "runvm", "crun-vm", "runu", "qemu", "firecracker"];

/// Some handler's containers are NRI's to cover. True as well where handlers are not known.
pub(super) fn need_nri(node: &Node) -> bool {
    let Some(effective) = node.effective() else { return true };
    let wrapped = node.wrapped();
    let rows: Vec<_> =
        effective.handlers.iter().filter(|(name, _)| is_of_interest(node, effective, &wrapped, name)).collect();
    rows.is_empty() || rows.iter().any(|(name, _)| members(node, find(&wrapped, name)) != Door::Interposer)
}

/// A row for each handler that berth is in front of or that a profile selects.
pub(super) fn doors(node: &Node) -> Vec<Finding> {
    let Some(effective) = node.effective() else {
        return vec![Finding::skip(DOORS, "the engine's configuration is not known")];
    };
    let wrapped = node.wrapped();
    let rows: Vec<_> = effective
        .handlers
        .iter()
        .filter(|(name, _)| is_of_interest(node, effective, &wrapped, name))
        .map(|(name, told)| row(node, effective, find(&wrapped, name), name, told))
        .collect();
    if rows.is_empty() { vec![Finding::skip(DOORS, "no handler is wrapped or selected")] } else { rows }
}

/// A handler under the default's name is no RuntimeClass's in practice; it has a row if berth is in front of it.
fn is_of_interest(node: &Node, effective: &Effective, wrapped: &[Wrapped<'_>], name: &str) -> bool {
    let selected = config::is_selected(node, name);
    find(wrapped, name).is_some() || (selected && name != effective.default_handler)
}

fn find<'w, 'a>(wrapped: &'w [Wrapped<'a>], handler: &str) -> Option<&'w Wrapped<'a>> {
    // By BinaryName everything is covered, whatever else there is.
    let mut of_handler: Vec<_> = wrapped.iter().filter(|wrapped| wrapped.handler == handler).collect();
    of_handler.sort_by_key(|wrapped| wrapped.behind == Behind::Shim);
    of_handler.first().copied()
}

fn row(node: &Node, effective: &Effective, wrapped: Option<&Wrapped<'_>>, name: &str, told: &Handler) -> Finding {
    let kind = node.engine().map_or(Kind::Containerd, |engine| engine.kind);
    let members = members(node, wrapped);
    let no_infra = kind == Kind::CriO && effective.drops_infra && !keeps_infra(name, told);
    let sandbox = match (wrapped, no_infra) {
        (_, true) => "none is created",
        (Some(_), false) => "interposer",
        (None, false) => "the engine's own identity",
    };
    let closed = match (wrapped.is_some(), members) {
        (true, Door::Interposer) if no_infra => "for containers".to_owned(),
        (true, Door::Interposer) => "for both".to_owned(),
        (true, _) => "for the sandbox".to_owned(),
        (false, Door::Nri | Door::NriIdentity) if requires(node, effective) => by_requirement(effective),
        (false, Door::Nri | Door::NriIdentity) => "for containers while berth is registered".to_owned(),
        (false, _) => "for nothing".to_owned(),
    };
    let message = format!("{name}: sandbox: {sandbox}; containers: {}; fails closed {closed}", members.words());
    if no_infra && is_vm(name, told) {
        let hint = format!(
            "set [crio.runtime] drop_infra_ctr = false in {}, or runtime_type = \"vm\" where the runtime has a shim, then {}",
            drop_ins::file_with(node, &["crio", "runtime", "drop_infra_ctr"]),
            node.restart()
        );
        return Finding::fail(DOORS, format!("{message}; a VM runtime has nothing to boot its VM for"), hint);
    }
    if members == Door::Nobody {
        let hint = "wrap the handler with an interposer, or turn NRI on";
        return Finding::warn(DOORS, format!("{message}; a profile selects it"), hint);
    }
    Finding::pass(DOORS, message)
}

fn members(node: &Node, wrapped: Option<&Wrapped<'_>>) -> Door {
    let by_nri = match nri::of_engine(node) {
        _ if !nri::is_on(node) => Door::Nobody,
        Some(can) if can.namespaces => Door::Nri,
        // Of an engine whose version is not known no more is certain.
        _ => Door::NriIdentity,
    };
    match wrapped {
        None => by_nri,
        Some(wrapped) if wrapped.behind == Behind::Runtime => Door::Interposer,
        // The shim of a sandbox that speaks version 3 is asked to create its containers, too; runc's is the one that does.
        Some(wrapped) if runs_one_shim(node, wrapped) => by_nri,
        Some(_) => Door::Interposer,
    }
}

fn runs_one_shim(node: &Node, wrapped: &Wrapped<'_>) -> bool {
    let containerd_2 = node.engine().is_some_and(|engine| engine.kind == Kind::Containerd)
        && node.version().is_none_or(|version| version >= (2, 0, 0));
    containerd_2 && wrapped.told.kind == "io.containerd.runc.v2"
}

/// CRI-O keeps a sandbox's container whatever `drop_infra_ctr` says (server/sandbox_run_linux.go): of handlers of the type
/// `vm`, and of those whose name has `kata` in it.
fn keeps_infra(handler: &str, told: &Handler) -> bool {
    told.kind == "vm" || handler.to_lowercase().contains("kata")
}

/// By its name or its program's.
fn is_vm(handler: &str, told: &Handler) -> bool {
    let program = told.runtime_path.as_deref().and_then(Path::file_name).unwrap_or_default();
    let words = [handler.to_lowercase(), program.to_string_lossy().to_lowercase()];
    VM_RUNTIMES.iter().any(|name| words.iter().any(|word| word.contains(name)))
}

/// A pod's author can set an annotation.
fn by_requirement(effective: &Effective) -> String {
    let except = effective.nri.validator.tolerating.as_ref();
    let except = except.map(|key| format!(" of pods that are not annotated with {key}"));
    format!("for containers{}", except.unwrap_or_default())
}

fn requires(node: &Node, effective: &Effective) -> bool {
    let validator = &effective.nri.validator;
    let full = format!("{}-{}", node.index, node.name);
    validator.enabled && validator.required.iter().any(|plugin| *plugin == node.name || *plugin == full)
}
