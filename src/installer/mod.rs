//! `berth install --stay`: an install in a DaemonSet, where a cluster sees how the node is.
//!
//! It installs once, says at /readyz whether pods come through berth, and brings changes of the configuration to the node.
//! What is taken away from under it, it says and does not put back. SIGTERM takes nothing away: at the end of a node, at an
//! upgrade and when somebody deletes its pod it is the same. Only an install in progress is finished first.
//!
//! An install that fails ends the process with the reason, and whoever started it does so again. But not where the engine
//! was restarted and did not come as it should: that would restart it for ever.

mod pages;

use crate::address::Address;
use crate::exit::chain;
use crate::finding::Finding;
use crate::fsutil::FileError;
use crate::http::{self, BindError, Limits, Listener};
use crate::install::{self, InstallError, Order, Standing, Stay, Told, Wanted};
use crate::logging::Line;
use crate::streams::remark;
use pages::Pages;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinError, spawn_blocking};

/// How often the configuration is looked at. A kubelet takes up to a minute to bring a change of a ConfigMap.
const POLL: Duration = Duration::from_secs(2);

/// After which time one is tried again that something on the node stood in the way of.
const RETRY: Duration = Duration::from_secs(30);

/// Threads that may wait: for an engine, or for a lock.
const BLOCKING_THREADS: usize = 4;

const RESTART: &str = "engine-restart";
const SETTINGS: &str = "configuration";

