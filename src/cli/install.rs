//! `berth install` and `berth uninstall`

use super::{EngineFlags, absolute};
use crate::address::Address;
use crate::install::{Asked, BIN_DIR, Mode, Order, PATIENCE, Restart, Wanted};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// `berth install`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  berth install --handler kata
  berth install --handler kata --apply --restart
  berth install --handler kata=vm --bin-dir /opt/bin --apply
  berth install --plugin --apply --stay --listen :9464 --config /etc/berth/config.yaml --host-root /host

The first prints what would be done, the second does it. The engine is restarted by systemctl, run in the host's root
directory, or by --restart-command; if it does not come back with the handlers, everything is put back. With --stay it
goes on, for a DaemonSet: it says at /readyz whether pods come through berth, follows the file of --config, and ends at
SIGTERM, taking nothing away.")]
pub struct Install {
    /// Add a handler NEW that is as NAME with berth in front [default of NEW: NAME-berth]. More than once for more.
    #[arg(long = "handler", value_name = "NAME[=NEW]")]
    pub handlers: Vec<Asked>,
    /// Place the NRI plugin that the engine starts.
    #[arg(long)]
    pub plugin: bool,
    /// Where berth and its further names go; the program itself goes to ../lib/berth, or to DIR/berth.d where nothing can
    /// be run there.
    #[arg(long, value_name = "DIR", value_parser = absolute, help = format!("\
Where berth and its further names go; the program itself goes to ../lib/berth, or to DIR/berth.d where nothing can be run \
there [default: {BIN_DIR}]"))]
    pub bin_dir: Option<PathBuf>,
    /// Have this file be berth's configuration on the host, in the place where every berth looks for it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Stay when it is done, until SIGTERM; an uninstall is refused meanwhile.
    #[arg(long, requires = "apply")]
    pub stay: bool,
    /// Where health is to be read while it stays, and the metrics of the plugin: 127.0.0.1:9464, :9464,
    /// unix:/run/berth/install.sock [default: nowhere].
    #[arg(long, value_name = "ADDR", env = "BERTH_LISTEN")]
    pub listen: Option<Address>,
    /// How far to go.
    #[command(flatten)]
    pub doing: Doing,
}

/// `berth uninstall`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  berth uninstall
  berth uninstall --apply --restart

Refused while pods run on a handler with berth in front. Configuration goes first, programs last.")]
pub struct Uninstall {
    /// How far to go.
    #[command(flatten)]
    pub doing: Doing,
}

/// How far to go, and where.
#[derive(Debug, Args)]
pub struct Doing {
    /// Do it; without this the plan is printed and nothing is written.
    #[arg(long)]
    pub apply: bool,
    /// Restart the engine if it has to read something new, wait for it, and put everything back if it does not come.
    #[arg(long, requires = "apply")]
    pub restart: bool,
    /// Restart it by this line of shell instead of systemctl.
    #[arg(long, value_name = "CMD", requires = "restart")]
    pub restart_command: Option<String>,
    /// How long to wait for the engine.
    #[arg(long, value_name = "TIME", default_value_t = format!("{}s", PATIENCE.as_secs()), value_parser = duration)]
    pub timeout: String,
    /// The host, and its engine.
    #[command(flatten)]
    pub engine: EngineFlags,
}

impl Install {
    /// What is asked for, and how far to go.
    #[must_use]
    pub fn parts(self) -> (Order, Wanted) {
        let Self { handlers, plugin, bin_dir, config, stay, .. } = self;
        let wanted = Wanted { handlers, plugin, bin_dir, config, stays: stay };
        (self.doing.order(), wanted)
    }
}

impl Doing {
    /// The same in the words of the install.
    #[must_use]
    pub fn order(self) -> Order {
        let restart = self.restart.then(|| self.restart_command.map_or(Restart::Systemd, Restart::Shell));
        Order {
            host_root: self.engine.host_root.clone(),
            choice: self.engine.choice(),
            mode: if self.apply { Mode::Apply } else { Mode::Plan },
            restart,
            patience: humantime::parse_duration(&self.timeout).unwrap_or(PATIENCE),
        }
    }
}

fn duration(text: &str) -> Result<String, String> {
    match humantime::parse_duration(text) {
        Ok(time) if time > Duration::ZERO => Ok(text.to_owned()),
        Ok(_) => Err("must be longer than nothing".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
