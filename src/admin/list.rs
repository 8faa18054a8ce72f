//! `berth list`: every pin, whether it has a record or not, and every record, whether its pin stands or not.

use super::find::{SANDBOX, matching, unknown};
use super::output::{API_VERSION, Form, age, document, none, table};
use super::survey::{Entry, survey};
use super::{AdminError, Remarks};
use crate::apply::Sight;
use crate::cli::{List, Output};
use crate::exit::chain;
use crate::ledger::record::Record;
use crate::netns::{InUse, Occupancy, in_use};
use serde::Serialize;
use std::io::Write;

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'static str,
    kind: &'static str,
    items: &'a [Row<'a>],
    problems: &'a [String],
}

/// One pin.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    name: &'a str,
    path: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    netns: Option<String>,
    doors: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    processes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    age_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a Record>,
    #[serde(skip)]
    entry: &'a Entry,
}

/// Writes what there is. Changes nothing.
///
/// # Errors
/// A directory cannot be read or must not be trusted, a pod that was asked for is not there, or `out` cannot be written.
pub fn list(command: &List, out: &mut dyn Write) -> Result<Remarks, AdminError> {
    let survey = survey(&command.directories)?;
    let mut remarks = survey.problems;
    let sight = Sight::here(&command.directories.host_proc);
    let tasks = match in_use(&sight.proc) {
        Ok(tasks) => Some(tasks),
        Err(error) => {
            remarks.push(chain(&error));
            None
        }
    };
    let rows: Vec<_> =
        selected(command, &survey.entries)?.into_iter().map(|entry| row(entry, tasks.as_ref(), &sight)).collect();
    match command.output {
        Output::Json => document(out, Form::Json, &list_of(&rows, &remarks))?,
        Output::Yaml => document(out, Form::Yaml, &list_of(&rows, &remarks))?,
        _ if rows.is_empty() => remarks.insert(0, "No pins found.".to_owned()),
        Output::Name => {
            for row in &rows {
                writeln!(out, "{}", reference(row, &rows))?;
            }
        }
        Output::Table => table(out, &cells(&rows, &NARROW, command.no_headers))?,
        Output::Wide => table(out, &cells(&rows, &[&NARROW[..], &WIDE[..]].concat(), command.no_headers))?,
    }
    Ok(remarks)
}

fn list_of<'a>(items: &'a [Row<'a>], problems: &'a [String]) -> Document<'a> {
    Document { api_version: API_VERSION, kind: "PinList", items, problems }
}

/// Those that were asked for, in the order of their names.
fn selected<'a>(command: &List, entries: &'a [Entry]) -> Result<Vec<&'a Entry>, AdminError> {
    let mut found: Vec<&Entry> = Vec::new();
    for query in &command.pods {
        let matching = matching(entries, query);
        if matching.is_empty() {
            return Err(unknown(query));
        }
        found.extend(matching);
    }
    if command.pods.is_empty() {
        found.extend(entries);
    }
    found.retain(|entry| {
        let namespace = entry.record.as_ref().map(|record| record.pod.namespace.as_str());
        let in_namespace = command.namespace.as_deref().is_none_or(|wanted| namespace == Some(wanted));
        in_namespace && (command.state.is_empty() || command.state.contains(&entry.state))
    });
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found.dedup_by(|a, b| a.name == b.name);
    Ok(found)
}

fn row<'a>(entry: &'a Entry, tasks: Option<&InUse>, sight: &Sight) -> Row<'a> {
    let visible = entry.record.as_ref().map_or(sight.all, |record| sight.covers(record));
    let processes = entry.netns.zip(tasks.filter(|_| visible)).and_then(|(id, tasks)| match tasks.of(id) {
        Occupancy::Held(pids) => Some(pids.len()),
        Occupancy::Free => Some(0),
        Occupancy::Unknown(_) => None,
    });
    Row {
        name: entry.name.as_str(),
        path: entry.path.display().to_string(),
        state: entry.state.as_str(),
        netns: entry.netns.map(|id| id.to_string()),
        doors: entry.doors(),
        processes,
        age_seconds: entry.age().map(|age| age.as_secs()),
        record: entry.record.as_ref(),
        entry,
    }
}

/// By what other commands find exactly this one.
fn reference(row: &Row<'_>, rows: &[Row<'_>]) -> String {
    let sandbox = |row: &Row<'_>| row.record.map(|record| record.sandbox.clone());
    match sandbox(row) {
        Some(id) if rows.iter().filter(|other| sandbox(other).as_ref() == Some(&id)).count() == 1 => {
            format!("{SANDBOX}{id}")
        }
        _ => row.name.to_owned(),
    }
}

type Column = (&'static str, fn(&Row<'_>) -> String);

const NARROW: [Column; 8] = [
    ("NAMESPACE", |row| record(row, |record| &record.pod.namespace)),
    ("POD", |row| record(row, |record| &record.pod.name)),
    ("SANDBOX", |row| sandbox(row).chars().take(13).collect()),
    ("HANDLER", |row| record(row, |record| &record.handler)),
    ("DOORS", |row| joined(&row.doors)),
    ("STATE", |row| row.state.to_owned()),
    ("PROCESSES", |row| row.processes.map_or_else(none, |count| count.to_string())),
    ("AGE", |row| row.entry.age().map_or_else(none, age)),
];

const WIDE: [Column; 4] = [
    ("PATH", |row| row.path.clone()),
    ("NETNS", |row| row.netns.clone().unwrap_or_else(none)),
    ("PROFILE", |row| record(row, |record| &record.profile)),
    ("SOURCE", |row| row.record.map_or_else(none, |record| record.source.path.display().to_string())),
];

fn record(row: &Row<'_>, field: impl Fn(&Record) -> &String) -> String {
    row.record.map(field).filter(|text| !text.is_empty()).cloned().unwrap_or_else(none)
}

/// A pin without a record has its sandbox's id in its name.
fn sandbox(row: &Row<'_>) -> String {
    row.record.map_or_else(|| row.entry.name.id().to_owned(), |record| record.sandbox.clone())
}

fn joined(words: &[&str]) -> String {
    if words.is_empty() { none() } else { words.join(",") }
}

fn cells(rows: &[Row<'_>], columns: &[Column], no_headers: bool) -> Vec<Vec<String>> {
    let header = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    let header = (!no_headers).then_some(header);
    header.into_iter().chain(rows.iter().map(|row| columns.iter().map(|(_, cell)| cell(row)).collect())).collect()
}
