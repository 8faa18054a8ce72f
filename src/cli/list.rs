//! `berth list`

use super::{ConfigFile, Directories};
use clap::{Args, ValueEnum};

/// `berth list`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  berth list
  berth list -o wide
  berth list -o json | jq -r '.items[].record.pod.name'")]
pub struct List {
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Configuration, for hostProc.
    #[command(flatten)]
    pub config: ConfigFile,
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
}
