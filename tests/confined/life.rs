//! A daemon's life, in which everything happens to it that leads to other system calls.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use berth::nri::Event;
use nix::sys::signal::Signal;

use crate::calls::TRACE;
use crate::client::{PATIENCE, UNIX, answers, loopback};
use crate::fake_runtime::{FakeRuntime, Profile, Session};
use crate::node::{Berth, Pod, SOCKET, eventually};
use crate::stage;
use crate::task::Task;

const FILE: &str = "/run/config.yaml";
const TCP: &str = "127.0.0.1:9470";

/// A configuration that listens at `listen`.
fn configuration(name: &str, listen: &str) -> String {
    format!("listen: \"{listen}\"\nprofiles: [{{name: {name}}}]\n")
}

fn run(words: &[&str]) {
    assert!(Command::new(words[0]).args(&words[1..]).status().unwrap().success(), "{words:?}");
}

/// A pod whose engine keeps its network outside of the directory of pins.
fn engine_elsewhere(id: &str) -> Pod {
    let file = format!("/run/engine/{id}");
    fs::create_dir("/run/engine").unwrap();
    fs::write(&file, "").unwrap();
    run(&["unshare", &format!("--net={file}"), "true"]);
    Pod::at(id, &file)
}

/// A runtime that waits for what is traced as long as the test does.
fn patient() -> Profile {
    Profile { request_timeout: PATIENCE, ..Profile::containerd_2_3() }
}

/// The start, before there is a runtime; the first session and its loss.
async fn begins(start: impl FnOnce() -> Berth) -> (FakeRuntime, Session, Berth) {
    loopback();
    run(&["mount", "--make-rshared", "/"]);
    fs::write(FILE, configuration("one", UNIX)).unwrap();
    let berth = start();
    berth.logged("trying again").await;
    let runtime = FakeRuntime::listen(Path::new(SOCKET));
    drop(runtime.accept_ready(patient()).await);
    let session = runtime.accept(patient()).await;
    session.configure().await.unwrap();
    (runtime, session, berth)
}

/// Configurations that come in every way, one that is wrong, and the listener that follows them.
async fn reloads(berth: &mut Berth) {
    fs::write("/run/new.yaml", configuration("two", TCP)).unwrap();
    fs::rename("/run/new.yaml", FILE).unwrap();
    answers(TCP, "/healthz", 200).await;
    fs::write(FILE, "profils: []\n").unwrap();
    berth.logged("unknown key").await;
    fs::create_dir("/run/other").unwrap();
    fs::write("/run/other/config.yaml", configuration("three", UNIX)).unwrap();
    symlink("other/config.yaml", "/run/link").unwrap();
    fs::rename("/run/link", FILE).unwrap();
    answers(UNIX, "/healthz", 200).await;
    // The directory that the link led to is not watched any more then.
    fs::write("/run/new.yaml", configuration("four", TCP)).unwrap();
    fs::rename("/run/new.yaml", FILE).unwrap();
    answers(TCP, "/healthz", 200).await;
    fs::write(FILE, configuration("five", UNIX)).unwrap();
    answers(UNIX, "/healthz", 200).await;
    berth.signal(Signal::SIGHUP);
    berth.logged("configuration unchanged").await;
}

/// Every page, at every kind of address.
async fn asked() {
    for page in ["/healthz", "/readyz", "/metrics"] {
        answers(UNIX, page, 200).await;
    }
}

/// A daemon that makes the pins.
pub(crate) async fn with_pins(start: impl FnOnce() -> Berth) {
    let (runtime, session, mut berth) = begins(start).await;
    let elsewhere = engine_elsewhere("s4");
    let pods = ["s1", "s2", "s3"].map(Pod::new);
    let listed: Vec<_> = pods.iter().take(2).map(|pod| pod.message.clone()).collect();
    session.synchronize(listed, vec![pods[0].container()]).await.unwrap();
    for pod in pods.iter().chain([&elsewhere]) {
        session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
        session.create_container(pod.message.clone(), pod.container()).await.unwrap();
        assert!(pod.is_pinned());
    }
    let stolen = pods[0].container_at("/run/netns/berth-s2");
    assert!(session.create_container(pods[0].message.clone(), stolen).await.is_err());
    waits_for_a_lock(&session).await;
    reloads(&mut berth).await;
    asked().await;

    // Drained: its task outlives the engine's file.
    let task = Task::in_network(&pods[0].file);
    pods[0].engine_lets_go();
    berth.logged("event=Drain pin=berth-s1").await;
    drop(task);
    pods[0].gone().await;
    // Healed: its pin was taken away.
    run(&["umount", "/run/netns/berth-s2"]);
    session.event(Event::StopPodSandbox, Some(pods[1].message.clone()), None).await.unwrap();
    berth.logged("event=Heal pin=berth-s2").await;
    for pod in [&pods[1], &pods[2]] {
        pod.engine_lets_go();
        pod.gone().await;
    }
    // Covered, as by `ip netns add` where the directory was no mount of its own: released from a copy of the mounts.
    run(&["mount", "--make-private", "/run/netns"]);
    run(&["mount", "--rbind", "/run/netns", "/run/netns"]);
    run(&["umount", &elsewhere.file]);
    fs::remove_file(&elsewhere.file).unwrap();
    elsewhere.gone().await;
    a_second_one_takes_over(&runtime, berth, "daemon").await;
    launched(&runtime, "daemon").await;
}

