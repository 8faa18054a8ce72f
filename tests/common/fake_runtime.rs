//! The runtime's half of NRI, for tests and benches: `#[path = "common/fake_runtime.rs"] mod …`.
//!
//! Behaves like containerd/nri `pkg/adaptation/plugin.go`: registration on connection 2, then
//! Configure and Synchronize on connection 1, split when too big; events as RPCs or as StateChange
//! depending on the generation; a time limit on every request; the connection is closed on a mask
//! or an answer the runtime would not accept. Everything the plugin writes goes through
//! [`GoReader`] first. Its own frames are Go's: at most 4096 bytes first, the rest in a second one.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test double")]

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use berth::nri::api::service::{PluginClient, create_runtime};
use berth::nri::api::{self, Container, ContainerUpdate, PodSandbox};
use berth::nri::mux::{ConnId, Mux, MuxError};
use futures::StreamExt;
use protobuf::Message;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use ttrpc::r#async::{Client, Server};
use ttrpc::asynchronous::transport::{Listener, Socket};
use ttrpc::context;

#[path = "fake_runtime/events.rs"]
mod events;
#[path = "go_reader.rs"]
pub(crate) mod go_reader;
#[path = "fake_runtime/profile.rs"]
mod profile;
#[path = "fake_runtime/service.rs"]
mod service;

#[allow(unused_imports, reason = "each test file uses a part of it")]
pub(crate) use events::{container, pod, subscribed};
use go_reader::GoReader;
pub(crate) use profile::{Generation, Profile};
use service::{RuntimeService, Tee};

/// A listening runtime.
pub(crate) struct FakeRuntime(UnixListener);

impl FakeRuntime {
    /// Removes what is at the path and listens, as runtimes do.
    pub(crate) fn listen(path: &Path) -> Self {
        drop(std::fs::remove_file(path));
        Self(UnixListener::bind(path).unwrap())
    }

    /// The next connection as it is, for tests that send what they like.
    pub(crate) async fn accept_raw(&self) -> UnixStream {
        self.0.accept().await.unwrap().0
    }

    /// The next connection, registered.
    pub(crate) async fn accept(&self, profile: Profile) -> Session {
        Session::start(self.accept_raw().await, profile).await
    }

    /// The next connection, registered, configured and synchronized with nothing.
    pub(crate) async fn accept_ready(&self, profile: Profile) -> Session {
        let session = self.accept(profile).await;
        session.configure().await.unwrap();
        session.synchronize(Vec::new(), Vec::new()).await.unwrap();
        session
    }
}

/// A registration as it arrived: name, index, NRI version.
pub(crate) type Registration = (String, String, String);

/// One plugin's connection.
pub(crate) struct Session {
    pub(crate) plugin: PluginClient,
    pub(crate) registration: Registration,
    /// Permits for held answers to RegisterPlugin.
    pub(crate) release: Arc<Semaphore>,
    /// What the plugin asked for by UpdateContainers.
    pub(crate) updates: mpsc::Receiver<api::UpdateContainersRequest>,
    pub(crate) go: Arc<Mutex<GoReader>>,
    /// Pieces the last Synchronize took.
    pub(crate) pieces: Mutex<usize>,
    profile: Profile,
    fallen_back: AtomicBool,
    _server: Server,
    trunk: JoinHandle<Result<(), MuxError>>,
}

impl Drop for Session {
    /// Hangs up.
    fn drop(&mut self) {
        self.trunk.abort();
    }
}

