//! `berth exec`

use super::Directories;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use std::ffi::OsString;

/// `berth exec`
#[derive(Debug, Args)]
pub struct Exec {
    /// A pod, namespace/pod, the beginning of a sandbox id, or a pin, as `berth list` shows them.
    #[arg(value_name = "POD", value_parser = NonEmptyStringValueParser::new())]
    pub pod: String,
    /// The command of this node, and its arguments.
    #[arg(value_name = "COMMAND", last = true, required = true)]
    pub command: Vec<OsString>,
    /// Directories.
    #[command(flatten)]
    pub directories: Directories,
}
