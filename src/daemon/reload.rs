//! The configuration, read again: at SIGHUP, when its file changes, and once when the daemon begins to serve, because it
//! may have been passive for long.
//!
//! All or nothing. A file that cannot be read or has mistakes changes nothing; that is said and counted. A file that is
//! gone says nothing by that: what it said stays. SIGHUP asks for what a start would give, and that is the built-in
//! default where no file was named and the default one is absent.

use super::filewatch::FileWatch;
use crate::config::{Config, ConfigError, DEFAULT_PATH};
use crate::door::nri::NriDoor;
use crate::exit::chain;
use crate::ledger::Ledger;
use crate::ledger::record::config_name;
use crate::logging::Line;
use crate::metrics::table::{CONFIG_GOOD, CONFIG_RELOADS};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::Signal;
use tokio::sync::watch as flag;
use tokio::time::timeout;

/// How long nothing more must happen to a file until it is read; a writer takes several steps.
const QUIET: Duration = Duration::from_millis(100);

/// How long that is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often the file is read without an event: for what mounts do, and for writers that never close it.
const POLL: Duration = Duration::from_secs(30);

/// How often, while it cannot be watched.
const POLL_UNWATCHED: Duration = Duration::from_secs(5);

/// Why the file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Somebody wants to know: there is an answer in the log in any case.
    Yes,
    /// It may have changed.
    No,
}

/// Reads the file again, and hands the door what is good.
pub(super) struct Reloader {
    /// The named file.
    named: Option<PathBuf>,
    door: Arc<NriDoor>,
    ledger: Ledger,
    /// What was wrong when it was last read, so that it is not repeated.
    wrong: Option<String>,
    complained: bool,
}

impl Reloader {
    /// For `door`, whose configuration came from `named` or, without that, from the default path.
    pub(super) fn new(named: Option<PathBuf>, door: Arc<NriDoor>, ledger: Ledger) -> Self {
        Self { named, door, ledger, wrong: None, complained: false }
    }

    /// Runs until `stopped` turns true.
    pub(super) async fn run(mut self, mut hangups: Signal, mut stopped: flag::Receiver<bool>) {
        let mut watch = None;
        loop {
            // In this order: what changes while it is read is noticed.
            watch = self.watch(watch);
            self.look(Asked::No).await;
            let asked = tokio::select! {
                _ = stopped.changed() => return,
                _ = hangups.recv() => Asked::Yes,
                () = change(&mut watch) => Asked::No,
            };
            if asked == Asked::Yes {
                self.look(Asked::Yes).await;
            }
        }
    }

    fn path(&self) -> &Path {
        self.named.as_deref().unwrap_or(Path::new(DEFAULT_PATH))
    }

    /// The watch for what the path is now: the one `before` if it can be.
    fn watch(&mut self, before: Option<FileWatch>) -> Option<FileWatch> {
        if let Some(mut watch) = before
            && watch.renew().is_ok()
        {
            return Some(watch);
        }
        let path = std::path::absolute(self.path()).unwrap_or_else(|_| self.path().to_owned());
        match FileWatch::new(&path) {
            Ok(watch) => Some(watch),
            Err(error) => {
                if !std::mem::replace(&mut self.complained, true) {
                    let line =
                        Line::message("the configuration cannot be watched; changes are seen a few seconds late");
                    log::warn!("{}", line.with("error", chain(&error)));
                }
                None
            }
        }
    }

    /// Reads and, if that gives another configuration, puts it in place.
    async fn look(&mut self, asked: Asked) {
        let (named, present) = (self.named.clone(), self.door.own_config());
        let loaded = match tokio::task::spawn_blocking(move || load(named.as_deref())).await {
            Ok(Ok(config)) if asked == Asked::No && present.is_from_file() && !config.is_from_file() => {
                Err(format!("config {DEFAULT_PATH}: is gone; what it said stays until it is back, or until SIGHUP"))
            }
            Ok(loaded) => loaded.map_err(|error| chain(&error)),
            Err(error) => Err(error.to_string()),
        };
        match loaded {
            Err(wrong) => self.fail(wrong, asked, &present),
            Ok(config) if config == *present => {
                CONFIG_GOOD.set(&[], 1);
                if self.wrong.take().is_some() || asked == Asked::Yes {
                    log::info!("{}", about("configuration unchanged", &config));
                }
            }
            Ok(config) => self.replace(config, &present).await,
        }
        if self.door.is_overruled() && (asked == Asked::Yes || *self.door.own_config() != *present) {
            let text = "what the runtime has handed over holds all the same, until its next handshake; \
                        change that in its NRI configuration directory and restart it";
            log::warn!("{}", Line::message(text));
        }
    }

    fn fail(&mut self, wrong: String, asked: Asked, present: &Config) {
        if asked == Asked::No && self.wrong.as_ref() == Some(&wrong) {
            return;
        }
        CONFIG_RELOADS.count(&["failed"]);
        CONFIG_GOOD.set(&[], 0);
        log::error!("{}", about("configuration not reloaded; the one before stays", present).with("error", &wrong));
        self.wrong = Some(wrong);
    }

    async fn replace(&mut self, config: Config, before: &Config) {
        self.wrong = None;
        CONFIG_GOOD.set(&[], 1);
        let line = about("configuration reloaded", &config)
            .with("before", config_name(before.hash))
            .with("profiles", &config)
            .with("records_other_config", self.records_under_other(config.hash).await);
        self.door.reconfigure(config);
        CONFIG_RELOADS.count(&["ok"]);
        log::info!("{line}");
    }

    /// How many, or why that cannot be said. Every one of them is read, which is not the event loop's to do.
    async fn records_under_other(&self, hash: u64) -> String {
        let ledger = self.ledger.clone();
        match tokio::task::spawn_blocking(move || ledger.list()).await {
            Ok(Ok(listing)) => listing.under_other_config(hash).to_string(),
            Ok(Err(error)) => chain(&error),
            Err(error) => error.to_string(),
        }
    }
}

/// A line that names the configuration it is about.
fn about(message: &str, config: &Config) -> Line {
    Line::message(message).with("config", &config.origin).with("config_hash", config_name(config.hash))
}

/// As at a start; but a pipe or a device, from which a start may read, has no more to say.
fn load(named: Option<&Path>) -> Result<Config, ConfigError> {
    let path = named.unwrap_or(Path::new(DEFAULT_PATH));
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        let source = std::io::Error::other("is not a regular file");
        return Err(ConfigError::Io { path: path.display().to_string(), step: "read it again", source });
    }
    Config::load(named)
}

/// Waits until the file may be another and its writer is through, or until it is time to look.
async fn change(watch: &mut Option<FileWatch>) {
    let Some(watch) = watch else { return tokio::time::sleep(POLL_UNWATCHED).await };
    if timeout(POLL, watch.changed()).await.is_ok() {
        let quiet = async { while timeout(QUIET, watch.changed()).await.is_ok() {} };
        // A file that never rests is read all the same.
        drop(timeout(PATIENCE, quiet).await);
    }
}
