//! The NRI door: every message of a runtime, decoded, decided and answered.
//!
//! Input: a byte for the configuration; then messages, each a byte for the method, two for the length, and its bytes.
//! Pins are made, so this runs in mount and network namespaces of its own: `scripts/fuzz` and `cargo test` see to that.

#![allow(clippy::disallowed_methods, reason = "in namespaces of the test's own")]

use super::session;
use berth::apply::Keeper;
use berth::config::Config;
use berth::dialect::identity_key;
use berth::door::nri::{NriDoor, Occasions, Place};
use berth::nri::api;
use berth::pin::PinName;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use protobuf::Message;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Once};
use ttrpc::proto::Response;

/// Set where the process has namespaces of its own.
const ISOLATED: &str = "BERTH_TEST_ISOLATED";
const STATE: &str = "/run/berth";
const NETNS: &str = "/run/netns";
/// Network namespaces of pods.
const PODS: [&str; 2] = ["/run/pod-a", "/run/pod-b"];
/// The host's, as an engine has it that is told so of a pod.
const HOST: &str = "/run/host";

/// The plugin's service; a method by another number is one that there is not.
const METHODS: [&str; 20] = [
    "Configure",
    "Synchronize",
    "RunPodSandbox",
    "CreateContainer",
    "StopPodSandbox",
    "RemovePodSandbox",
    "StateChange",
    "Shutdown",
    "UpdatePodSandbox",
    "PostUpdatePodSandbox",
    "PostCreateContainer",
    "StartContainer",
    "PostStartContainer",
    "UpdateContainer",
    "PostUpdateContainer",
    "StopContainer",
    "RemoveContainer",
    "ValidateContainerAdjustment",
    "UpdateContainers",
    "NoSuchMethod",
];

const CONFIGS: [&str; 4] = [
    "profiles: [{name: all, match: {runtimeHandlers: ['*']}, dialects: [ocid, containerd, cri-o]}]",
    "profiles: [{name: lenient, onFailure: Ignore, onContradiction: Refuse, dropAnnotations: ['x*', '!xy']}]",
    "profiles: [{name: leave, match: {namespaces: [a]}, netns: leave}, {name: rest, annotations: {k: '{pod.name}'}}]",
    "profiles: []",
];

pub(crate) fn run(data: &[u8]) {
    let Some((config, mut rest)) = data.split_first() else { return };
    let mut messages = Vec::new();
    while let Some(([method, l0, l1], after)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*l0, *l1])).min(after.len());
        let (message, after) = after.split_at(length);
        messages.push((METHODS[usize::from(*method) % METHODS.len()], message));
        rest = after;
    }
    prepare();
    let config = CONFIGS[usize::from(*config) % CONFIGS.len()];
    let config = Config::parse(config, "fuzz.yaml").expect("a configuration");
    let keeper = Keeper::open(Path::new(STATE), Path::new(NETNS)).expect("directories");
    let door = Arc::new(NriDoor::new(keeper.clone(), Place::default(), config, Arc::new(Nobody)));

    let mut steps = vec![session::registered()];
    let stream = |at: usize| u32::try_from(2 * at + 1).expect("a few messages");
    steps.extend(
        messages
            .iter()
            .enumerate()
            .map(|(at, (method, message))| session::request(method, stream(at), message.to_vec())),
    );
    let (heard, _ended) = session::converse(door.clone(), &steps);
    block_on(door.catch_up(|| {}));

    let mut answers = BTreeMap::new();
    for said in session::said(&heard).into_iter().filter(|said| said.conn == session::PLUGIN) {
        assert_eq!(said.kind, session::RESPONSE);
        let response = Response::parse_from_bytes(&said.body).expect("a response");
        assert!(answers.insert(said.stream, response).is_none(), "two answers on stream {}", said.stream);
    }
    // What berth does not read of a message is passed over, whatever it is; then it is not known here of which pods it told.
    let told: Option<Vec<_>> = messages.iter().map(|(method, message)| pods(method, message)).collect();
    let told = told.map(|told| told.concat());
    let mut silent = false;
    for (at, (method, message)) in messages.iter().enumerate() {
        match answers.remove(&stream(at)) {
            // After a step that failed, the session is over.
            None => silent = true,
            Some(answer) => {
                assert!(!silent, "an answer to {method} behind none");
                answered(method, message, &answer, told.as_deref());
            }
        }
    }
    assert!(answers.is_empty(), "answers to nothing: {answers:?}");
    left(&keeper);
}

/// The pods that a message tells of, if all of it can be read.
fn pods(method: &str, message: &[u8]) -> Option<Vec<api::PodSandbox>> {
    let one = |pod: protobuf::MessageField<api::PodSandbox>| pod.into_option().into_iter().collect();
    match method {
        "Configure" => Some(Vec::new()),
        "Synchronize" => Some(api::SynchronizeRequest::parse_from_bytes(message).ok()?.pods),
        "StateChange" => Some(one(api::StateChangeEvent::parse_from_bytes(message).ok()?.pod)),
        // The pod comes first in all others.
        _ => Some(one(api::RunPodSandboxRequest::parse_from_bytes(message).ok()?.pod)),
    }
}

