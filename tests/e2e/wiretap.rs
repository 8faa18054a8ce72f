//! What a real engine says in a session, from the registration to the end of a pod: the bytes that the tests of hostile
//! peers are cut from (`tests/nri_stub/recorded`). `BERTH_RECORD=<file>` has them written there.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::rig::containerd::VM;
use crate::rig::wait::eventually;
use crate::rig::{IDLE, Rig};

/// Where berth meets the tap.
const TAP: &str = "/run/tap.sock";

#[test]
fn a_session_is_what_the_hostile_peers_are_cut_from() {
    let rig = Rig::start();
    let heard = tap(rig.path(TAP), rig.path("/run/nri/nri.sock"));
    let berth = rig.berth().args(&["--socket", TAP]).start();
    let pod = rig.pod("web", VM);
    rig.container(&pod, "main", IDLE);
    rig.cri().remove_pod(&pod.id).expect("remove the pod");
    eventually("the end is told", || berth.log().contains("event=RemovePodSandbox").then_some(()));
    let bytes = heard.lock().unwrap().clone();
    let is_told = |method: &str| bytes.windows(method.len()).any(|part| part == method.as_bytes());
    for method in ["Configure", "Synchronize", "RunPodSandbox", "CreateContainer", "RemovePodSandbox"] {
        // An earlier NRI tells of pods in events that carry a number.
        assert!(is_told(method) || (method.ends_with("PodSandbox") && is_told("StateChange")), "{method} is not told");
    }
    if let Some(file) = std::env::var_os("BERTH_RECORD") {
        std::fs::write(file, bytes).expect("write the record");
    }
}

/// Listens at `at`, hands one connection through to `to`, and keeps what comes from there.
fn tap(at: PathBuf, to: PathBuf) -> Arc<Mutex<Vec<u8>>> {
    let (listener, heard) = (UnixListener::bind(at).expect("listen"), Arc::new(Mutex::new(Vec::new())));
    let kept = Arc::clone(&heard);
    std::thread::spawn(move || {
        let (plugin, _) = listener.accept().expect("berth comes");
        let engine = UnixStream::connect(to).expect("the engine listens");
        let (from_plugin, to_engine) = (plugin.try_clone().unwrap(), engine.try_clone().unwrap());
        std::thread::spawn(move || pump(from_plugin, to_engine, |_| ()));
        pump(engine, plugin, |bytes| kept.lock().unwrap().extend_from_slice(bytes));
    });
    heard
}

/// Until one side hangs up; then the other hears of it.
fn pump(mut from: UnixStream, mut to: UnixStream, mut hear: impl FnMut(&[u8])) {
    let mut buffer = [0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        hear(&buffer[..length]);
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    to.shutdown(Shutdown::Both).ok();
}
