//! `berth exec`

use super::Directories;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use std::ffi::OsString;

/// `berth exec`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  berth exec web -- ip address
  berth exec demo/web -- tcpdump -ni eth0
  berth exec 4f1c -- sh -c 'ss -tlnp; curl -s 127.0.0.1'

Files, users and the resolver's settings are the node's; /sys shows the pod's interfaces. No shell
is started. Exit code: the command's; 126 if it cannot be executed, 127 if it is not found. The pin
of a pod that is gone stays while the command runs, for five minutes at most.")]
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
