//! The command line: from arguments to what is to be done. Parsing only; nothing is read or run here.

mod check;
mod completion;
mod config;
mod engine;
mod exec;
mod explain;
mod gc;
mod inspect;
mod install;
mod list;
mod man;
mod nri;
#[cfg(test)]
mod tests;

pub use check::Check;
pub use completion::{Completion, Shell};
pub use config::Config;
pub use engine::EngineFlags;
pub use exec::Exec;
pub use explain::Explain;
pub use gc::{Gc, Rows};
pub use inspect::Inspect;
pub use install::{Doing, Install, Uninstall};
pub use list::{List, Output};
pub use man::Man;
pub use nri::{DEFAULT_INDEX, DEFAULT_NAME, Nri};

use crate::{apply, ledger, netns};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BERTH_COMMIT"), ")");

/// A berth for every pod: sandbox identity and persistent network namespaces for sandboxed container runtimes.
#[derive(Debug, Parser)]
#[command(name = "berth", version = VERSION, subcommand_required = true, subcommand_value_name = "COMMAND", arg_required_else_help = true, after_help = "\
Examples:
  berth nri
  berth list
  berth config check /etc/berth/config.yaml
  berth help gc

Exit codes: 0 ok, 1 failure, 2 usage. Flags that say where things are have an environment
variable each, shown in their help; BERTH_LOG sets the level of the daemon's log.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve a container runtime as an NRI plugin, until SIGTERM.
    Nri(Nri),
    /// List the pins of this node.
    List(List),
    /// Show everything known of one pod's pin: record, verdicts, processes, interfaces, routes.
    Inspect(Inspect),
    /// Run a command of this node in a pod's network namespace.
    Exec(Exec),
    /// Say whether this node is ready for berth, and what to change if it is not; change nothing.
    Check(Check),
    /// Remove pins that nobody needs any more, by the same rule as the daemon.
    Gc(Gc),
    /// Say what an interposer would do with a bundle, and why; change nothing.
    Explain(Explain),
    /// Put berth on this node: the program, and handlers with berth in front. Prints the plan unless told to do it.
    Install(Install),
    /// Take away what install has put on this node. Prints the plan unless told to do it.
    Uninstall(Uninstall),
    /// Check a configuration file, or print the default one.
    #[command(subcommand, subcommand_value_name = "COMMAND")]
    Config(Config),
    /// Print a script by which a shell completes berth's command line.
    Completion(Completion),
    /// Print the manual page, or write one for every command.
    Man(Man),
}

/// Where pins and records are.
#[derive(Debug, Args)]
pub struct Directories {
    /// State directory.
    #[arg(long, value_name = "DIR", env = "BERTH_STATE_DIR", default_value = ledger::DEFAULT_DIR, value_parser = absolute)]
    pub state_dir: PathBuf,
    /// Directory of the pins.
    #[arg(long, value_name = "DIR", env = "BERTH_NETNS_DIR", default_value = netns::DEFAULT_DIR, value_parser = absolute)]
    pub netns_dir: PathBuf,
    /// The host's /proc: in a container that does not share the host's pid namespace, where it is mounted.
    #[arg(long, value_name = "DIR", env = "BERTH_HOST_PROC", default_value = apply::PROC, value_parser = absolute)]
    pub host_proc: PathBuf,
}

/// Which configuration holds.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// Configuration file [default: /etc/berth/config.yaml, and the built-in default if that is absent].
    #[arg(long = "config", value_name = "FILE", env = "BERTH_CONFIG")]
    pub path: Option<PathBuf>,
}

/// Formats of a report on one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Document {
    /// For reading.
    Text,
    /// For programs.
    Json,
    /// For programs and people.
    Yaml,
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("must be an absolute path".to_owned()) }
}
