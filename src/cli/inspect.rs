//! `berth inspect`

use super::{ConfigFile, Directories, Document};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use std::path::PathBuf;

/// `berth inspect`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  berth inspect web
  berth inspect demo/web -o yaml
  berth inspect 4f1c")]
pub struct Inspect {
    /// A pod, namespace/pod, the beginning of a sandbox id, or a pin, as `berth list` shows them.
    #[arg(value_name = "POD", value_parser = NonEmptyStringValueParser::new())]
    pub pod: String,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Document::Text)]
    pub output: Document,
    /// A further directory in which the engine keeps bundles, one below it for each container.
    #[arg(long, value_name = "DIR", value_parser = super::absolute)]
    pub bundles: Vec<PathBuf>,
    /// Configuration, for what would be done with the pod's containers now.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Directories.
    #[command(flatten)]
    pub directories: Directories,
}
