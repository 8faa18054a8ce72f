//! `berth gc`

use super::Directories;
use clap::{Args, ValueEnum};

/// `berth gc`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  berth gc --dry-run
  berth gc
  berth gc -o json

Works with and without a daemon. What cannot be shown to be unneeded stays.")]
pub struct Gc {
    /// Say what would go, change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Say nothing of what stays as it is.
    #[arg(short, long)]
    pub quiet: bool,
    /// Leave out the line with the names of the columns.
    #[arg(long)]
    pub no_headers: bool,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Rows::Table)]
    pub output: Rows,
    /// Directories.
    #[command(flatten)]
    pub directories: Directories,
}

/// Formats of a report in lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Rows {
    /// For reading.
    Table,
    /// For programs.
    Json,
    /// For programs and people.
    Yaml,
}
