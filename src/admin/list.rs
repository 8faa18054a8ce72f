//! `berth list`: every pin, whether it has a record or not, and every record, whether its pin stands or not.

use super::{AdminError, age, table};
use crate::apply::{ApplyError, Sight, state_word};
use crate::cli::{List, Output};
use crate::clock::Boottime;
use crate::config::Config;
use crate::exit::{Exit, chain};
use crate::ledger::Ledger;
use crate::ledger::record::Record;
use crate::netns::{InUse, NetnsId, Occupancy, PinState, Store, in_use};
use crate::pin::PinName;
use crate::streams::remark;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// The tag of the JSON output; it changes when a field changes its meaning.
const API_VERSION: &str = "berth/v1";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<Row>,
    problems: Vec<String>,
}

/// One pin.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    name: String,
    path: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    netns: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Record>,
}

/// Writes what there is in the two directories, and remarks what is wrong there. Changes nothing, not even by making a
/// directory.
///
/// # Errors
/// A directory cannot be read or must not be trusted, or `out` cannot be written.
pub fn list(command: List, out: &mut dyn Write) -> Result<Exit, AdminError> {
    let config = Config::load(command.config.path.as_deref())?;
    let sight = Sight::here(config.host_proc.as_deref());
    let (rows, problems) = rows(&command.directories.state_dir, &command.directories.netns_dir, &sight)?;
    match command.output {
        Output::Json => {
            let document =
                Document { api_version: API_VERSION, kind: "PinList", items: rows, problems: problems.clone() };
            serde_json::to_writer_pretty(&mut *out, &document)?;
            writeln!(out)?;
        }
        Output::Table | Output::Wide if rows.is_empty() => remark("No pins found."),
        Output::Table => table(out, &cells(&rows, &NARROW))?,
        Output::Wide => table(out, &cells(&rows, &[&NARROW[..], &WIDE[..]].concat()))?,
    }
    problems.iter().for_each(|problem| remark(problem));
    Ok(Exit::Ok)
}

type Column = (&'static str, fn(&Row) -> String);

const NARROW: [Column; 6] = [
    ("NAMESPACE", |row| record(row, |record| &record.pod.namespace)),
    ("POD", |row| record(row, |record| &record.pod.name)),
    ("SANDBOX", |row| record(row, |record| &record.sandbox).chars().take(13).collect()),
    ("HANDLER", |row| record(row, |record| &record.handler)),
    ("STATE", |row| row.state.to_owned()),
    ("AGE", |row| row.age_seconds.map_or_else(none, |age_s| age(std::time::Duration::from_secs(age_s)))),
];

const WIDE: [Column; 6] = [
    ("PATH", |row| row.path.clone()),
    ("NETNS", |row| row.netns.clone().unwrap_or_else(none)),
    ("PROCESSES", |row| row.processes.map_or_else(none, |count| count.to_string())),
    ("DOOR", |row| record(row, |record| &record.door)),
    ("PROFILE", |row| record(row, |record| &record.profile)),
    ("SOURCE", |row| row.record.as_ref().map_or_else(none, |record| record.source.path.display().to_string())),
];

fn none() -> String {
    "-".to_owned()
}

fn record(row: &Row, field: impl Fn(&Record) -> &String) -> String {
    row.record.as_ref().map(field).filter(|text| !text.is_empty()).cloned().unwrap_or_else(none)
}

fn cells(rows: &[Row], columns: &[Column]) -> Vec<Vec<String>> {
    let header = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    std::iter::once(header).chain(rows.iter().map(|row| columns.iter().map(|(_, cell)| cell(row)).collect())).collect()
}

fn rows(state_dir: &Path, netns_dir: &Path, sight: &Sight) -> Result<(Vec<Row>, Vec<String>), AdminError> {
    let mut problems = Vec::new();
    let mut found: BTreeMap<PinName, (PinState, Option<Record>)> = BTreeMap::new();
    let store = if netns_dir.exists() { Some(Store::open(netns_dir).map_err(ApplyError::from)?) } else { None };
    if let Some(store) = &store {
        let listing = store.list().map_err(ApplyError::from)?;
        problems.extend(listing.junk.into_iter().map(|file| format!("{file}: not a name berth gives")));
        found.extend(listing.pins.into_iter().map(|(name, state)| (name, (state, None))));
    }
    if let Some(ledger) = Ledger::open_existing(state_dir).map_err(ApplyError::from)? {
        let listing = ledger.list().map_err(ApplyError::from)?;
        problems.extend(listing.unreadable.iter().map(|error| chain(error)));
        for (name, record) in listing.records {
            found.entry(name).or_insert((PinState::Absent, None)).1 = Some(record);
        }
    }
    let tasks = match in_use(&sight.proc) {
        Ok(tasks) => Some(tasks),
        Err(error) => {
            problems.push(chain(&error));
            None
        }
    };
    let path = |name: &PinName| netns_dir.join(name.as_str()).display().to_string();
    let rows = found.into_iter().map(|(name, (state, record))| {
        let tasks = tasks.as_ref().filter(|_| record.as_ref().map_or(sight.all, |record| sight.covers(record)));
        row(path(&name), name, state, record, tasks)
    });
    let rows = rows.collect();
    Ok((rows, problems))
}

fn row(path: String, name: PinName, state: PinState, record: Option<Record>, tasks: Option<&InUse>) -> Row {
    let id = match state {
        PinState::Pinned(id) => Some(id),
        _ => None,
    };
    let processes = id.zip(tasks).and_then(|(id, tasks)| match tasks.of(id) {
        Occupancy::Held(pids) => Some(pids.len()),
        Occupancy::Free => Some(0),
        Occupancy::Unknown(_) => None,
    });
    let age_seconds = record.as_ref().map(|record| Boottime::now().since(record.since).as_secs());
    let state = state_word(state, record.as_ref());
    Row {
        name: name.to_string(),
        path,
        state,
        netns: id.map(|id: NetnsId| id.to_string()),
        processes,
        age_seconds,
        record,
    }
}
