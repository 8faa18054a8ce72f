//! `berth inspect`: everything known of one pin, and of the pod that has it. Changes nothing.

mod bundles;
mod report;
mod text;

use super::find::find;
use super::output::{API_VERSION, Form, document};
use super::proof::{action, proof, reason};
use super::survey::{Entry, Survey, survey};
use super::{AdminError, Remarks};
use crate::apply::{Mode, Sight, Which, netns_id};
use crate::cli::{Document, Inspect};
use crate::config::Config;
use crate::door::interpose::Places;
use crate::exit::chain;
use crate::ledger::record::{Origin, Record};
use crate::netns::{Netns, NetnsError, NetnsId, Occupancy, arguments, comm, in_use};
use crate::{apply, netlink};
use bundles::Bundles;
use report::{Lifecycle, Process, Report, Source};
use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes the report.
///
/// # Errors
/// No pin or several are meant, the directories cannot be read, or `out` cannot be written. What else cannot be looked at is
/// said in the report.
pub fn inspect(command: &Inspect, out: &mut dyn Write) -> Result<Remarks, AdminError> {
    let survey = survey(&command.directories)?;
    let entry = find(&survey.entries, &command.pod)?;
    let sight = Sight::here(&command.directories.host_proc);
    let look = Look { survey: &survey, entry, sight, command };
    let report = look.report();
    match command.output {
        Document::Text => {
            text::write(out, &report)?;
            Ok(report.problems)
        }
        Document::Json => document(out, Form::Json, &report).map(|()| report.problems),
        Document::Yaml => document(out, Form::Yaml, &report).map(|()| report.problems),
    }
}

struct Look<'a> {
    survey: &'a Survey,
    entry: &'a Entry,
    sight: Sight,
    command: &'a Inspect,
}

impl Look<'_> {
    fn report(&self) -> Report {
        let mut problems = Vec::new();
        let Entry { name, path, state, netns, record, .. } = self.entry;
        // Held while it is asked about: its number could mean another one otherwise.
        let held = netns.and_then(|id| Netns::open(path).ok().filter(|netns| netns.id() == id));
        let held = held.as_ref();
        let config = self.config(&mut problems);
        let containers = |record| config.as_ref().map(|config| self.containers(record, config, &mut problems));
        let containers = record.as_ref().and_then(containers).unwrap_or_default();
        let hash = config.as_ref().map(|config| format!("{:016x}", config.hash));
        Report {
            api_version: API_VERSION,
            kind: "Pin",
            name: name.to_string(),
            path: path.display().to_string(),
            state: state.as_str(),
            netns: netns.map(|id| id.to_string()),
            doors: self.entry.doors().into_iter().map(str::to_owned).collect(),
            age_seconds: self.entry.age().map(|age| age.as_secs()),
            lifecycle: self.lifecycle(&mut problems),
            source: record.as_ref().map(source),
            mounts: held.map(|netns| self.mounts(netns.id(), &mut problems)).unwrap_or_default(),
            processes: held.and_then(|netns| self.processes(netns.id(), &mut problems)),
            network: held.and_then(|netns| network(netns, &mut problems)),
            containers,
            reconfigured: record.as_ref().zip(hash).is_some_and(|(record, hash)| record.config != hash),
            record: record.clone(),
            problems,
        }
    }

    fn lifecycle(&self, problems: &mut Remarks) -> Option<Lifecycle> {
        let name = &self.entry.name;
        let settlement = self.survey.keeper.settle(Which::All, &self.sight, Mode::Preview, &mut HashSet::new());
        let about = settlement.errors.iter().filter(|(about, _)| about.as_ref() == Some(name));
        problems.extend(about.map(|(_, error)| chain(error)));
        let settled = settlement.settled.iter().find(|settled| settled.name == *name)?;
        let outcome = settled.outcome;
        Some(Lifecycle { action: action(outcome), reason: reason(outcome), proof: proof(settled) })
    }

    fn mounts(&self, id: NetnsId, problems: &mut Remarks) -> Vec<PathBuf> {
        let mut mounts = self.survey.keeper.store.others(id).unwrap_or_else(|error| {
            problems.push(chain(&error));
            Vec::new()
        });
        // One that came by propagation is in the table twice.
        mounts.sort();
        mounts.dedup();
        mounts
    }

    fn processes(&self, id: NetnsId, problems: &mut Remarks) -> Option<Vec<Process>> {
        let record = self.entry.record.as_ref();
        if !record.map_or(self.sight.all, |record| self.sight.covers(record)) {
            problems.push("processes: those of the node cannot be seen from here".to_owned());
            return None;
        }
        let tasks = match in_use(&self.sight.proc) {
            Ok(tasks) => tasks,
            Err(error) => {
                problems.push(chain(&error));
                return None;
            }
        };
        match tasks.of(id) {
            Occupancy::Free => Some(Vec::new()),
            Occupancy::Held(pids) => Some(pids.iter().map(|pid| process(&self.sight.proc, *pid)).collect()),
            Occupancy::Unknown(count) => {
                problems.push(format!("processes: {count} may not be looked at, and could be in it"));
                None
            }
        }
    }

    fn places(&self) -> Places {
        Places {
            config: self.command.config.path.clone(),
            state_dir: self.command.directories.state_dir.clone(),
            netns_dir: self.command.directories.netns_dir.clone(),
        }
    }

    /// The configuration that holds for interposers.
    fn config(&self, problems: &mut Remarks) -> Option<Config> {
        let loaded = self.places().load();
        loaded.map_err(|error| problems.push(format!("containers are not judged: {}", chain(&error)))).ok()
    }

    fn containers(&self, record: &Record, config: &Config, problems: &mut Remarks) -> Vec<report::Container> {
        Bundles { config, places: &self.places(), further: &self.command.bundles }.of(record, problems)
    }
}

/// What is in the namespace.
fn network(netns: &Netns, problems: &mut Remarks) -> Option<netlink::Network> {
    let read = netns.within(netlink::read).map_err(|error| chain(&error));
    match read.and_then(|read| read.map_err(|error| chain(&error))) {
        Ok(mut network) => {
            problems.append(&mut network.problems);
            Some(network)
        }
        Err(error) => {
            problems.push(error);
            None
        }
    }
}

fn process(proc: &Path, pid: i32) -> Process {
    Process { pid, command: comm(proc, pid), arguments: arguments(proc, pid) }
}

/// What is where the namespace came from.
fn source(record: &Record) -> Source {
    let path = record.source.path.clone();
    let found = match record.origin {
        Origin::Created if apply::is_bundle(record, &path) => "there".to_owned(),
        Origin::Created if path.exists() => "there, but of another container".to_owned(),
        Origin::Created => "gone".to_owned(),
        Origin::Adopted => match Netns::open(&path) {
            Ok(netns) if netns.id() == netns_id(record.netns) => "there".to_owned(),
            Ok(netns) => format!("there, but of another namespace ({})", netns.id()),
            Err(NetnsError::Missing { .. }) => "gone".to_owned(),
            Err(error) => chain(&error),
        },
    };
    Source { path, found }
}
