//! The long-running process: wires the NRI door, the warden and the signals together, and ends in order.
//!
//! One thread runs everything; what may wait for a lock or scan `/proc` goes to tokio's blocking pool, which is
//! kept small, and the log has a thread of its own. There is one daemon per node: a second one stays passive until the
//! first is gone.

mod board;
mod exposition;
mod filewatch;
mod listening;
mod pulse;
mod reload;
mod site;
mod vitals;
mod warden;
mod watch;

use crate::address::Address;
use crate::apply::{ApplyError, Keeper};
use crate::config::Config;
use crate::confine::Confined;
use crate::door::nri::{NriDoor, Place};
use crate::exit::{Exit, chain};
use crate::fsutil::Lock;
use crate::http::BindError;
use crate::ledger::record::config_name;
use crate::logging::Line;
use crate::metrics;
use crate::metrics::table::{CONFIG_GOOD, CONFIG_RELOADS};
use crate::nri::{self, Endpoint, Identity, NriError, Options};
use board::Board;
use listening::Listening;
use nix::sys::signal::{SigSet, SigmaskHow};
use pulse::Pulse;
use reload::Reloader;
use site::Pages;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch as flag;

/// How often a passive daemon looks whether it may take over.
const TAKEOVER_POLL: Duration = Duration::from_millis(500);

/// How long what has begun may take to end after SIGTERM: events, then a pass over the pins, then what waits for a lock or
/// for `/proc`. With the last lines of the log ([`crate::logging::finish`]) that leaves some time of two seconds.
const DRAIN: Duration = Duration::from_millis(1200);
const DRAIN_PASS: Duration = Duration::from_millis(300);
const DRAIN_BLOCKING: Duration = Duration::from_millis(200);

/// Threads that may wait: for a lock, or for `/proc`.
const BLOCKING_THREADS: usize = 4;

/// What the daemon is started with.
#[derive(Debug)]
pub struct Start {
    /// Where the runtime is met.
    pub endpoint: Endpoint,
    /// Name and index of the plugin.
    pub identity: Identity,
    /// The configuration.
    pub config: Config,
    /// The file it is to be read from again, if one was named; else that is the default one.
    pub config_file: Option<PathBuf>,
    /// Where health and metrics are to be read, whatever the configuration says.
    pub listen: Option<Address>,
    /// State directory.
    pub state_dir: PathBuf,
    /// Netns directory.
    pub netns_dir: PathBuf,
    /// Where this process is.
    pub place: Place,
    /// What it has given up.
    pub confined: Confined,
}

