//! berth's own state: whose it is, and what nobody needs any more.

use super::Node;
use crate::apply::Keeper;
use crate::exit::chain;
use crate::finding::Finding;
use crate::ledger::{self, LedgerError, STALE};
use crate::netns::PinState;
use crate::pin::PinName;
use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};
use std::collections::BTreeSet;
use std::path::Path;

pub(super) const DIRECTORY: &str = "state-directory";
pub(super) const LEFTOVERS: &str = "leftovers";

/// `RAMFS_MAGIC` of linux/magic.h.
const RAMFS: FsType = FsType(0x8584_58f6);

/// Only root writes there, and it goes with the machine, as namespaces do.
pub(super) fn directory(node: &Node) -> Vec<Finding> {
    let (dir, shown) = (node.here(&node.state_dir), node.state_dir.display());
    let one = match ledger::check_owner(&dir) {
        Err(LedgerError::File(error)) if error.is_not_found() => match transient(dir.parent().unwrap_or(&dir)) {
            Some(false) => lasting(node),
            _ => Finding::pass(DIRECTORY, format!("{shown} is not there yet; it is made when it is needed")),
        },
        Err(LedgerError::File(error)) if !node.privileges.root => {
            Finding::skip(DIRECTORY, format!("{}; run as root", chain(&error)))
        }
        Err(error) => Finding::fail(DIRECTORY, chain(&error), format!("chown root {shown} && chmod 700 {shown}")),
        Ok(()) if transient(&dir) == Some(false) => lasting(node),
        Ok(()) => Finding::pass(DIRECTORY, format!("{shown} is root's alone")),
    };
    vec![one]
}

fn lasting(node: &Node) -> Finding {
    let shown = node.state_dir.display();
    Finding::warn(
        DIRECTORY,
        format!("{shown} is not on a tmpfs: records would outlive the machine's namespaces"),
        "have /run on a tmpfs, or name a directory that is on one with --state-dir",
    )
}

/// Whether what is in `dir` goes when the machine does; `None` where that cannot be told.
fn transient(dir: &Path) -> Option<bool> {
    let kind = statfs(dir).ok()?.filesystem_type();
    Some(kind == TMPFS_MAGIC || kind == RAMFS)
}

/// Nothing is left of what is gone.
pub(super) fn leftovers(node: &Node) -> Vec<Finding> {
    let found = match survey(node) {
        Ok(found) => found,
        Err(why) if node.privileges.root => return vec![Finding::skip(LEFTOVERS, why)],
        Err(why) => return vec![Finding::skip(LEFTOVERS, format!("{why}; run as root"))],
    };
    if found.is_empty() {
        return vec![Finding::pass(LEFTOVERS, "none")];
    }
    let line = |(what, names): (&'static str, Vec<String>)| {
        let some: Vec<_> = names.iter().take(3).map(String::as_str).collect();
        let more = if names.len() > some.len() { " and more" } else { "" };
        let message = format!("{} {what}: {}{more}", names.len(), some.join(", "));
        Finding::warn(LEFTOVERS, message, "berth gc removes what nobody needs; berth list -o wide shows the rest")
    };
    found.into_iter().map(line).collect()
}

/// By kind, those that there are.
fn survey(node: &Node) -> Result<Vec<(&'static str, Vec<String>)>, String> {
    let open = Keeper::existing(&node.here(&node.state_dir), &node.here(&node.netns_dir));
    let keeper = open.map_err(|error| chain(&error))?;
    let pins = keeper.store.list().map_err(|error| chain(&error))?;
    let records = keeper.ledger.list().map_err(|error| chain(&error))?;
    let stale = keeper.ledger.stale(STALE).map_err(|error| chain(&error))?;
    let known: BTreeSet<&PinName> = records.records.iter().map(|(name, _)| name).collect();
    let with = |wanted: fn(&PinState, bool) -> bool| -> Vec<String> {
        let of_kind = pins.pins.iter().filter(|(name, state)| wanted(state, known.contains(name)));
        of_kind.map(|(name, _)| name.to_string()).collect()
    };
    let standing: BTreeSet<&PinName> = pins.pins.iter().map(|(name, _)| name).collect();
    let gone = records.records.iter().filter(|(name, _)| !standing.contains(name)).map(|(name, _)| name.to_string());
    let kinds = [
        ("pins without a record", with(|state, known| matches!(state, PinState::Pinned(_)) && !known)),
        ("half-made pins", with(|state, _| matches!(state, PinState::Placeholder))),
        ("files that are no pins", with(|state, _| matches!(state, PinState::Foreign(_)))),
        ("names that berth does not give", pins.junk.clone()),
        ("records without a pin", gone.collect()),
        ("records that cannot be read", records.unreadable.iter().map(|error| chain(error)).collect()),
        ("files of killed processes", stale.iter().map(|file| file.path().display().to_string()).collect()),
    ];
    Ok(kinds.into_iter().filter(|(_, names)| !names.is_empty()).collect())
}
