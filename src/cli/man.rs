//! `berth man`

use clap::Args;
use std::path::PathBuf;

/// `berth man`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  berth man | man -l -
  berth man --dir /usr/local/share/man/man1")]
pub struct Man {
    /// Write a page for every command into this directory, made if absent, in place of the main page to standard output.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