/// Why the daemon ended.
#[derive(Debug, thiserror::Error)]
enum DaemonError {
    #[error("start the event loop")]
    Runtime(#[source] std::io::Error),
    #[error("listen for signals")]
    Signals(#[source] std::io::Error),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Nri(#[from] NriError),
    #[error(transparent)]
    Listen(#[from] BindError),
    #[error("the task that serves the runtime ended early")]
    Plugin(#[source] tokio::task::JoinError),
    #[error("the task that watches over the pins ended early")]
    Warden(#[source] tokio::task::JoinError),
    #[error("the task that reloads the configuration ended early")]
    Reload(#[source] tokio::task::JoinError),
}

/// Has SIGHUP wait for [`run`], which reloads then; without this it kills the process while that is being prepared.
pub fn hold_hangups() {
    mask_hangups(SigmaskHow::SIG_BLOCK);
}

fn release_hangups() {
    mask_hangups(SigmaskHow::SIG_UNBLOCK);
}

fn mask_hangups(how: SigmaskHow) {
    let hangup = SigSet::from(nix::sys::signal::Signal::SIGHUP);
    if let Err(error) = nix::sys::signal::pthread_sigmask(how, Some(&hangup), None) {
        log::warn!("{}", Line::message("SIGHUP cannot be held back or released").with("error", error));
    }
}

/// Runs until a signal or, on an inherited socket, until the runtime hangs up.
#[must_use]
pub fn run(start: Start) -> Exit {
    match run_to_the_end(start) {
        Ok(()) => {
            log::info!("{}", Line::message("ended").with("counts", metrics::summary()));
            Exit::Ok
        }
        Err(error) => {
            log::error!("{}", Line::message("ended").with("error", chain(&error)).with("counts", metrics::summary()));
            Exit::Failure
        }
    }
}

fn run_to_the_end(start: Start) -> Result<(), DaemonError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(DaemonError::Runtime)?;
    let result = runtime.block_on(serve(start));
    runtime.shutdown_timeout(DRAIN_BLOCKING);
    result
}

async fn serve(start: Start) -> Result<(), DaemonError> {
    let mut signals = Signals::new().map_err(DaemonError::Signals)?;
    // Its handler stays with the process, and keeps what comes before the reloader listens.
    let hangups = signal(SignalKind::hangup()).map_err(DaemonError::Signals)?;
    release_hangups();
    let identity = start.identity.to_string();
    let line = Line::message("starting")
        .with("version", crate::VERSION)
        .with("commit", crate::COMMIT)
        .with("plugin", &identity)
        .with("endpoint", endpoint(&start.endpoint))
        .with("state_dir", start.state_dir.display())
        .with("netns_dir", start.netns_dir.display())
        .with("host_proc", start.place.proc.display())
        .with("pins_by", start.place.pins_by.as_str())
        .with("config", &start.config.origin)
        .with("config_hash", config_name(start.config.hash))
        .with("profiles", &start.config);
    log::info!("{line}");
    start.confined.log();
    // It has just been read; a passive daemon does not read it again.
    CONFIG_GOOD.set(&[], 1);
    let keeper = Keeper::open(&start.state_dir, &start.netns_dir)?;
    let pages = Arc::new(Pages::new(endpoint(&start.endpoint), keeper.clone()));
    let mut listening = Listening::new(start.listen.clone(), Arc::<Pages>::clone(&pages));
    let result = serve_node(start, keeper, &pages, &mut listening, &mut signals, hangups).await;
    listening.end().await;
    result
}

/// Waits until the node is this daemon's, and serves it. Health is to be read from the beginning.
async fn serve_node(
    start: Start,
    keeper: Keeper,
    pages: &Pages,
    listening: &mut Listening,
    signals: &mut Signals,
    hangups: Signal,
) -> Result<(), DaemonError> {
    let lock = keeper.ledger.lock_daemon().map_err(ApplyError::from)?;
    match listening.follow(start.config.listen.as_ref()).await {
        // Its address as well is still the other daemon's.
        Err(error) if lock.is_none() && error.is_in_use() => {
            log::warn!(
                "{}",
                Line::message("health and metrics are not to be read meanwhile").with("error", chain(&error))
            );
        }
        result => result?,
    }
    let lock = match lock {
        Some(lock) => Some(lock),
        None => turn(&keeper, signals).await?,
    };
    let Some(_lock) = lock else { return Ok(()) };
    listening.follow(start.config.listen.as_ref()).await?;

    let board = Arc::new(Board::new(start.config.listen.clone()));
    let mut listen = board.listen();
    let pulse = Arc::new(Pulse::new());
    let door = Arc::new(NriDoor::new(keeper.clone(), start.place, start.config, Arc::<Board>::clone(&board)));
    door.publish_config();
    let (stop, stopped) = flag::channel(false);
    pages.serve(Arc::clone(&door), Arc::clone(&pulse));
    let reloader = Reloader::new(start.config_file, Arc::clone(&door), keeper.ledger.clone());
    let mut reload = tokio::spawn(reloader.run(hangups, stopped.clone()));
    let mut warden = tokio::spawn(warden::run(keeper, Arc::clone(&door), board, pulse, stopped));
    let options = Options { drain_limit: DRAIN, ..Options::default() };
    let (end_session, mut session_end) = flag::channel(false);
    let session = async move { session_end.changed().await.map_or((), drop) };
    let mut plugin = tokio::spawn(nri::run(start.endpoint, start.identity, door, options, session));

    let result = tokio::select! {
        name = signals.next() => {
            log::info!("{}", Line::message("stopping").with("signal", name));
            Ok(())
        }
        ended = &mut plugin => ended.map_err(DaemonError::Plugin).and_then(|result| Ok(result?)),
        ended = &mut warden => ended.map_err(DaemonError::Warden),
        ended = &mut reload => ended.map_err(DaemonError::Reload),
        () = follow(listening, &mut listen) => Ok(()),
    };
    // In order: no new events, then no new releases. Receivers that are gone have ended already.
    end_session.send_replace(true);
    end("events were still in progress; ended all the same", DRAIN, plugin).await;
    stop.send_replace(true);
    end("a pass over the pins was still in progress; the next start finishes it", DRAIN_PASS, warden).await;
    // Before the lock: whoever takes it over binds the same address.
    listening.end().await;
    result
}

/// Waits for a task that was told to end, if it has not been waited for already.
async fn end<T>(late: &str, limit: Duration, mut task: tokio::task::JoinHandle<T>) {
    if !task.is_finished() && tokio::time::timeout(limit, &mut task).await.is_err() {
        log::warn!("{}", Line::message(late));
    }
}

fn endpoint(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Path(path) => path.display().to_string(),
        Endpoint::Inherited(_) => "inherited".to_owned(),
    }
}

/// Listens where the configurations say that come to be in force. What cannot be had there ends no daemon that works.
async fn follow(listening: &mut Listening, listen: &mut flag::Receiver<Option<Address>>) {
    while listen.changed().await.is_ok() {
        let address = listen.borrow_and_update().clone();
        if let Err(error) = listening.move_to(address.as_ref()).await {
            CONFIG_RELOADS.count(&["failed"]);
            let line = Line::message("health and metrics stay where they were").with("error", chain(&error));
            log::error!("{line}");
        }
    }
    // The door has gone, and nothing comes to be in force any more.
    std::future::pending().await
}

/// Waits until another daemon has ended and this is the node's only one; `None` if a signal came first.
async fn turn(keeper: &Keeper, signals: &mut Signals) -> Result<Option<Lock>, DaemonError> {
    log::warn!("{}", Line::message("another berth daemon serves this node; passive until it ends"));
    loop {
        tokio::select! {
            () = tokio::time::sleep(TAKEOVER_POLL) => {}
            _ = signals.next() => return Ok(None),
        }
        if let Some(lock) = keeper.ledger.lock_daemon().map_err(ApplyError::from)? {
            return Ok(Some(lock));
        }
    }
}

/// The signals that end the daemon. A second one does not end it sooner: what has begun is finished, and two seconds are
/// all that takes.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// The next one to end, by name.
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