impl Session {
    /// Serves the runtime service and waits for the registration.
    pub(crate) async fn start(stream: UnixStream, profile: Profile) -> Self {
        let go = Arc::new(Mutex::new(GoReader::default()));
        let (reader, writer) = stream.into_split();
        let mut mux = Mux::new(Tee(reader, Arc::clone(&go)), writer);
        let plugin_conn = mux.open(ConnId::PLUGIN).unwrap();
        let runtime_conn = mux.open(ConnId::RUNTIME).unwrap();
        let (registered, mut registrations) = mpsc::channel(1);
        let (updates_sender, updates) = mpsc::channel(16);
        let release = Arc::new(Semaphore::new(usize::from(!profile.hold_registration)));
        let service = RuntimeService { registered, updates: updates_sender, release: Arc::clone(&release) };
        let conn = futures::stream::iter([std::io::Result::Ok(runtime_conn)]);
        let mut server = Server::new()
            .add_listener(Listener::new(conn.chain(futures::stream::pending())))
            .register_service(create_runtime(Arc::new(service)));
        server.start().await.unwrap();
        let trunk = tokio::spawn(mux.run());
        Self {
            plugin: PluginClient::new(Client::new(Socket::new(plugin_conn))),
            registration: registrations.recv().await.unwrap(),
            release,
            updates,
            go,
            pieces: Mutex::new(0),
            profile,
            fallen_back: AtomicBool::new(false),
            _server: server,
            trunk,
        }
    }

    /// Waits until the plugin's side has hung up, and how its stream ended.
    pub(crate) async fn hung_up(&mut self) -> Result<(), MuxError> {
        (&mut self.trunk).await.unwrap()
    }

    pub(crate) fn ctx(&self) -> context::Context {
        context::with_duration(self.profile.request_timeout)
    }

    /// Configures the plugin; hangs up on an error and on events this runtime does not have.
    pub(crate) async fn configure(&self) -> ttrpc::Result<i32> {
        let millis = i64::try_from(self.profile.request_timeout.as_millis()).unwrap();
        let request = api::ConfigureRequest {
            config: self.profile.config.to_owned(),
            runtime_name: self.profile.name.to_owned(),
            runtime_version: self.profile.version.to_owned(),
            registration_timeout: 5000,
            request_timeout: millis,
            NRI_version: self.profile.nri_version.to_owned(),
            ..Default::default()
        };
        let answer = self.plugin.configure(self.ctx(), &request).await;
        let events = answer.as_ref().map_or(0, |response| response.events);
        if answer.is_err() || events & !self.profile.valid_events != 0 {
            self.trunk.abort();
        }
        assert!(events & !self.profile.valid_events == 0, "invalid plugin events");
        Ok(answer?.events)
    }

    /// Synchronizes in as many pieces as Go would; one time limit for all of them.
    pub(crate) async fn synchronize(
        &self,
        pods: Vec<PodSandbox>,
        containers: Vec<Container>,
    ) -> ttrpc::Result<Vec<ContainerUpdate>> {
        let all = self.synchronize_in_pieces(pods, containers);
        match tokio::time::timeout(self.profile.request_timeout, all).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(ttrpc::Error::Others("synchronize: timeout".to_owned())),
        }
    }

    async fn synchronize_in_pieces(
        &self,
        mut pods: Vec<PodSandbox>,
        mut containers: Vec<Container>,
    ) -> ttrpc::Result<Vec<ContainerUpdate>> {
        let (mut pod_step, mut container_step) = (pods.len(), containers.len());
        *self.pieces.lock().unwrap() = 0;
        loop {
            let (p, c) = (pod_step.min(pods.len()), container_step.min(containers.len()));
            let mut request = api::SynchronizeRequest {
                pods: pods.drain(..p).collect(),
                containers: containers.drain(..c).collect(),
                ..Default::default()
            };
            request.more = !pods.is_empty() || !containers.is_empty();
            if request.compute_size() > (4 << 20) - 256 {
                let factor = ((4_u64 << 20) * 1000 / request.compute_size()).min(900);
                let shrunk = |step: usize| step * usize::try_from(factor).unwrap() / 1000;
                (pod_step, container_step) = (shrunk(p), shrunk(c));
                pods.splice(..0, request.pods);
                containers.splice(..0, request.containers);
                continue;
            }
            *self.pieces.lock().unwrap() += 1;
            let answer = self.plugin.synchronize(self.ctx(), &request).await?;
            if !request.more {
                return Ok(answer.update);
            }
            assert!(answer.more && answer.update.is_empty(), "plugin does not handle split sync requests");
        }
    }

    pub(crate) fn assert_readable_by_go(&self) {
        self.go.lock().unwrap().assert_readable();
    }
}
