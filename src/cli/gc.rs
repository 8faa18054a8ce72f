//! `berth gc`

use super::{ConfigFile, Directories};
use clap::Args;

/// `berth gc`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  berth gc --dry-run
  berth gc

Works with and without a daemon. What cannot be shown to be unneeded stays.")]
pub struct Gc {
    /// Say what would go, change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Configuration, for hostProc.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Directories.
    #[command(flatten)]
    pub directories: Directories,
}
