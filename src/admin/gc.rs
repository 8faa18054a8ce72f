//! `berth gc`: the lifecycle rule, applied once to everything there is; and what killed processes have left.

use super::output::{API_VERSION, Form, document, none, table};
use super::proof::{action, proof, reason, told};
use super::{AdminError, Remarks};
use crate::apply::{ApplyError, Keeper, Mode, Settled, Settlement, Sight, Which};
use crate::cli::{Gc, Rows};
use crate::exit::chain;
use crate::ledger::{LedgerError, STALE, Stale};
use crate::netns::PinState;
use serde::Serialize;
use std::collections::HashSet;
use std::io::Write;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    dry_run: bool,
    items: &'a [Item],
    unsettled: &'a [String],
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    /// `keep`, `heal`, `drain`, `release`; `leave` for what is not berth's to touch, `remove` for what is no pin.
    action: &'static str,
    #[serde(skip)]
    told: &'static str,
    /// A pin's name, or a path.
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<String>,
    reason: &'static str,
    proof: String,
}

/// Settles every pin and writes one line for each, with the proof. What cannot be shown to be berth's, and unneeded, is
/// named and left.
///
/// # Errors
/// A directory cannot be used, a pin could not be settled (the others were), or `out` cannot be written.
pub fn gc(command: &Gc, out: &mut dyn Write) -> Result<Remarks, AdminError> {
    let mode = if command.dry_run { Mode::Preview } else { Mode::Apply };
    let dirs = &command.directories;
    let sight = Sight::here(&dirs.host_proc);
    let mut keeper = Keeper::existing(&dirs.state_dir, &dirs.netns_dir)?;
    if mode == Mode::Apply && has_anything(&keeper)? {
        // From here on there may have to be locks.
        keeper = Keeper::open(&dirs.state_dir, &dirs.netns_dir)?;
    }
    let settlement = keeper.settle(Which::All, &sight, mode, &mut HashSet::new());
    let mut items: Vec<_> = settlement.settled.iter().map(|settled| item(settled, mode)).collect();
    let mut unsettled = Vec::new();
    let mut others = left(settlement, &mut unsettled);
    others.extend(not_ours(&keeper)?);
    others.sort_by(|a, b| a.name.cmp(&b.name));
    items.append(&mut others);
    items.extend(swept(&keeper, mode, &mut unsettled));
    if command.quiet {
        items.retain(|item| matches!(item.action, "heal" | "release" | "remove"));
    }
    let remarks = report(command, &items, &unsettled, out)?;
    if unsettled.is_empty() { Ok(remarks) } else { Err(AdminError::Unsettled(unsettled)) }
}

/// Whether a directory of state is there, or a pin: else none of either has to be made.
fn has_anything(keeper: &Keeper) -> Result<bool, AdminError> {
    Ok(keeper.ledger.dir().exists() || !keeper.store.list().map_err(ApplyError::from)?.pins.is_empty())
}

fn report(command: &Gc, items: &[Item], unsettled: &[String], out: &mut dyn Write) -> Result<Remarks, AdminError> {
    let kind = "PinCollection";
    let whole = Document { api_version: API_VERSION, kind, dry_run: command.dry_run, items, unsettled };
    match command.output {
        Rows::Json => document(out, Form::Json, &whole)?,
        Rows::Yaml => document(out, Form::Yaml, &whole)?,
        Rows::Table if items.is_empty() && command.quiet => {}
        Rows::Table if items.is_empty() => return Ok(vec!["No pins found.".to_owned()]),
        Rows::Table => {
            let header = ["ACTION", "PIN", "POD", "REASON", "PROOF"].map(str::to_owned).to_vec();
            let header = (!command.no_headers).then_some(header);
            let rows: Vec<_> = header.into_iter().chain(items.iter().map(row)).collect();
            table(out, &rows)?;
        }
    }
    Ok(Remarks::new())
}

