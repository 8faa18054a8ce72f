//! The command line: from arguments to what is to be done. Parsing only; nothing is read or run here.

mod check;
mod config;
mod engine;
mod explain;
mod gc;
mod install;
mod list;
mod nri;

pub use check::{Check, CheckOutput};
pub use config::Config;
pub use engine::EngineFlags;
pub use explain::{Explain, Explanation};
pub use gc::Gc;
pub use install::{Doing, Install, Uninstall};
pub use list::{List, Output};
pub use nri::{DEFAULT_INDEX, DEFAULT_NAME, Nri};

use crate::{ledger, netns};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BERTH_COMMIT"), ")");

/// A berth for every pod: sandbox identity and persistent network namespaces for sandboxed container runtimes.
#[derive(Debug, Parser)]
#[command(name = "berth", version = VERSION, subcommand_required = true, arg_required_else_help = true, after_help = "\
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
    #[command(after_help = "\
Examples:
  berth nri
  berth nri --socket /run/k3s/nri/nri.sock --config /etc/berth/config.yaml")]
    Nri(Nri),
    /// List the pins of this node.
    List(List),
    /// Say whether this node is ready for berth, and what to change if it is not; change nothing.
    Check(Check),
    /// Remove pins that nobody needs any more, by the same rule as the daemon.
    #[command(after_help = "\
Works with and without a daemon. What cannot be shown to be unneeded stays.")]
    Gc(Gc),
    /// Say what an interposer would do with a bundle, and why; change nothing.
    #[command(after_help = "\
Examples:
  berth explain /run/containerd/io.containerd.runtime.v2.task/k8s.io/4f1c...
  berth explain BUNDLE --as containerd-shim-berth-kata-v2 -o json")]
    Explain(Explain),
    /// Put berth on this node: the program, and handlers with berth in front. Prints the plan unless told to do it.
    #[command(after_help = "\
Examples:
  berth install --handler kata                      print what would be done
  berth install --handler kata --apply --restart    do it
  berth install --handler kata=vm --bin-dir /opt/bin --apply

The engine is restarted by `systemctl restart`, run in the host's root directory, or by --restart-command.")]
    Install(Install),
    /// Take away what install has put on this node. Prints the plan unless told to do it.
    #[command(after_help = "\
Examples:
  berth uninstall                     print what would be done
  berth uninstall --apply --restart   do it

Refused while pods run on a handler with berth in front. Configuration goes first, programs last.")]
    Uninstall(Uninstall),
    /// Check a configuration file, or print the default one.
    #[command(subcommand)]
    Config(Config),
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
}

/// Which configuration holds.
#[derive(Debug, Args)]
pub struct ConfigFile {
    /// Configuration file [default: /etc/berth/config.yaml, and the built-in default if that is absent].
    #[arg(long = "config", value_name = "FILE", env = "BERTH_CONFIG")]
    pub path: Option<PathBuf>,
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err("must be an absolute path".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_flag_of_nri_has_its_variable() {
        let command = Cli::command();
        let nri = command.find_subcommand("nri").expect("nri");
        for argument in nri.get_arguments().filter(|argument| argument.get_long() != Some("help")) {
            let long = argument.get_long().expect("long").to_uppercase().replace('-', "_");
            assert_eq!(argument.get_env().and_then(|name| name.to_str()), Some(format!("BERTH_{long}").as_str()));
        }
    }

    #[test]
    fn relative_directories_are_refused() {
        let error = Cli::try_parse_from(["berth", "nri", "--state-dir", "run/berth"]).expect_err("relative");
        assert!(error.to_string().contains("must be an absolute path"), "{error}");
    }
}
