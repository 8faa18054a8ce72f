use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};

use super::frame::{GO_BUFFER, MAX_READ, header};
use super::*;

#[path = "../../../tests/common/go_reader.rs"]
mod go_reader;
mod properties;

type Driver = tokio::task::JoinHandle<Result<(), MuxError>>;

/// A mux over one end of a pipe, running, with connections 1 and 2 open.
fn running(trunk: DuplexStream) -> (MuxConn, MuxConn, MuxStats, Driver) {
    let (reader, writer) = split(trunk);
    let mut mux = Mux::new(reader, writer);
    let plugin = mux.open(ConnId::PLUGIN).unwrap();
    let runtime = mux.open(ConnId::RUNTIME).unwrap();
    let stats = mux.stats();
    (plugin, runtime, stats, tokio::spawn(mux.run()))
}

fn frame(conn: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(ConnId(conn), u32::try_from(payload.len()).unwrap()).to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

fn message(body: usize) -> Vec<u8> {
    let mut bytes = u32::try_from(body).unwrap().to_be_bytes().to_vec();
    bytes.extend([0, 0, 0, 1, 2, 0]);
    bytes.extend((0..body).map(|i| u8::try_from(i % 251).unwrap()));
    bytes
}

/// What the mux does with these bytes of trunk, followed by the end of the stream.
async fn fed(bytes: &[u8]) -> (Result<(), MuxError>, Vec<u8>, Vec<u8>, u64) {
    let (mut far, near) = duplex(64 << 10);
    let (mut plugin, mut runtime, stats, driver) = running(near);
    let feed = async {
        // The mux may give up early; then writing fails, which is no matter of this side.
        drop(far.write_all(bytes).await);
        drop(far.shutdown().await);
    };
    let (mut one, mut two) = (Vec::new(), Vec::new());
    let ((), a, b) = tokio::join!(feed, plugin.read_to_end(&mut one), runtime.read_to_end(&mut two));
    let result = driver.await.unwrap();
    assert_eq!(a.is_ok(), result.is_ok());
    assert_eq!(b.is_ok(), result.is_ok());
    (result, one, two, stats.dropped_frames())
}

#[test]
fn connection_zero_is_reserved_and_an_id_is_opened_once() {
    let (_far, near) = duplex(64);
    let (reader, writer) = split(near);
    let mut mux = Mux::new(reader, writer);
    assert!(matches!(mux.open(ConnId(0)), Err(MuxError::Reserved)));
    let _conn = mux.open(ConnId(7)).unwrap();
    assert!(matches!(mux.open(ConnId(7)), Err(MuxError::AlreadyOpen { conn }) if conn == ConnId(7)));
}

#[tokio::test]
async fn frames_for_unknown_connections_are_counted_and_dropped() {
    let trunk = [frame(1, b"a"), frame(9, b"lost"), frame(0, b"lost"), frame(1, b"b")].concat();
    let (result, one, two, dropped) = fed(&trunk).await;
    result.unwrap();
    assert_eq!((one.as_slice(), two.as_slice(), dropped), (&b"ab"[..], &b""[..], 2));
}

#[tokio::test]
async fn an_empty_frame_is_no_end_of_stream() {
    let trunk = [frame(1, b"a"), frame(1, b""), frame(1, b"b")].concat();
    let (result, one, ..) = fed(&trunk).await;
    result.unwrap();
    assert_eq!(one, b"ab");
}

#[tokio::test]
async fn the_end_of_the_trunk_is_clean_only_between_frames() {
    let trunk = frame(1, b"hello");
    fed(&trunk).await.0.unwrap();
    fed(&[]).await.0.unwrap();
    for cut in 1..trunk.len() {
        match fed(&trunk[..cut]).await.0 {
            Err(MuxError::TruncatedHeader { have }) => assert_eq!(have, cut),
            Err(MuxError::TruncatedPayload { conn, missing }) => {
                assert_eq!((conn, missing), (ConnId(1), u32::try_from(13 - cut).unwrap()));
            }
            other => panic!("cut at {cut}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_frame_beyond_the_limit_is_refused_before_its_payload() {
    let trunk = header(ConnId(1), MAX_READ + 1);
    let (result, ..) = fed(&trunk).await;
    assert!(matches!(result, Err(MuxError::TooLong { conn, length }) if conn == ConnId(1) && length == MAX_READ + 1));
}

#[tokio::test]
async fn a_frame_as_long_as_old_peers_send_passes() {
    let payload = vec![7; usize::try_from(MAX_READ).unwrap()];
    let (result, one, ..) = fed(&frame(1, &payload)).await;
    result.unwrap();
    assert!(one == payload);
}

#[tokio::test(start_paused = true)]
async fn a_connection_nobody_reads_is_bounded_in_bytes_and_in_time() {
    let (mut far, near) = duplex(1024);
    let (_plugin, mut runtime, _stats, driver) = running(near);
    far.write_all(&frame(2, b"first")).await.unwrap();
    let mut first = [0; 5];
    runtime.read_exact(&mut first).await.unwrap();
    // More than connection 1 and everything on the way can hold.
    let flood = frame(1, &vec![0; CONN_BUFFER + READ_BUFFER + 8192]);
    let flooding = tokio::spawn(async move { far.write_all(&flood).await });
    assert!(matches!(driver.await.unwrap(), Err(MuxError::Stalled { conn }) if conn == ConnId::PLUGIN));
    assert!(flooding.await.unwrap().is_err());
    assert!(runtime.read_u8().await.is_err());
}

#[tokio::test]
async fn a_slow_reader_gets_everything_and_holds_up_nobody_for_good() {
    let (mut far, near) = duplex(4096);
    let (mut plugin, mut runtime, _stats, _driver) = running(near);
    let sent = vec![3; 4 * CONN_BUFFER];
    let trunk = [frame(1, &sent), frame(2, b"after")].concat();
    let feed = tokio::spawn(async move { far.write_all(&trunk).await.map(|()| far) });
    let mut got = vec![0; sent.len()];
    for chunk in got.chunks_mut(1000) {
        plugin.read_exact(chunk).await.unwrap();
    }
    assert!(got == sent);
    let mut after = [0; 5];
    runtime.read_exact(&mut after).await.unwrap();
    assert_eq!(&after, b"after");
    drop(feed.await.unwrap().unwrap());
}

#[tokio::test]
async fn a_dropped_connection_does_not_hold_up_the_other() {
    let (mut far, near) = duplex(4096);
    let (plugin, mut runtime, stats, _driver) = running(near);
    drop(plugin);
    far.write_all(&frame(1, &vec![0; 2 * CONN_BUFFER])).await.unwrap();
    far.write_all(&frame(2, b"x")).await.unwrap();
    assert_eq!(runtime.read_u8().await.unwrap(), b'x');
    assert_eq!(stats.dropped_frames(), 1);
}

#[tokio::test]
async fn dropping_the_mux_ends_the_connections_and_the_trunk() {
    let (mut far, near) = duplex(64);
    let (mut plugin, _runtime, _stats, driver) = running(near);
    driver.abort();
    assert!(driver.await.unwrap_err().is_cancelled());
    assert_eq!(plugin.read(&mut [0; 8]).await.unwrap(), 0);
    let error = plugin.write(b"x").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(far.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_begun_frame_is_finished_after_its_writer_is_gone() {
    let (mut far, near) = duplex(16);
    let (mut plugin, _runtime, _stats, _driver) = running(near);
    let sent = message(100);
    assert_eq!(plugin.write(&sent).await.unwrap(), sent.len());
    drop(plugin);
    let mut got = vec![0; 8 + sent.len()];
    far.read_exact(&mut got).await.unwrap();
    assert_eq!(got, frame(1, &sent));
}

#[tokio::test]
async fn ttrpc_writes_become_the_two_frames_the_go_side_writes_itself() {
    let (mut far, near) = duplex(16 << 20);
    let (mut plugin, _runtime, _stats, _driver) = running(near);
    let sent = message(4 << 20);
    plugin.write_all(&sent[..GO_BUFFER]).await.unwrap();
    plugin.write_all(&sent[GO_BUFFER..]).await.unwrap();
    plugin.flush().await.unwrap();
    let expected = [frame(1, &sent[..GO_BUFFER]), frame(1, &sent[GO_BUFFER..])].concat();
    let mut got = vec![0; expected.len()];
    far.read_exact(&mut got).await.unwrap();
    assert!(got == expected);
}