fn row(item: &Item) -> Vec<String> {
    let pod = item.pod.clone().unwrap_or_else(none);
    vec![item.told.to_owned(), item.name.clone(), pod, item.reason.to_owned(), item.proof.clone()]
}

fn item(settled: &Settled, mode: Mode) -> Item {
    let pod = settled.record.as_ref().map(|record| &record.pod).filter(|pod| !pod.name.is_empty());
    Item {
        action: action(settled.outcome),
        told: told(settled.outcome, mode),
        name: settled.name.to_string(),
        pod: pod.map(|pod| format!("{}/{}", pod.namespace, pod.name)),
        reason: reason(settled.outcome),
        proof: proof(settled),
    }
}

fn leave(name: String, reason: &'static str, proof: String) -> Item {
    Item { action: "leave", told: "leave", name, pod: None, reason, proof }
}

/// What the pass has not settled: files that are others', which is no failure, and what could not be done.
fn left(settlement: Settlement, unsettled: &mut Vec<String>) -> Vec<Item> {
    let busy = settlement.busy.iter().map(|name| format!("{name}: another berth is at it; try again"));
    unsettled.extend(busy);
    let mut items = Vec::new();
    for (name, error) in settlement.errors {
        let text = chain(&error);
        match (name, error) {
            (_, ApplyError::Ledger(LedgerError::Record { path, source })) if source.is_newer() => {
                items.push(leave(path.display().to_string(), "newer-record", source.to_string()));
            }
            (_, ApplyError::Ledger(LedgerError::Foreign { path })) => {
                items.push(leave(path.display().to_string(), "not-berths", "not a file that berth makes".to_owned()));
            }
            (Some(name), ApplyError::Netns(error)) if error.is_refused() => {
                unsettled.push(format!("{name}: {text}; run it as root on the node"));
            }
            (Some(name), _) => unsettled.push(format!("{name}: {text}")),
            (None, _) => unsettled.push(text),
        }
    }
    items
}

/// What is called like a pin and is none. (Where a record says that a pin should be, the rule has spoken of it.)
fn not_ours(keeper: &Keeper) -> Result<Vec<Item>, AdminError> {
    let listing = keeper.store.list().map_err(ApplyError::from)?;
    let mut items = Vec::new();
    for (name, state) in listing.pins {
        if let PinState::Foreign(what) = state
            && matches!(keeper.ledger.get(&name), Ok(None))
        {
            items.push(leave(name.to_string(), "not-berths", format!("it is a {what}, which berth did not make")));
        }
    }
    let junk = |name| leave(name, "not-berths", "not a name that berth gives".to_owned());
    items.extend(listing.junk.into_iter().map(junk));
    Ok(items)
}

/// Temporary files and locks that nobody will look for any more.
fn swept(keeper: &Keeper, mode: Mode, unsettled: &mut Vec<String>) -> Vec<Item> {
    let mut items = Vec::new();
    let stale = keeper.ledger.stale(STALE).unwrap_or_else(|error| {
        unsettled.push(chain(&error));
        Vec::new()
    });
    for stale in stale {
        let removed = match mode {
            Mode::Apply => keeper.ledger.remove_stale(&stale),
            Mode::Preview => Ok(true),
        };
        match removed {
            Ok(true) => items.push(swept_item(&stale, mode)),
            Ok(false) => {} // gone by itself, or in use again
            Err(error) => unsettled.push(chain(&error)),
        }
    }
    items
}

fn swept_item(stale: &Stale, mode: Mode) -> Item {
    let (reason, what) = match stale {
        Stale::Temp(_) => ("temporary-file", "its writer was killed"),
        Stale::Lock(_) => ("stale-lock", "there is no record that it could be for"),
    };
    Item {
        action: "remove",
        told: if mode == Mode::Apply { "removed" } else { "would remove" },
        name: stale.path().display().to_string(),
        pod: None,
        reason,
        proof: format!("{what}; untouched for {} s or more", STALE.as_secs()),
    }
}
