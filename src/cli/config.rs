//! `berth config`

use crate::config;
use clap::Subcommand;
use std::path::PathBuf;

/// `berth config`
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Check a file and tell every mistake in it.
    #[command(after_help = "\
Examples:
  berth config check
  berth config check config.yaml")]
    Check {
        /// The file.
        #[arg(env = "BERTH_CONFIG", default_value = config::DEFAULT_PATH)]
        file: PathBuf,
    },
    /// Print the configuration that holds without a file.
    #[command(after_help = "\
Examples:
  berth config default > /etc/berth/config.yaml")]
    Default,
}
