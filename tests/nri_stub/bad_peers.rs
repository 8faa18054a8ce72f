//! Sockets that are none, runtimes that stay silent, bytes that make no sense.

use std::os::unix::net::UnixStream as StdStream;
use std::path::Path;
use std::time::Duration;

use berth::nri::mux::MuxError;
use berth::nri::{Endpoint, NriError, Options};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use crate::fake_runtime::{FakeRuntime, Profile};
use crate::harness::{Stub, collect_logs, place, quick, warnings_with, within};
use crate::recorder::all_events;

fn frame(conn: u32, length: u32, payload: &[u8]) -> Vec<u8> {
    [&conn.to_be_bytes(), &length.to_be_bytes(), payload].concat()
}

/// What an inherited socket's session ends with when the runtime sends these bytes and then
/// closes its sending side.
async fn fed(bytes: &[u8]) -> Result<(), NriError> {
    let (ours, theirs) = StdStream::pair().unwrap();
    let stub = Stub::start(Endpoint::Inherited(ours), quick(), all_events());
    theirs.set_nonblocking(true).unwrap();
    let mut theirs = UnixStream::from_std(theirs).unwrap();
    // The stub may have hung up before all is written.
    drop(theirs.write_all(bytes).await);
    drop(theirs.shutdown().await);
    stub.result().await
}

#[tokio::test]
async fn an_oversized_frame_ends_the_session() {
    let error = fed(&frame(1, u32::MAX, b"")).await.unwrap_err();
    assert!(matches!(&error, NriError::Trunk { source: MuxError::TooLong { length: u32::MAX, .. } }), "{error:?}");
}

#[tokio::test]
async fn a_truncated_frame_ends_the_session_and_is_named() {
    for (bytes, words) in [
        (frame(1, 100, b"short"), "inside a frame for connection 1, 95 bytes short"),
        (vec![0, 0, 0], "after 3 bytes of a frame header"),
    ] {
        match fed(&bytes).await.unwrap_err() {
            NriError::Trunk { source } => assert!(source.to_string().contains(words), "{source}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn unknown_and_empty_frames_are_no_reason_to_end() {
    fed(&[frame(7, 4, b"what"), frame(0, 1, b"?"), frame(1, 0, b"")].concat()).await.unwrap();
}

#[tokio::test]
async fn garbage_inside_a_connection_does_not_bring_the_stub_down() {
    let place = place();
    let runtime = FakeRuntime::listen(&place.path);
    let mut stub = Stub::at(&place.path);
    for garbage in [vec![0xff; 64], vec![0; 64], b"GET / HTTP/1.1\r\n\r\n".repeat(9)] {
        for conn in [1, 2] {
            let mut raw = within(runtime.accept_raw()).await;
            let length = u32::try_from(garbage.len()).unwrap();
            drop(raw.write_all(&frame(conn, length, &garbage)).await);
            drop(raw);
        }
    }
    let _session = within(runtime.accept_ready(Profile::containerd_2_3())).await;
    stub.skip_to("state Synchronized").await;
    stub.stop().await;
}

/// Lets a stub try for a while on a clock that jumps, and returns what it warned of.
async fn attempts(path: &Path) -> Vec<String> {
    collect_logs();
    let mut options = Options::default();
    options.connect_limit = Duration::from_secs(1);
    let stub = Stub::start(Endpoint::Path(path.to_owned()), options, all_events());
    tokio::time::sleep(Duration::from_secs(300)).await;
    stub.stop().await;
    warnings_with(path.to_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn an_absent_socket_is_explained_once() {
    let place = place();
    let warned = attempts(&place.path).await;
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains("no such file; enable NRI"), "{warned:?}");
}

#[tokio::test(start_paused = true)]
async fn a_regular_file_is_no_socket() {
    let place = place();
    std::fs::write(&place.path, "").unwrap();
    let warned = attempts(&place.path).await;
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains("not a socket"), "{warned:?}");
}

#[tokio::test(start_paused = true)]
async fn a_socket_nobody_listens_on_is_explained_once_and_again_after_a_change() {
    let place = place();
    drop(FakeRuntime::listen(&place.path));
    let warned = attempts(&place.path).await;
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].contains("refused; is the engine running?"), "{warned:?}");
    std::fs::remove_file(&place.path).unwrap();
    assert_eq!(attempts(&place.path).await.len(), 2);
}

#[tokio::test]
async fn a_runtime_that_never_answers_is_left_and_met_again() {
    let place = place();
    let runtime = FakeRuntime::listen(&place.path);
    let mut options = quick();
    options.register_limit = Duration::from_millis(50);
    options.configure_limit = Duration::from_millis(50);
    options.synchronize_limit = Duration::from_millis(50);
    let mut stub = Stub::start(Endpoint::Path(place.path.clone()), options, all_events());
    let silent = within(runtime.accept_raw()).await;
    let mut unconfigured = within(runtime.accept(Profile::containerd_2_2())).await;
    within(unconfigured.hung_up()).await.unwrap();
    let mut unsynchronized = within(runtime.accept(Profile::containerd_2_2())).await;
    within(unsynchronized.configure()).await.unwrap();
    within(unsynchronized.hung_up()).await.unwrap();
    stub.expect(&["state Registered", "state Closed"]).await;
    stub.skip_to("Configure").await;
    drop(silent);
    stub.stop().await;
}
