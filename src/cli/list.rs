//! `berth list`

use super::Directories;
use crate::apply::State;
use clap::builder::{NonEmptyStringValueParser, PossibleValue};
use clap::{Args, ValueEnum};

/// `berth list`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  berth list
  berth list -n demo --state draining -o wide
  berth list -o json | jq -r '.items[].record.pod.name'
  berth list -o name | xargs -n 1 berth inspect

Works with and without the daemon.")]
pub struct List {
    /// Only these: a pod, namespace/pod, the beginning of a sandbox id, or a pin.
    #[arg(value_name = "POD", value_parser = NonEmptyStringValueParser::new())]
    pub pods: Vec<String>,
    /// Only pods of this Kubernetes namespace.
    #[arg(short, long)]
    pub namespace: Option<String>,
    /// Only pins in this state; may be repeated.
    #[arg(long, value_enum)]
    pub state: Vec<State>,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Leave out the line with the names of the columns.
    #[arg(long)]
    pub no_headers: bool,
    /// Directories.
    #[command(flatten)]
    pub directories: Directories,
}

/// Output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For reading.
    Table,
    /// For reading, with everything.
    Wide,
    /// For programs.
    Json,
    /// For programs and people.
    Yaml,
    /// Only names, one a line, as other commands take them.
    Name,
}

impl ValueEnum for State {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}