/// What is to be installed, and where it is said how that is.
#[derive(Debug, Clone)]
pub struct Start {
    /// On which host.
    pub order: Order,
    /// What.
    pub wanted: Wanted,
    /// Where health is to be read.
    pub listen: Option<Address>,
}

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub enum InstallerError {
    /// No event loop.
    #[error("start the event loop")]
    Runtime(#[source] std::io::Error),
    /// No signals.
    #[error("listen for signals")]
    Signals(#[source] std::io::Error),
    /// The address of health.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The install.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// There is nothing to stay for.
    #[error("{0}")]
    Left(String),
    /// What was done cannot be told.
    #[error("write the output")]
    Output(#[from] std::io::Error),
    /// Its own lock.
    #[error(transparent)]
    Lock(#[from] FileError),
    /// A thread.
    #[error("the install ended early")]
    Ended(#[from] JoinError),
}

/// Installs, and stays until a signal.
///
/// # Errors
/// What stood in the way of the install. What it says of a host that was changed holds.
pub fn run(start: Start, out: &mut dyn Write) -> Result<(), InstallerError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .build()
        .map_err(InstallerError::Runtime)?;
    let result = runtime.block_on(serve(start, out));
    // Somebody may still be asking an engine that hangs.
    runtime.shutdown_background();
    result
}

async fn serve(start: Start, out: &mut dyn Write) -> Result<(), InstallerError> {
    let mut signals = Signals::new().map_err(InstallerError::Signals)?;
    let pages = Arc::new(Pages::default());
    let server = match &start.listen {
        Some(address) => Some(listen(address, &pages)?),
        None => None,
    };
    let result = stay(&start, &pages, &mut signals, out).await;
    if let Some(server) = server {
        server.abort();
        // It was told to end; a socket file is gone then.
        server.await.unwrap_or_default();
    }
    result
}

fn listen(address: &Address, pages: &Arc<Pages>) -> Result<tokio::task::JoinHandle<()>, BindError> {
    let listener = Listener::bind(address)?;
    log::info!("{}", Line::message("health").with("listen", listener.address()));
    Ok(tokio::spawn(http::serve(listener, Arc::<Pages>::clone(pages), Limits::default())))
}

async fn stay(start: &Start, pages: &Pages, signals: &mut Signals, out: &mut dyn Write) -> Result<(), InstallerError> {
    let order = start.order.clone();
    let stay = tokio::select! {
        stay = spawn_blocking(move || Stay::begin(&order)) => stay??,
        () = signals.next() => return Ok(()),
    };
    let result = install_and_follow(start, pages, signals, out).await;
    let ended = stay.end();
    // Why the install failed says more than a lock that stays.
    result?;
    Ok(ended?)
}

async fn install_and_follow(
    start: &Start,
    pages: &Pages,
    signals: &mut Signals,
    out: &mut dyn Write,
) -> Result<(), InstallerError> {
    // Before anything is done: later the engine may be down, and that is to be seen.
    let order = start.order.clone();
    let standing = spawn_blocking(move || Standing::of(&order)).await??;
    let brought = Tried::well(brought(&start.wanted));
    let installed = match install(start.order.clone(), start.wanted.clone()).await? {
        Ok(told) => tell(told, out).map(|()| true)?,
        Err(error) if error.is_of_restart() => {
            log::error!("{}", Line::message("the engine was restarted in vain").with("error", chain(&error)));
            let hint = "it is not tried again by itself: see to the engine, then delete this pod";
            pages.say(vec![Finding::fail(RESTART, format!("restarted in vain: {}", chain(&error)), hint)]).await;
            false
        }
        Err(error) => return Err(error.into()),
    };
    pages.show(standing).await;
    if installed {
        return follow(start, brought, pages, signals, out).await;
    }
    // There is nothing on the node that a change could be brought to, and nothing is put there again.
    signals.next().await;
    Ok(())
}

/// Brings each change of the configuration to the node, until a signal.
async fn follow(
    start: &Start,
    mut last: Tried,
    pages: &Pages,
    signals: &mut Signals,
    out: &mut dyn Write,
) -> Result<(), InstallerError> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            () = signals.next() => return Ok(()),
        }
        let bytes = brought(&start.wanted);
        if last.is_due(bytes.as_deref(), Instant::now()) {
            let settled = bring(start, pages, out).await?;
            last = Tried { bytes, at: Instant::now(), settled };
        }
    }
}

/// A configuration that came to the node, or was to.
#[derive(Debug)]
struct Tried {
    /// As [`brought`] had them.
    bytes: Option<Vec<u8>>,
    at: Instant,
    /// It is on the node, or wrong: nothing comes of trying it again.
    settled: bool,
}

impl Tried {
    fn well(bytes: Option<Vec<u8>>) -> Self {
        Self { bytes, at: Instant::now(), settled: true }
    }

    /// Whether this is to be brought now.
    fn is_due(&self, bytes: Option<&[u8]>, now: Instant) -> bool {
        self.bytes.as_deref() != bytes || !self.settled && now.duration_since(self.at) >= RETRY
    }
}

/// The configuration as it is now, if one is to be brought to the node and can be read. Why it cannot, is found and said
/// when it is brought.
fn brought(wanted: &Wanted) -> Option<Vec<u8>> {
    wanted.config.as_deref().and_then(|path: &Path| std::fs::read(path).ok())
}

/// Brings the configuration to the node as it is now, and nothing else; whether it is settled with that.
async fn bring(start: &Start, pages: &Pages, out: &mut dyn Write) -> Result<bool, InstallerError> {
    let (order, wanted) = (start.order.clone(), start.wanted.clone());
    match spawn_blocking(move || install::bring(&order, &wanted)).await? {
        Ok(told) => {
            tell(told, out)?;
            log::info!("{}", Line::message("the configuration has changed, and is on the node"));
            pages.forget(SETTINGS).await;
            Ok(true)
        }
        Err(error) => {
            let settled = error.is_of_settings();
            let error = chain(&error);
            log::error!("{}", Line::message("the configuration is not brought to the node").with("error", &error));
            let message = format!("was changed, and is not brought to the node; the one before stays: {error}");
            let hint = if settled { "correct it" } else { "see to that: it is tried again and again" };
            pages.say(vec![Finding::warn(SETTINGS, message, hint)]).await;
            Ok(settled)
        }
    }
}

async fn install(order: Order, wanted: Wanted) -> Result<Result<Told, InstallError>, JoinError> {
    spawn_blocking(move || install::install(&order, &wanted)).await
}

fn tell(told: Told, out: &mut dyn Write) -> Result<(), InstallerError> {
    out.write_all(told.text.as_bytes())?;
    out.flush()?;
    told.remarks.iter().for_each(|text| remark(text));
    told.left.map_or(Ok(()), |left| Err(InstallerError::Left(left)))
}

/// The signals that end it.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_come_to_the_node_is_tried_again_and_what_is_wrong_is_not() {
        let at = Instant::now();
        let tried = |settled| Tried { bytes: Some(b"a".to_vec()), at, settled };
        for (last, bytes, after, due) in [
            (tried(true), Some("a"), RETRY, false),
            (tried(true), Some("b"), Duration::ZERO, true),
            (tried(true), None, Duration::ZERO, true),
            (tried(false), Some("a"), Duration::ZERO, false),
            (tried(false), Some("a"), RETRY, true),
            (tried(false), Some("b"), Duration::ZERO, true),
        ] {
            assert_eq!(last.is_due(bytes.map(str::as_bytes), at + after), due, "{last:?} {bytes:?} {after:?}");
        }
    }
}
