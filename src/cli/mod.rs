//! The command line: from arguments to what is to be done. Parsing only; nothing is read or run here.

mod config;
mod exec;
mod explain;
mod gc;
mod inspect;
mod list;
mod nri;

pub use config::Config;
pub use exec::Exec;
pub use explain::{Explain, Explanation};
pub use gc::{Gc, Rows};
pub use inspect::Inspect;
pub use list::{List, Output, State};
pub use nri::{DEFAULT_INDEX, DEFAULT_NAME, Nri};

use crate::{ledger, netns};
use clap::{Args, Parser, Subcommand, ValueEnum};
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
    #[command(after_help = "\
Works with and without a daemon.

Examples:
  berth list
  berth list -n demo --state draining -o wide
  berth list -o name | xargs -n 1 berth inspect")]
    List(List),
    /// Show everything known of one pod's pin: record, verdicts, processes, interfaces, routes.
    #[command(after_help = "\
Examples:
  berth inspect web
  berth inspect demo/web -o yaml
  berth inspect 4f1c")]
    Inspect(Inspect),
    /// Run a command of this node in a pod's network namespace.
    #[command(after_help = "\
Files, users and the resolver's settings are the node's; /sys shows the pod's interfaces. No shell
is started. Exit code: the command's; 126 if it cannot be executed, 127 if it is not found. The pin
of a pod that is gone stays while the command runs, for five minutes at most.

Examples:
  berth exec web -- ip address
  berth exec demo/web -- tcpdump -ni eth0
  berth exec 4f1c -- sh -c 'ss -tlnp; curl -s 127.0.0.1'")]
    Exec(Exec),
    /// Remove pins that nobody needs any more, by the same rule as the daemon.
    #[command(after_help = "\
Works with and without a daemon. What cannot be shown to be unneeded stays.

Examples:
  berth gc --dry-run
  berth gc -o json")]
    Gc(Gc),
    /// Say what an interposer would do with a bundle, and why; change nothing.
    #[command(after_help = "\
Examples:
  berth explain /run/containerd/io.containerd.runtime.v2.task/k8s.io/4f1c...
  berth explain BUNDLE --as containerd-shim-berth-kata-v2 -o json")]
    Explain(Explain),
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
