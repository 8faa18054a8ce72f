//! `berth explain`

use super::{ConfigFile, Directories, Document};
use clap::Args;
use std::path::PathBuf;

/// `berth explain`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  berth explain /run/containerd/io.containerd.runtime.v2.task/k8s.io/4f1c...
  berth explain BUNDLE --as containerd-shim-berth-kata-v2 -o json")]
pub struct Explain {
    /// The bundle: the directory with config.json.
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// The name under which the interposer would be run [default: one without an entry in the configuration].
    #[arg(long = "as", value_name = "NAME")]
    pub name: Option<String>,
    /// The container's id [default: by the bundle's directory].
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// Where ids are unique: the OCI runtime's --root, or containerd's namespace [default: by the bundle's directory].
    #[arg(long, value_name = "ROOT")]
    pub root: Option<String>,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Document::Text)]
    pub output: Document,
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Directories.
    #[command(flatten)]
    pub directories: Directories,
}
