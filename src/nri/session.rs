//! One connection to the runtime, from the first byte to the last.
//!
//! Promises: when [`serve`] returns, the trunk is closed and the RPC library's tasks for it are
//! ended or ending; handlers that still run belong to the [`Work`] they were started in.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use tokio::io::AsyncRead;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::timeout;
use ttrpc::r#async::{Client, Server};
use ttrpc::asynchronous::transport::{Listener, Socket};

use super::api::service::create_plugin;
use super::dispatch::{Dispatcher, Peer, Phase, trimmed};
use super::error::NriError;
use super::handle::RuntimeHandle;
use super::identity::Identity;
use super::mux::{ConnId, Mux, MuxConn, MuxError};
use super::pace::Paced;
use super::plugin::{Plugin, SessionState};
use super::stub::Options;
use super::work::Work;

/// How long the runtime gets to read our last answer and hang up by itself.
const HANG_UP_GRACE: Duration = Duration::from_secs(1);

/// How long a session that ends waits for the answers in progress. ttrpc 0.10 waits 5 s per
/// connection and 10 s in all (`asynchronous/server.rs`); this is the limit that counts.
const WIND_DOWN: Duration = Duration::from_secs(5);

/// How a session ended that was of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The runtime closed the connection.
    HungUp,
    /// The runtime announced its shutdown.
    RuntimeShutDown,
    /// We were asked to stop.
    Stopped,
}

/// What all sessions of one stub have in common.
pub(crate) struct Terms {
    pub(crate) identity: Identity,
    pub(crate) plugin: Arc<dyn Plugin>,
    pub(crate) options: Options,
    pub(crate) work: Arc<Work>,
}

/// Whether the runtime started us. Up to NRI 0.7 it then never synchronizes (nri#43).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Connected,
    Launched,
}

/// The end of a session, and whether it ever was synchronized.
pub(crate) struct Outcome {
    pub(crate) result: Result<End, NriError>,
    pub(crate) synchronized: bool,
}

/// Registers and serves until somebody ends it. `stop` is not polled again once it was ready.
pub(crate) async fn serve(
    terms: &Terms,
    stream: UnixStream,
    origin: Origin,
    stop: Pin<&mut (impl Future<Output = ()> + Send)>,
) -> Outcome {
    let (phase, watcher) = watch::channel(Phase::Connected);
    let mut state = Announcer::new(terms);
    let result = run(terms, stream, origin, stop, phase, &mut state).await;
    let synchronized = state.synchronized;
    drop(state);
    let phase = watcher.borrow();
    let result = match (result, unusable(&phase)) {
        // The answer is the cause; that the runtime hung up is what it led to.
        (Err(_) | Ok(End::HungUp), Some(cause)) => Err(cause),
        (Err(NriError::HungUpEarly { .. }) | Ok(End::HungUp), None) if *phase == Phase::ShutDown => {
            Ok(End::RuntimeShutDown)
        }
        (result, _) => result,
    };
    Outcome { result, synchronized }
}

async fn run(
    terms: &Terms,
    stream: UnixStream,
    origin: Origin,
    stop: Pin<&mut (impl Future<Output = ()> + Send)>,
    phase: watch::Sender<Phase>,
    state: &mut Announcer<'_>,
) -> Result<End, NriError> {
    let watcher = phase.subscribe();
    let pid = peer_pid(&stream);
    let (reader, writer) = stream.into_split();
    let mut mux = Mux::new(reader, writer);
    let (plugin_conn, runtime_conn) = both_services(&mut mux)?;
    let handle = RuntimeHandle::new(Client::new(Socket::new(runtime_conn)));
    let peer = Peer { pid, handle: handle.clone() };
    let dispatcher =
        Dispatcher::new(Arc::clone(&terms.plugin), Arc::clone(&terms.work), peer, phase, terms.options.sync_limit);
    // Served before registering: Configure may come before the answer to RegisterPlugin.
    let mut server = server_on(plugin_conn, dispatcher);
    let started = server.start().await;
    started.map_err(|source| NriError::Serve { source })?;

    let mut trunk = pin!(mux.run());
    let (result, trunk_is_up) = tokio::select! {
        biased;
        ended = &mut trunk => (trunk_end(ended, &watcher.borrow()), false),
        result = converse(terms, &handle, watcher.clone(), origin, state) => {
            (result.map(|()| End::RuntimeShutDown), true)
        }
        () = stop => (Ok(End::Stopped), true),
    };
    wind_down(server, trunk_is_up.then_some(trunk)).await;
    result
}

fn both_services<R: AsyncRead + Unpin>(mux: &mut Mux<R>) -> Result<(MuxConn, MuxConn), NriError> {
    let mut open = |conn| mux.open(conn).map_err(|source| NriError::Trunk { source });
    Ok((open(ConnId::PLUGIN)?, open(ConnId::RUNTIME)?))
}

