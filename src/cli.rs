//! The command line: from arguments to what is to be done. Parsing only; nothing is read or run here.

use crate::{config, ledger, netns, nri};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Comes late among plugins (they are sorted by index), so that it sees what others have adjusted.
pub const DEFAULT_INDEX: &str = "90";

/// The name under which the runtime knows the plugin.
pub const DEFAULT_NAME: &str = "berth";

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

/// `berth nri`
#[derive(Debug, Args)]
pub struct Nri {
    /// The runtime's NRI socket.
    #[arg(long, value_name = "PATH", env = "BERTH_SOCKET", default_value = nri::DEFAULT_SOCKET, value_parser = absolute)]
    pub socket: PathBuf,
    /// Plugin index, two digits: the order among plugins.
    #[arg(long, value_name = "NN", env = "BERTH_INDEX", default_value = DEFAULT_INDEX, value_parser = index)]
    pub index: String,
    /// Plugin name.
    #[arg(long, value_name = "NAME", env = "BERTH_NAME", default_value = DEFAULT_NAME, value_parser = name)]
    pub name: String,
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Directories.
    #[command(flatten)]
    pub directories: Directories,
}

/// `berth list`
#[derive(Debug, Args)]
pub struct List {
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    pub output: Output,
    /// Configuration, for hostProc.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Directories.
    #[command(flatten)]
    pub directories: Directories,
}

/// Output formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For reading.
    Table,
    /// For reading, with everything.
    Wide,
    /// For programs.
    Json,
}

/// `berth gc`
#[derive(Debug, Args)]
pub struct Gc {
    /// Say what would go, change nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Configuration, for hostProc.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Directories.
    #[command(flatten)]
    pub directories: Directories,
}

/// `berth explain`
#[derive(Debug, Args)]
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
    #[arg(short, long, value_enum, default_value_t = Explanation::Text)]
    pub output: Explanation,
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Directories.
    #[command(flatten)]
    pub directories: Directories,
}

/// Formats of an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Explanation {
    /// For reading.
    Text,
    /// For programs.
    Json,
}

/// `berth config`
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Check a file and tell every mistake in it.
    Check {
        /// The file.
        #[arg(env = "BERTH_CONFIG", default_value = config::DEFAULT_PATH)]
        file: PathBuf,
    },
    /// Print the configuration that holds without a file.
    Default,
}

impl Nri {
    /// What `berth nri` without arguments means, with the environment's say: for a plugin that the runtime starts.
    ///
    /// # Errors
    /// A variable with a wrong value.
    pub fn parse_default() -> Result<Self, clap::Error> {
        match Cli::try_parse_from(["berth", "nri"])?.command {
            Command::Nri(nri) => Ok(nri),
            _ => Err(clap::Error::new(clap::error::ErrorKind::InvalidSubcommand)),
        }
    }
}

fn index(text: &str) -> Result<String, nri::IdentityError> {
    nri::Identity::new(text, DEFAULT_NAME).map(|_| text.to_owned())
}

fn name(text: &str) -> Result<String, nri::IdentityError> {
    nri::Identity::new(DEFAULT_INDEX, text).map(|_| text.to_owned())
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
