//! `berth check`

use super::{ConfigFile, DEFAULT_INDEX, DEFAULT_NAME, Directories, EngineFlags, Rows, nri};
use crate::check::{Form, Request};
use clap::Args;
use std::path::PathBuf;

/// `berth check`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  berth check
  berth check --strict --no-headers
  berth check --host-root /host -o json

Exit codes: 0 no FAIL, 1 a FAIL (with --strict a WARN, too), 2 usage.")]
pub struct Check {
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Rows::Table)]
    pub output: Rows,
    /// Exit with 1 on a WARN, too.
    #[arg(long)]
    pub strict: bool,
    /// Leave out the line with the names of the columns.
    #[arg(long)]
    pub no_headers: bool,
    /// Index of berth's plugin.
    #[arg(long, value_name = "NN", env = "BERTH_INDEX", default_value = DEFAULT_INDEX, value_parser = nri::index)]
    pub index: String,
    /// Name of berth's plugin.
    #[arg(long, value_name = "NAME", env = "BERTH_NAME", default_value = DEFAULT_NAME, value_parser = nri::name)]
    pub name: String,
    /// The engine.
    #[command(flatten)]
    pub engine: EngineFlags,
    /// Configuration; a named file is one of this container's, and not of --host-root.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Directories, of the host.
    #[command(flatten)]
    pub directories: Directories,
}

impl Check {
    /// In which form the answer is wanted.
    #[must_use]
    pub fn form(&self) -> Form {
        match self.output {
            Rows::Table => Form::Table { headers: !self.no_headers },
            Rows::Json => Form::Json,
            Rows::Yaml => Form::Yaml,
        }
    }

    /// What is to be looked at.
    #[must_use]
    pub fn request(self) -> Request {
        let host_root: PathBuf = self.engine.host_root.clone();
        Request {
            host_root,
            choice: self.engine.choice(),
            config: self.config.path,
            state_dir: self.directories.state_dir,
            netns_dir: self.directories.netns_dir,
            index: self.index,
            name: self.name,
        }
    }
}
