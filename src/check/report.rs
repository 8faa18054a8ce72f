//! The answer, for people and for programs.

use super::{Node, privileges};
use crate::finding::{Finding, Grade, lines};
use serde::Serialize;
use std::io::{self, Write};

/// In which form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Lines.
    Table {
        /// The first one names the columns.
        headers: bool,
    },
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// What a node was found to be. It has paths, names and versions, and nothing of what a pod or a registry is told.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    api_version: &'static str,
    kind: &'static str,
    node: Facts,
    summary: Summary,
    findings: Vec<Finding>,
}

/// What it was found on.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Facts {
    berth: String,
    commit: &'static str,
    kernel: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_config: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine_config_version: Option<i64>,
    handlers: Vec<String>,
    wrapped: Vec<String>,
}

/// How many of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Summary {
    pass: usize,
    warn: usize,
    fail: usize,
    skip: usize,
}

impl Report {
    /// The findings of a node.
    #[must_use]
    pub fn new(node: &Node, findings: Vec<Finding>) -> Self {
        let count = |grade| findings.iter().filter(|finding| finding.grade == grade).count();
        let summary = Summary {
            pass: count(Grade::Pass),
            warn: count(Grade::Warn),
            fail: count(Grade::Fail),
            skip: count(Grade::Skip),
        };
        Self { api_version: "berth/v1", kind: "NodeCheck", node: Facts::of(node), summary, findings }
    }

    /// Whether nothing is wrong; `strict` takes what could be better for wrong.
    #[must_use]
    pub fn is_good(&self, strict: bool) -> bool {
        self.summary.fail == 0 && (!strict || self.summary.warn == 0)
    }

    /// Writes it.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub fn write(&self, form: Form, out: &mut dyn Write) -> io::Result<()> {
        match form {
            Form::Json => {
                serde_json::to_writer_pretty(&mut *out, self)?;
                writeln!(out)
            }
            Form::Yaml => write!(out, "{}", serde_yaml::to_string(self).map_err(io::Error::other)?),
            Form::Table { headers } => self.table(headers, out),
        }
    }

    /// Grade, check and message; what to do in a line below.
    fn table(&self, headers: bool, out: &mut dyn Write) -> io::Result<()> {
        let width = self.findings.iter().map(|finding| finding.check.len()).max().unwrap_or_default();
        if headers {
            writeln!(out, "GRADE  {:width$}  FOUND", "CHECK")?;
        }
        out.write_all(lines(&self.findings).as_bytes())?;
        let Summary { pass, warn, fail, skip } = self.summary;
        writeln!(out, "\n{pass} PASS, {warn} WARN, {fail} FAIL, {skip} SKIP")
    }
}

impl Facts {
    fn of(node: &Node) -> Self {
        let engine = node.engine();
        let effective = node.effective();
        Self {
            berth: crate::VERSION.to_owned(),
            commit: crate::COMMIT,
            kernel: privileges::kernel(),
            engine: engine.map(crate::engine::Engine::name),
            engine_version: engine.and_then(|engine| engine.version.as_ref().ok()).map(ToString::to_string),
            engine_config: engine.map(|engine| engine.config.display().to_string()),
            engine_config_version: effective.and_then(|effective| effective.version),
            handlers: effective.map(|effective| effective.handlers.keys().cloned().collect()).unwrap_or_default(),
            wrapped: node.wrapped().iter().map(|wrapped| wrapped.handler.to_owned()).collect(),
        }
    }
}