/// Somebody else is at the same sandbox for a moment.
async fn waits_for_a_lock(session: &Session) {
    let pod = Pod::new("s9");
    let lock = File::options().create(true).truncate(false).write(true).open("/run/berth/locks/berth-s9").unwrap();
    lock.lock().unwrap();
    let pinned = session.event(Event::RunPodSandbox, Some(pod.message.clone()), None);
    let release = async {
        let waits = || fs::read_to_string(TRACE).unwrap().contains("clock_nanosleep").then_some(());
        eventually("it waits between two tries", waits).await;
        drop(lock);
    };
    let (pinned, ()) = futures::future::join(pinned, release).await;
    pinned.unwrap();
    pod.engine_lets_go();
    pod.gone().await;
}

async fn a_second_one_takes_over(runtime: &FakeRuntime, mut first: Berth, pins_by: &str) {
    let args = ["--config", FILE, "--pins-by", pins_by];
    let mut second = Berth::start_under(&crate::trace::before("/run/second.trace"), &args);
    second.logged("passive until it ends").await;
    first.signal(Signal::SIGTERM);
    assert!(first.ended().await.success());
    let _session = runtime.accept_ready(patient()).await;
    second.signal(Signal::SIGTERM);
    assert!(second.ended().await.success());
}

/// A daemon that leaves the pins to interposers.
pub(crate) async fn without_pins(start: impl FnOnce() -> Berth) {
    let (runtime, session, mut berth) = begins(start).await;
    stage::silent("runc");
    let wrapper = stage::interposer("berth-runc");
    let pods = ["s1", "s2"].map(Pod::new);
    for (pod, id) in pods.iter().zip(["s1", "s2"]) {
        let bundle = stage::bundle(id, &stage::containerd("sandbox", id), &stage::network(&pod.file));
        let created = stage::create(&wrapper, &bundle, id);
        assert!(created.status.success(), "{created:?}");
    }
    session.synchronize(vec![pods[0].message.clone()], vec![pods[0].container()]).await.unwrap();
    for pod in &pods {
        session.event(Event::RunPodSandbox, Some(pod.message.clone()), None).await.unwrap();
        session.create_container(pod.message.clone(), pod.container()).await.unwrap();
    }
    reloads(&mut berth).await;
    asked().await;
    session.event(Event::StopPodSandbox, Some(pods[0].message.clone()), None).await.unwrap();
    pods[0].engine_lets_go();
    berth.logged("event=Mark pin=berth-s1").await;
    a_second_one_takes_over(&runtime, berth, "interposers").await;
    launched(&runtime, "interposers").await;
}

/// A program's words that give it a socket to `/run/nri.sock`, under the number that NRI says.
const CONNECT: &str = "import os, socket, sys\n\
    s = socket.socket(socket.AF_UNIX)\n\
    s.connect(sys.argv[1])\n\
    os.dup2(s.fileno(), 9)\n\
    os.execvp(sys.argv[2], sys.argv[2:])\n";

/// As a runtime starts it from its plugin directory: with a log file of its own, which is full.
async fn launched(runtime: &FakeRuntime, pins_by: &str) {
    fs::write("/run/berth/berth.log", vec![b'x'; 1 << 20]).unwrap();
    let by = format!("BERTH_PINS_BY={pins_by}");
    let told = ["env", "NRI_PLUGIN_NAME=berth", "NRI_PLUGIN_IDX=90", "NRI_PLUGIN_SOCKET=9", &by];
    let connected = ["python3", "-c", CONNECT, SOCKET];
    let mut berth =
        Berth::start_under(&[&told, &connected[..], &crate::trace::before("/run/launched.trace")].concat(), &[]);
    drop(runtime.accept_ready(patient()).await);
    assert!(berth.ended().await.success());
    assert!(fs::exists("/run/berth/berth.log.1").unwrap());
}