/// ttrpc serves connections that a listener yields; ours yields one. It then has to stay pending:
/// if it ended, `Server::shutdown` of ttrpc 0.10 would panic on the ended accept task.
fn server_on(conn: MuxConn, dispatcher: Dispatcher) -> Server {
    let one = futures::stream::once(std::future::ready(io::Result::Ok(Paced::new(conn))));
    let listener = Listener::new(one.chain(futures::stream::pending()));
    let unread = dispatcher.unread();
    Server::new().add_listener(listener).register_service(trimmed(unread, create_plugin(Arc::new(dispatcher))))
}

/// Lets the answers in progress leave, with the trunk running if it still can.
async fn wind_down(mut server: Server, trunk: Option<Pin<&mut impl Future<Output = Result<(), MuxError>>>>) {
    let end = timeout(WIND_DOWN, server.shutdown());
    let ended = match trunk {
        None => end.await,
        Some(trunk) => tokio::select! {
            ended = end => ended,
            // The runtime hung up first; there is nobody left to answer.
            _ended = trunk => return,
        },
    };
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::warn!("nri: end the plugin service: {error}"),
        Err(_elapsed) => log::warn!("nri: answers still in progress after {WIND_DOWN:?}: dropped"),
    }
}

/// Registers, then follows the phases. Returns when the runtime announced its end.
async fn converse(
    terms: &Terms,
    handle: &RuntimeHandle,
    mut watcher: watch::Receiver<Phase>,
    origin: Origin,
    state: &mut Announcer<'_>,
) -> Result<(), NriError> {
    let options = &terms.options;
    handle.register(&terms.identity, options.register_limit).await?;
    state.announce(SessionState::Registered);

    let limit = options.configure_limit;
    reach(&mut watcher, limit, |phase| *phase != Phase::Connected).await.ok_or(NriError::NotConfigured { limit })?;

    let past = |phase: &Phase| !matches!(phase, Phase::Connected | Phase::Configured);
    let limit = options.synchronize_limit;
    match origin {
        Origin::Connected => reach(&mut watcher, limit, past).await.ok_or(NriError::NotSynchronized { limit })?,
        Origin::Launched => until(&mut watcher, past).await,
    }
    if *watcher.borrow() == Phase::Synchronized {
        state.announce(SessionState::Synchronized);
    }

    let over = |phase: &Phase| matches!(phase, Phase::Unusable { .. } | Phase::ShutDown);
    until(&mut watcher, over).await;
    tokio::time::sleep(HANG_UP_GRACE).await;
    unusable(&watcher.borrow()).map_or(Ok(()), Err)
}

fn unusable(phase: &Phase) -> Option<NriError> {
    match phase {
        Phase::Unusable { step, reason } => Some(NriError::Unusable { step, reason: reason.clone() }),
        _ => None,
    }
}

async fn reach(
    watcher: &mut watch::Receiver<Phase>,
    limit: Duration,
    reached: impl FnMut(&Phase) -> bool,
) -> Option<()> {
    timeout(limit, until(watcher, reached)).await.ok()
}

async fn until(watcher: &mut watch::Receiver<Phase>, reached: impl FnMut(&Phase) -> bool) {
    if watcher.wait_for(reached).await.is_err() {
        // The dispatcher is gone, so the trunk is ending; that is what ends the session.
        let _never: Infallible = std::future::pending().await;
    }
}

/// What the end of the trunk means in this phase.
fn trunk_end(ended: Result<(), MuxError>, phase: &Phase) -> Result<End, NriError> {
    match ended {
        Err(error) if !error.is_hang_up() => return Err(NriError::Trunk { source: error }),
        _ => {}
    }
    let awaited = match phase {
        Phase::Connected => "Configure",
        Phase::Configured => "Synchronize",
        _ => return Ok(End::HungUp),
    };
    Err(NriError::HungUpEarly { awaited })
}

/// 0 stands for a process that is not in our pid namespace (unix(7), `SO_PEERCRED`).
fn peer_pid(stream: &UnixStream) -> Option<u32> {
    let credentials = stream.peer_cred().ok()?;
    credentials.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0)
}

/// Tells the plugin how far the session is. Holds: a `Registered` is followed by a `Closed`, even
/// if the session's future is dropped.
struct Announcer<'a> {
    terms: &'a Terms,
    registered: bool,
    synchronized: bool,
}

impl<'a> Announcer<'a> {
    fn new(terms: &'a Terms) -> Self {
        Self { terms, registered: false, synchronized: false }
    }

    fn announce(&mut self, state: SessionState) {
        self.registered = true;
        self.synchronized |= state == SessionState::Synchronized;
        self.terms.plugin.session(state);
    }
}

impl Drop for Announcer<'_> {
    fn drop(&mut self) {
        if self.registered {
            self.terms.plugin.session(SessionState::Closed);
        }
    }
}
