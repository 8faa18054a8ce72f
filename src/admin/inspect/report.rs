//! Everything known of one pin, as data.

use crate::door::interpose::Explained;
use crate::ledger::record::Record;
use crate::netlink::Network;
use serde::Serialize;
use std::path::PathBuf;

/// The report.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub(super) api_version: &'static str,
    pub(super) kind: &'static str,
    pub(super) name: String,
    pub(super) path: String,
    pub(super) state: &'static str,
    /// The namespace that it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) netns: Option<String>,
    pub(super) doors: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) age_seconds: Option<u64>,
    /// What `berth gc` would do now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lifecycle: Option<Lifecycle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<Source>,
    /// Where else the namespace is mounted.
    pub(super) mounts: Vec<PathBuf>,
    /// Processes with a thread in it; absent where they cannot be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) processes: Option<Vec<Process>>,
    /// What is in it; absent where it cannot be entered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) network: Option<Network>,
    pub(super) containers: Vec<Container>,
    /// The pin was made under another configuration than the one that holds now.
    pub(super) reconfigured: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) record: Option<Record>,
    pub(super) problems: Vec<String>,
}

/// What the lifecycle rule says.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Lifecycle {
    pub(super) action: &'static str,
    pub(super) reason: &'static str,
    pub(super) proof: String,
}

/// Where the namespace came from.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Source {
    pub(super) path: PathBuf,
    /// What is there now.
    pub(super) found: String,
}

/// One process.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Process {
    pub(super) pid: i32,
    /// Its name; absent where it ended since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) command: Option<String>,
    /// Its command line, up to a length; empty for what has none.
    pub(super) arguments: Vec<String>,
}

/// A container of the pod, and what an interposer would make of its bundle now.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) bundle: PathBuf,
    #[serde(flatten)]
    pub(super) explained: Explained,
}

impl Container {
    /// The path and the annotations are as they would be made.
    pub(super) fn is_settled(&self) -> bool {
        let Explained { written, corrected, removed, path_before, path_after, refusal, .. } = &self.explained;
        written.is_empty()
            && corrected.is_empty()
            && removed.is_empty()
            && refusal.is_none()
            && path_before == path_after
    }
}
