use std::sync::Mutex;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};

use super::frame::{GO_BUFFER, MAX_READ, Shaper, header};
use super::*;

#[path = "../../../tests/common/go_reader.rs"]
mod go_reader;
use go_reader::GoReader;

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

/// Writes through a shaper as a logical connection does, into the oracle.
fn shaped(writes: &[&[u8]]) -> GoReader {
    let (mut shaper, mut reader) = (Shaper::default(), GoReader::default());
    for write in writes {
        let mut rest = *write;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(shaper.allowed(rest.len()));
            shaper.sent(now);
            reader.feed(&frame(1, now));
            rest = later;
        }
    }
    reader
}

#[test]
fn the_oracle_knows_what_go_cannot_read() {
    let long = message(9000);
    let mut reader = GoReader::default();
    reader.feed(&frame(1, &long));
    assert_eq!(reader.violations.len(), 1, "header and more than 4096 bytes in one frame");
    let mut reader = GoReader::default();
    reader.feed(&frame(1, &long[..4096]));
    reader.feed(&frame(1, &[&long[4096..], &message(1)].concat()));
    assert_eq!(reader.violations.len(), 1, "a long frame past the end of its message");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any cut of the trunk's bytes gives the same bytes on every connection.
    #[test]
    fn reading_does_not_depend_on_fragmentation(
        frames in prop::collection::vec((0_u32..4, prop::collection::vec(any::<u8>(), 0..40)), 0..30),
        cuts in prop::collection::vec(1_usize..50, 1..20),
    ) {
        let trunk: Vec<u8> = frames.iter().flat_map(|(conn, bytes)| frame(*conn, bytes)).collect();
        let mut expected = vec![Vec::new(); 4];
        for (conn, bytes) in &frames {
            expected[usize::try_from(*conn).unwrap()].extend_from_slice(bytes);
        }
        let (mut decoder, mut got) = (Decoder::default(), vec![Vec::new(); 4]);
        let (mut rest, mut cut) = (trunk.as_slice(), cuts.iter().cycle());
        while !rest.is_empty() {
            let (mut input, later) = rest.split_at(rest.len().min(*cut.next().unwrap()));
            while let Some(piece) = decoder.next(&mut input).unwrap() {
                got[usize::try_from(piece.conn.0).unwrap()].extend_from_slice(piece.bytes);
            }
            rest = later;
        }
        prop_assert!(decoder.finish().is_ok());
        prop_assert_eq!(got, expected);
    }

    /// Any messages in any writes: the peer can read every frame, and gets every message.
    #[test]
    fn everything_written_is_readable_by_go(
        bodies in prop::collection::vec(prop_oneof![0_usize..50, 4000_usize..4200, 0_usize..40_000], 1..8),
        writes in prop::collection::vec(prop_oneof![1_usize..20, 4000_usize..9000, 1_usize..60_000], 1..12),
    ) {
        let stream: Vec<u8> = bodies.iter().flat_map(|body| message(*body)).collect();
        let (mut rest, mut parts) = (stream.as_slice(), Vec::new());
        let mut sizes = writes.iter().cycle();
        while !rest.is_empty() {
            let (part, later) = rest.split_at(rest.len().min(*sizes.next().unwrap()));
            parts.push(part);
            rest = later;
        }
        let reader = shaped(&parts);
        prop_assert_eq!(&reader.violations, &Vec::<String>::new());
        prop_assert_eq!(reader.messages(1), bodies.len());
    }

    /// Two muxes back to back over a narrow trunk, both connections, both directions at once.
    #[test]
    fn connections_do_not_mix(
        sizes in prop::collection::vec(0_usize..20_000, 4),
        trunk in 1_usize..9000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (near, far) = duplex(trunk);
            let (mut a1, mut a2, _, _a) = running(near);
            let (mut b1, mut b2, _, _b) = running(far);
            let sent: Vec<_> = sizes.iter().map(|size| message(*size)).collect();
            let got = Mutex::new(vec![Vec::new(); 4]);
            tokio::join!(
                exchange(&mut a1, &sent[0], &sent[2], &got, 2),
                exchange(&mut a2, &sent[1], &sent[3], &got, 3),
                exchange(&mut b1, &sent[2], &sent[0], &got, 0),
                exchange(&mut b2, &sent[3], &sent[1], &got, 1),
            );
            assert!(*got.lock().unwrap() == sent);
        });
    }
}

async fn exchange(conn: &mut MuxConn, send: &[u8], expect: &[u8], got: &Mutex<Vec<Vec<u8>>>, place: usize) {
    let (mut reader, mut writer) = split(conn);
    let mut buffer = vec![0; expect.len()];
    let (written, read) = tokio::join!(
        async {
            writer.write_all(send).await?;
            writer.flush().await
        },
        reader.read_exact(&mut buffer)
    );
    written.unwrap();
    read.unwrap();
    got.lock().unwrap()[place] = buffer;
}