fn answered(method: &str, message: &[u8], answer: &Response, told: Option<&[api::PodSandbox]>) {
    let status = answer.status.as_ref();
    let refused = status.is_some_and(|status| status.code.value() != 0);
    if refused {
        let status = status.expect("a status");
        // That is what a panic is answered.
        assert_ne!(status.code(), ttrpc::Code::INTERNAL, "{method}: {status}");
        assert!(!status.message.is_empty(), "{method}: {status}");
        return;
    }
    match method {
        "CreateContainer" => {
            let response = api::CreateContainerResponse::parse_from_bytes(&answer.payload).expect("a response");
            if let Ok(request) = api::CreateContainerRequest::parse_from_bytes(message) {
                adjusted(&request, response, told);
            }
        }
        "Configure" => {
            let response = api::ConfigureResponse::parse_from_bytes(&answer.payload).expect("a response");
            assert!(response.events != 0, "0 would subscribe to everything");
        }
        "Synchronize" => {
            let response = api::SynchronizeResponse::parse_from_bytes(&answer.payload).expect("a response");
            assert_eq!(response.update.len(), 0);
            if let Ok(request) = api::SynchronizeRequest::parse_from_bytes(message) {
                assert_eq!(response.more, request.more);
            }
        }
        // berth adjusts nothing anywhere else.
        _ => assert!(answer.payload.is_empty(), "{method} is answered {:?}", answer.payload),
    }
}

/// A container's adjustment: its identity, which is the engine's word, and the path of its own pod's pin.
fn adjusted(
    request: &api::CreateContainerRequest,
    mut response: api::CreateContainerResponse,
    told: Option<&[api::PodSandbox]>,
) {
    let Some(mut adjust) = response.adjust.take() else { return assert_eq!(response, Default::default()) };
    assert_eq!(response, Default::default(), "nothing but an adjustment");
    let pod = request.pod.as_ref().expect("a pod");
    let annotations = std::mem::take(&mut adjust.annotations);
    for (key, value) in &annotations {
        if let Some(gone) = key.strip_prefix('-') {
            assert!(value.is_empty() && !annotations.contains_key(gone), "{key}");
        } else if ["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"].contains(&key.as_str()) {
            assert_eq!(*value, pod.id, "{key}");
        } else if key.ends_with("container-type") || key.ends_with("ContainerType") {
            assert_eq!(value, "container", "{key}");
        } else {
            assert!(identity_key(key).is_some() || !key.contains("sandbox"), "{key}");
        }
    }
    let namespaces = adjust.linux.as_mut().map(|linux| std::mem::take(&mut linux.namespaces)).unwrap_or_default();
    assert!(
        adjust.linux.take().unwrap_or_default() == Default::default() && adjust == Default::default(),
        "{adjust:?}"
    );
    match &namespaces[..] {
        [] => {}
        [network] => {
            assert_eq!(network.type_, "network");
            let name = Path::new(&network.path).strip_prefix(NETNS).expect("a pin").to_str().expect("a name");
            assert!(PinName::parse(name).is_ok() && name.contains(pod.id.as_str()), "{name} for {}", pod.id);
            // The pin that stands goes on standing where the runtime comes to tell another path.
            let pinned = number(&network.path).expect("a pin");
            let Some(told) = told else { return };
            let same = told.iter().filter(|other| other.id == pod.id);
            let mut sources =
                same.flat_map(|pod| &pod.linux.namespaces).filter(|namespace| namespace.type_ == "network");
            assert!(sources.any(|source| number(&source.path) == Some(pinned)), "a pin of another namespace");
        }
        more => panic!("{more:?}"),
    }
}

/// What is left on the machine: pins of pods' namespaces and of nothing else, each with its record.
fn left(keeper: &Keeper) {
    let own = fs::metadata("/proc/self/ns/net").expect("its own").ino();
    let records = keeper.ledger.list().expect("records");
    assert!(records.unreadable.is_empty(), "{:?}", records.unreadable);
    let recorded: HashSet<_> = records.records.iter().map(|(name, _)| name.as_str().to_owned()).collect();
    for entry in fs::read_dir(NETNS).expect("pins") {
        let entry = entry.expect("a pin");
        let name = entry.file_name().into_string().expect("a name");
        assert!(recorded.contains(&name), "{name} has no record");
        let path = entry.path();
        assert_ne!(number(&path), Some(own), "the host's namespace is pinned");
        assert!(number(&path).is_some(), "{name} is no pin");
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("runtime").block_on(future)
}

/// The number of the network namespace at a path.
fn number(path: impl AsRef<Path>) -> Option<u64> {
    fs::metadata(path).ok().map(|data| data.ino())
}

/// Fresh directories, and the pods' namespaces where there are none yet.
fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // The variable alone is soon set by hand; nothing of this may reach the machine itself.
        let empty = fs::read_dir("/run").expect("a directory").next().is_none();
        assert!(std::env::var_os(ISOLATED).is_some() && empty, "needs namespaces of its own: run scripts/fuzz");
        let bind = |file| {
            fs::write(file, "").expect("a file");
            let source = Path::new("/proc/thread-self/ns/net");
            mount(Some(source), file, None::<&str>, MsFlags::MS_BIND, None::<&str>).expect("a namespace's file");
        };
        bind(HOST);
        for pod in PODS {
            std::thread::spawn(move || {
                nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).expect("a namespace");
                bind(pod);
            })
            .join()
            .expect("a thread");
        }
    });
    for entry in fs::read_dir(NETNS).into_iter().flatten() {
        umount2(&entry.expect("a pin").path(), MntFlags::MNT_DETACH).expect("a pin");
    }
    // The directory is a mount of its own by now.
    umount2(NETNS, MntFlags::MNT_DETACH).ok();
    for dir in [STATE, NETNS] {
        fs::remove_dir_all(dir).ok();
    }
}

/// A daemon that hears what the door tells, and does nothing.
struct Nobody;

impl Occasions for Nobody {
    fn pinned(&self, _: &PinName, _: &Path) {}
    fn ended(&self, _: &PinName, _: bool) {}
    fn configured(&self, _: &Config) {}
    fn synchronized(&self, _: HashSet<PinName>) {}
}
