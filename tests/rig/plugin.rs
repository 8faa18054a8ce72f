//! Another NRI plugin, in the test's own process: it fails the start of every pod, when the test lets it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use async_trait::async_trait;
use berth::nri::api::PodSandbox;
use berth::nri::{
    Answer, Endpoint, Event, EventMask, Identity, Options, Plugin, Refusal, RefusalCode, Runtime, SessionState, run,
};
use tokio::sync::{Notify, oneshot};

use super::Rig;
use super::wait::DEADLINE;

/// What the plugin refuses with.
pub(crate) const REFUSAL: &str = "no pod today";

/// A plugin that fails `RunPodSandbox`; it is asked after every plugin with a lower index.
#[derive(Debug)]
pub(crate) struct FailingPlugin {
    pods: Receiver<String>,
    refuse: Arc<Notify>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FailingPlugin {
    /// Registers with the rig's containerd and returns when events come.
    pub(crate) fn start(rig: &Rig, index: &str) -> Self {
        let (pod_started, pods) = channel();
        let (synchronized, is_synchronized) = channel();
        let refuse = Arc::new(Notify::new());
        let plugin = Arc::new(Failing { pod_started, synchronized, refuse: Arc::clone(&refuse) });
        let identity = Identity::new(index, "failing").expect("the plugin's identity is valid");
        let (stop, stopped) = oneshot::channel();
        let socket = rig.path("/run/nri/nri.sock");
        let thread = std::thread::spawn(move || serve(socket, identity, plugin, stopped));
        is_synchronized.recv_timeout(DEADLINE).expect("the failing plugin is synchronized");
        Self { pods, refuse, stop: Some(stop), thread: Some(thread) }
    }

    /// The id of the sandbox whose start now waits for this plugin's answer.
    pub(crate) fn await_pod(&self) -> String {
        self.pods.recv_timeout(DEADLINE).expect("the runtime asks the failing plugin")
    }

    /// Has it give its answer.
    pub(crate) fn refuse(&self) {
        self.refuse.notify_one();
    }
}

impl Drop for FailingPlugin {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("rig: the failing plugin panicked");
        }
    }
}

fn serve(socket: PathBuf, identity: Identity, plugin: Arc<Failing>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("start a runtime");
    let stopped = async { drop(stopped.await) };
    runtime.block_on(run(Endpoint::Path(socket), identity, plugin, Options::default(), stopped)).expect("serve");
}

#[derive(Debug)]
struct Failing {
    pod_started: Sender<String>,
    synchronized: Sender<()>,
    refuse: Arc<Notify>,
}

#[async_trait]
impl Plugin for Failing {
    async fn configure(&self, _runtime: &Runtime, _config: &str) -> Answer<EventMask> {
        Ok(EventMask::of(&[Event::RunPodSandbox]))
    }

    fn session(&self, state: SessionState) {
        if state == SessionState::Synchronized {
            // Nobody listens any more in a later session.
            self.synchronized.send(()).ok();
        }
    }

    async fn run_pod_sandbox(&self, pod: PodSandbox) -> Answer<()> {
        self.pod_started.send(pod.id).ok();
        self.refuse.notified().await;
        Err(Refusal::new(RefusalCode::Unknown, REFUSAL))
    }
}
