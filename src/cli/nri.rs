//! `berth nri`: where the runtime is met, and under which name.

use super::{Cli, Command, ConfigFile, Directories, absolute};
use crate::address::Address;
use crate::apply::PinsBy;
use crate::nri;
use clap::builder::PossibleValue;
use clap::{Args, Parser, ValueEnum};
use std::path::PathBuf;

/// Comes late among plugins (they are sorted by index), so that it sees what others have adjusted.
pub const DEFAULT_INDEX: &str = "90";

/// The name under which the runtime knows the plugin.
pub const DEFAULT_NAME: &str = "berth";

/// `berth nri`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  berth nri
  berth nri --socket /run/k3s/nri/nri.sock --config /etc/berth/config.yaml

SIGHUP has it read its configuration again, which it also does when the file changes. SIGTERM and SIGINT end it
within two seconds; pins stay.")]
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
    /// Where health and metrics are to be read: 127.0.0.1:9464, :9464, unix:/run/berth/http.sock [default: `listen` of
    /// the configuration, and nowhere without it].
    #[arg(long, value_name = "ADDR", env = "BERTH_LISTEN")]
    pub listen: Option<Address>,
    /// Who makes pins and removes them. With `interposers` this daemon needs no privilege: it gives members the pins that
    /// stand, and marks those that are to go.
    #[arg(long, value_name = "WHO", env = "BERTH_PINS_BY", value_enum, default_value_t = PinsBy::Daemon)]
    pub pins_by: PinsBy,
    /// Configuration.
    #[command(flatten)]
    pub config: ConfigFile,
    /// Directories.
    #[command(flatten)]
    pub directories: Directories,
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

impl ValueEnum for PinsBy {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

pub(super) fn index(text: &str) -> Result<String, nri::IdentityError> {
    nri::Identity::new(text, DEFAULT_NAME).map(|_| text.to_owned())
}

pub(super) fn name(text: &str) -> Result<String, nri::IdentityError> {
    nri::Identity::new(DEFAULT_INDEX, text).map(|_| text.to_owned())
}
