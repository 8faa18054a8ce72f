//! A session of a real engine, cut off after every byte of it.

use std::os::unix::net::UnixStream as StdStream;
use std::time::Duration;

use berth::nri::{Endpoint, NriError, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::fake_runtime::{FakeRuntime, Profile};
use crate::harness::{Stub, place, within};
use crate::recorder::all_events;
use crate::session::{HEADER, Heard, SESSION, frame_starts, messages, up_to};

/// Says the session up to `cut` to a plugin, each message when it may follow. The plugin may have hung up before.
async fn say(peer: &mut UnixStream, cut: usize) {
    let mut heard = Heard::default();
    for message in messages().iter().filter(|message| message.place.start < cut) {
        while !message.may_follow(&heard) {
            let mut bytes = [0; 4096];
            match within(peer.read(&mut bytes)).await {
                Ok(length @ 1..) => heard.hear(&bytes[..length]),
                _ => return,
            }
        }
        let end = message.place.end.min(cut);
        drop(peer.write_all(&SESSION[message.place.start..end]).await);
    }
}

/// Comes back at once.
fn eager() -> Options {
    let mut options = Options::default();
    options.backoff_first = Duration::from_micros(100);
    options.backoff_most = Duration::from_micros(200);
    options
}

/// After every byte of the handshake, and of the events after it after one in so many; with `BERTH_HOSTILE=long` after every
/// one of these as well.
fn cuts() -> Vec<usize> {
    let handshake = up_to("Synchronize").1.place.end;
    let step = if std::env::var_os("BERTH_HOSTILE").is_some_and(|form| form == "long") { 1 } else { 13 };
    (0..handshake).chain((handshake..SESSION.len()).step_by(step)).chain([SESSION.len()]).collect()
}

#[tokio::test]
async fn whatever_byte_is_the_last_the_stub_comes_back_and_serves() {
    let place = place();
    let runtime = FakeRuntime::listen(&place.path);
    let mut stub = Stub::start(Endpoint::Path(place.path.clone()), eager(), all_events());
    for cut in cuts() {
        let mut peer = within(runtime.accept_raw()).await;
        say(&mut peer, cut).await;
        // Else it closes with what the stub has said unread.
        if cut % 2 == 0 {
            drop(peer.shutdown().await);
            let mut answers = Vec::new();
            drop(within(peer.read_to_end(&mut answers)).await);
        }
    }
    let _session = within(runtime.accept_ready(Profile::containerd_2_3())).await;
    // A session that has begun for the plugin has ended for it, each time.
    let (mut begun, mut ended) = (0, 0);
    loop {
        match stub.next().await.as_str() {
            "state Registered" => begun += 1,
            "state Closed" => ended += 1,
            "Synchronize 0 0" if begun == ended + 1 && is_last(&mut stub).await => break,
            _ => {}
        }
    }
    assert!(begun > cuts().len() / 2, "most of the cuts come after the registration: {begun}");
    stub.stop().await;
}

/// Whether the session lasts.
async fn is_last(stub: &mut Stub) -> bool {
    stub.skip_to("state Synchronized").await;
    stub.records.is_empty()
}

#[tokio::test]
async fn between_two_frames_the_end_is_one_and_inside_of_one_it_is_named() {
    let frames = frame_starts();
    for cut in (0..=SESSION.len()).filter(|cut| frames.iter().any(|start| start.abs_diff(*cut) < 12) || cut % 61 == 0) {
        let (ours, theirs) = StdStream::pair().unwrap();
        let stub = Stub::start(Endpoint::Inherited(ours), eager(), all_events());
        theirs.set_nonblocking(true).unwrap();
        let mut theirs = UnixStream::from_std(theirs).unwrap();
        say(&mut theirs, cut).await;
        theirs.shutdown().await.unwrap();
        let start = *frames.iter().rfind(|start| **start <= cut).unwrap();
        match (cut - start, stub.result().await) {
            (0, Ok(())) => {}
            (have @ 1..HEADER, Err(NriError::Trunk { source })) => {
                assert!(source.to_string().contains(&format!("after {have} bytes of a frame header")), "{source}");
            }
            (HEADER.., Err(NriError::Trunk { source })) => {
                assert!(source.to_string().contains("inside a frame for connection"), "{source}");
            }
            (have, other) => panic!("cut at {cut}, {have} bytes into a frame: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_peer_that_stops_inside_of_a_frame_and_stays_is_left_when_it_owes_something() {
    let place = place();
    let runtime = FakeRuntime::listen(&place.path);
    let mut options = eager();
    options.register_limit = Duration::from_millis(30);
    options.configure_limit = Duration::from_millis(30);
    options.synchronize_limit = Duration::from_millis(30);
    let mut stub = Stub::start(Endpoint::Path(place.path.clone()), options, all_events());
    let begins = |method: &[u8]| SESSION.windows(method.len()).position(|part| part == method).unwrap();
    // In the middle of Synchronize at the latest: from then on silence is what a runtime without pods is like.
    let cuts = [1, HEADER, HEADER + 3, begins(b"Configure"), begins(b"Synchronize")];
    for cut in cuts {
        let mut peer = within(runtime.accept_raw()).await;
        say(&mut peer, cut).await;
        let mut rest = Vec::new();
        drop(within(peer.read_to_end(&mut rest)).await);
    }
    let _session = within(runtime.accept_ready(Profile::containerd_2_3())).await;
    stub.skip_to("state Synchronized").await;
    stub.stop().await;
}
