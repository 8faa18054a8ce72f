//! Plugins that want what berth wants: the same annotation, the same namespace, or all of it, being berth themselves. A
//! container is created with the truth or not at all, and berth serves on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use async_trait::async_trait;
use berth::nri::api::{Container, CreateContainerResponse, LinuxNamespace, PodSandbox};
use berth::nri::{Answer, Endpoint, Event, EventMask, Identity, Options, Plugin, Runtime, SessionState, run};
use tokio::sync::oneshot;

use super::{assert_identity, assert_networked, assert_nothing_left};
use crate::rig::berth::await_synchronized;
use crate::rig::containerd::VM;
use crate::rig::wait::DEADLINE;
use crate::rig::{IDLE, Rig};

const KEY: &str = "ocid/sandbox_id";

/// What the rival says of every container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    /// The sandbox's id, as berth does.
    Truth,
    /// Another id.
    Lie,
    /// The host's network namespace.
    Network,
}

/// A plugin that claims something of every container.
struct Rival {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Rival {
    /// Registers and returns when events come. It is asked in the order of the indexes.
    fn start(rig: &Rig, index: &str, claim: Claim) -> Self {
        let (synchronized, is_synchronized) = channel();
        let plugin = Arc::new(Claiming { claim, synchronized });
        let identity = Identity::new(index, "rival").expect("valid");
        let (stop, stopped) = oneshot::channel();
        let socket = rig.path("/run/nri/nri.sock");
        let thread = std::thread::spawn(move || serve(socket, identity, plugin, stopped));
        is_synchronized.recv_timeout(DEADLINE).expect("the rival is synchronized");
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        drop(self.stop.take());
        let panicked = self.thread.take().is_some_and(|thread| thread.join().is_err());
        assert!(!panicked || std::thread::panicking(), "the rival panicked");
    }
}

fn serve(socket: PathBuf, identity: Identity, plugin: Arc<Claiming>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("start a runtime");
    let stopped = async { drop(stopped.await) };
    runtime.block_on(run(Endpoint::Path(socket), identity, plugin, Options::default(), stopped)).expect("serve");
}

struct Claiming {
    claim: Claim,
    synchronized: Sender<()>,
}

#[async_trait]
impl Plugin for Claiming {
    async fn configure(&self, _runtime: &Runtime, _config: &str) -> Answer<EventMask> {
        Ok(EventMask::of(&[Event::CreateContainer]))
    }

    fn session(&self, state: SessionState) {
        if state == SessionState::Synchronized {
            self.synchronized.send(()).ok();
        }
    }

    async fn create_container(&self, pod: PodSandbox, _container: Container) -> Answer<CreateContainerResponse> {
        let mut answer = CreateContainerResponse::default();
        let adjust = answer.adjust.mut_or_insert_default();
        match self.claim {
            Claim::Truth => drop(adjust.annotations.insert(KEY.into(), pod.id)),
            Claim::Lie => drop(adjust.annotations.insert(KEY.into(), "victim".into())),
            Claim::Network => {
                let network =
                    LinuxNamespace { type_: "network".into(), path: "/proc/1/ns/net".into(), ..Default::default() };
                adjust.linux.mut_or_insert_default().namespaces.push(network);
            }
        }
        Ok(answer)
    }
}

/// Creates a container with the rival there, and another when it has gone. What became of the first.
fn beside(rig: &Rig, index: &str, claim: Claim) -> Result<(), String> {
    let mut berth = rig.berth().args(&["--index", "10"]).start();
    let rival = Rival::start(rig, index, claim);
    let pod = rig.pod("web", VM);
    let first = match rig.cri().create_container(&pod, "first", IDLE) {
        Ok(id) => {
            rig.cri().start_container(&id).expect("start it");
            assert_identity(rig, &pod, "web", &id);
            assert_networked(rig, &pod, &id);
            Ok(())
        }
        Err(status) => Err(status.message().to_owned()),
    };
    drop(rival);
    let second = rig.container(&pod, "second", IDLE);
    assert_identity(rig, &pod, "web", &second);
    assert_networked(rig, &pod, &second);
    assert!(
        berth.is_running() && berth.log().matches("event=Synchronize").count() == 1,
        "one session: {}",
        berth.log()
    );
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_nothing_left(rig);
    first
}

#[test]
fn a_rival_that_says_the_truth_before_berth_does_is_left_to_have_said_it() {
    assert_eq!(beside(&Rig::start(), "05", Claim::Truth), Ok(()));
}

#[test]
fn a_rival_that_claims_an_annotation_or_the_network_too_fails_the_container_and_is_named() {
    for (index, claim) in
        [("05", Claim::Lie), ("05", Claim::Network), ("99", Claim::Truth), ("99", Claim::Lie), ("99", Claim::Network)]
    {
        let rig = Rig::start();
        let outcome = beside(&rig, index, claim);
        if claim == Claim::Network && !rig.can_swap() {
            assert_eq!(outcome, Ok(()), "{index}: an engine that knows no change of a namespace heeds nobody's");
            continue;
        }
        let error = outcome.expect_err("two plugins claim the same");
        assert!(error.contains("berth") && error.contains("rival"), "{index} {claim:?}: {error}");
    }
}

#[test]
fn two_berths_with_states_of_their_own_on_one_socket_are_rivals_and_named() {
    let rig = Rig::start();
    let _first = rig.berth().args(&["--index", "10"]).start();
    let other = ["--index", "11", "--name", "other", "--state-dir", "/run/other"];
    let mut second = rig.berth().args(&other).launch_as("other");
    await_synchronized(&mut second, 1);
    let pod = rig.pod("web", VM);
    let record = format!("sandboxes/berth-{}.json", pod.id);
    for dir in ["/run/berth", "/run/other"] {
        let pinned = rig.path(format!("{dir}/{record}")).exists();
        assert_eq!(pinned, rig.can_swap(), "both pin it, by one pin, where they can swap its path: {dir}");
    }
    match rig.cri().create_container(&pod, "first", IDLE) {
        Err(status) => {
            let error = status.message();
            assert!(error.contains("10-berth") && error.contains("11-other") && error.contains("network"), "{error}");
            assert!(rig.can_swap(), "the second finds the truth said, and has nothing to add: {error}");
        }
        Ok(id) => {
            assert!(!rig.can_swap(), "both swap its path");
            rig.cri().start_container(&id).expect("start it");
            assert_identity(&rig, &pod, "web", &id);
        }
    }
    second.kill();
    let container = rig.container(&pod, "main", IDLE);
    assert_identity(&rig, &pod, "web", &container);
    assert_networked(&rig, &pod, &container);
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    assert_nothing_left(&rig);
}
