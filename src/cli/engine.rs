//! Which engine is meant, for the commands that look at it or change its configuration.

use super::absolute;
use crate::engine::Choice;
use clap::Args;
use clap::builder::PossibleValuesParser;
use std::path::PathBuf;

/// Where the host is, and which engine is its.
#[derive(Debug, Args)]
pub struct EngineFlags {
    /// The host's root directory, for running in a container: the engine's and berth's files are looked for below it.
    #[arg(long, value_name = "DIR", env = "BERTH_HOST_ROOT", default_value = "/", value_parser = absolute)]
    pub host_root: PathBuf,
    /// Which engine, where there are several [default: the one that runs].
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(Choice::names()))]
    pub engine: Option<String>,
    /// The engine's configuration file [default: what it runs with].
    #[arg(long, value_name = "FILE", value_parser = absolute)]
    pub config_file: Option<PathBuf>,
    /// The engine's directory of drop-ins [default: what it runs with].
    #[arg(long, value_name = "DIR", value_parser = absolute)]
    pub config_dir: Option<PathBuf>,
    /// The engine's socket [default: what it runs with].
    #[arg(long, value_name = "PATH", value_parser = absolute)]
    pub engine_socket: Option<PathBuf>,
    /// The engine's program [default: that of its process, else in the usual directories].
    #[arg(long, value_name = "FILE", value_parser = absolute)]
    pub engine_program: Option<PathBuf>,
}

impl EngineFlags {
    /// What was said.
    #[must_use]
    pub fn choice(self) -> Choice {
        Choice {
            engine: self.engine,
            config: self.config_file,
            drop_ins: self.config_dir,
            socket: self.engine_socket,
            program: self.engine_program,
        }
    }
}
