//! The life of a plugin: meet the runtime, serve a session, meet it again.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::time::timeout;

use super::backoff::Backoff;
use super::error::{NriError, chain};
use super::identity::{Endpoint, Identity};
use super::plugin::Plugin;
use super::session::{self, End, Origin, Terms};
use super::work::Work;

/// The most a runtime may tell in one `Synchronize`, over all its pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncLimit {
    /// Pods and containers.
    pub objects: usize,
    /// Bytes of their wire form.
    pub bytes: u64,
}

/// The waits and limits of a stub. The defaults are meant for production.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How long connecting may take.
    pub connect_limit: Duration,
    /// How long the runtime may take to answer the registration. It accepts plugins one after the
    /// other, and a plugin that does not register blocks those behind it for 5 s.
    pub register_limit: Duration,
    /// How long it may take to configure us after that. It does so at once.
    pub configure_limit: Duration,
    /// How long it may take to synchronize us after that. Before, it waits for the pod operations
    /// in progress, such as a container with a long grace period being stopped (containerd#14083).
    pub synchronize_limit: Duration,
    /// The first wait before a new attempt. It is doubled at every attempt without a session that
    /// got synchronized.
    pub backoff_first: Duration,
    /// The longest wait. Pods that start while the runtime is back and the plugin is not are
    /// missed, so it is short; a connection attempt costs next to nothing.
    pub backoff_most: Duration,
    /// How long handlers in progress may take when [`run`] ends.
    pub drain_limit: Duration,
    /// The most a `Synchronize` may bring.
    pub sync_limit: SyncLimit,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connect_limit: Duration::from_secs(5),
            register_limit: Duration::from_secs(30),
            configure_limit: Duration::from_secs(10),
            synchronize_limit: Duration::from_secs(120),
            backoff_first: Duration::from_millis(200),
            backoff_most: Duration::from_secs(5),
            drain_limit: Duration::from_secs(10),
            // A node has some hundred pods; this is a thousand times that.
            sync_limit: SyncLimit { objects: 500_000, bytes: 512 << 20 },
        }
    }
}

/// Serves the plugin until `shutdown` is ready; on an inherited socket also until the runtime
/// hangs up.
///
/// Errors of a connection to a path end in the log, once per change of cause, and in a new attempt.
/// Handlers in progress at the end are waited for within [`Options::drain_limit`].
///
/// # Errors
///
/// Only with [`Endpoint::Inherited`], which cannot be replaced: any [`NriError`] that ended the
/// session.
pub async fn run(
    endpoint: Endpoint,
    identity: Identity,
    plugin: Arc<dyn Plugin>,
    options: Options,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), NriError> {
    let terms = Terms { identity, plugin, options, work: Arc::new(Work::default()) };
    let mut shutdown = pin!(shutdown);
    let result = match endpoint {
        Endpoint::Inherited(socket) => serve_inherited(&terms, socket, shutdown.as_mut()).await,
        Endpoint::Path(path) => {
            serve_path(&terms, &path, shutdown.as_mut()).await;
            Ok(())
        }
    };
    terms.work.drain(terms.options.drain_limit).await;
    result
}

async fn serve_inherited(
    terms: &Terms,
    socket: std::os::unix::net::UnixStream,
    stop: Pin<&mut (impl Future<Output = ()> + Send)>,
) -> Result<(), NriError> {
    let inherited = |source| NriError::Inherited { source };
    socket.set_nonblocking(true).map_err(inherited)?;
    let stream = UnixStream::from_std(socket).map_err(inherited)?;
    let outcome = session::serve(terms, stream, Origin::Launched, stop).await;
    match outcome.result {
        Ok(end) => log::info!("nri: session of {} over: {end:?}", terms.identity),
        // The runtime is gone, or does not want this plugin and has said so in its own log.
        Err(error @ NriError::HungUpEarly { .. }) => log::warn!("{}", chain(&error)),
        Err(error) => return Err(error),
    }
    Ok(())
}

async fn serve_path(terms: &Terms, path: &Path, mut stop: Pin<&mut (impl Future<Output = ()> + Send)>) {
    let mut backoff = Backoff::new(terms.options.backoff_first, terms.options.backoff_most);
    let mut last: Option<NriError> = None;
    loop {
        let stream = tokio::select! {
            stream = connect(path, terms.options.connect_limit) => stream,
            () = stop.as_mut() => return,
        };
        let result = match stream {
            Err(error) => Err(error),
            Ok(stream) => {
                let outcome = session::serve(terms, stream, Origin::Connected, stop.as_mut()).await;
                if outcome.synchronized {
                    backoff.reset();
                    last = None;
                }
                outcome.result
            }
        };
        match result {
            Ok(End::Stopped) => return,
            Ok(end) => log::info!("nri: session over: {end:?}; connecting again"),
            Err(error) => {
                terms.plugin.failed(&error);
                report(&error, last.as_ref());
                last = Some(error);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_wait()) => {}
            () = stop.as_mut() => return,
        }
    }
}

/// A node without NRI would otherwise get a line every few seconds, for ever.
fn report(error: &NriError, last: Option<&NriError>) {
    let level = match last {
        Some(last) if last.is_like(error) => log::Level::Debug,
        _ => log::Level::Warn,
    };
    log::log!(level, "{}; trying again", chain(error));
}

async fn connect(path: &Path, limit: Duration) -> Result<UnixStream, NriError> {
    match timeout(limit, UnixStream::connect(path)).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(source)) => Err(why_not(path, source)),
        Err(_elapsed) => Err(NriError::ConnectTimeout { path: path.to_owned(), limit }),
    }
}

fn why_not(path: &Path, source: io::Error) -> NriError {
    use std::os::unix::fs::FileTypeExt;
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => NriError::Absent { path },
        io::ErrorKind::PermissionDenied => NriError::Denied { path },
        // connect(2) refuses a regular file with the same error as a socket without listener. The
        // look at it blocks for as long as the kernel takes, which just did the same look-up.
        io::ErrorKind::ConnectionRefused => match std::fs::metadata(&path) {
            Ok(found) if !found.file_type().is_socket() => NriError::NotASocket { path },
            _ => NriError::Refused { path },
        },
        _ => NriError::Connect { path, source },
    }
}
