//! `berth gc`

use super::{ConfigFile, Directories};
use clap::Args;

/// `berth gc`
#[derive(Debug, Args)]
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
