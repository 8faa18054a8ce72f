//! What holds for any bytes, any cut and any interleaving.

use std::sync::Mutex;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};

use super::go_reader::GoReader;
use super::{frame, message, running};
use crate::nri::mux::MuxConn;
use crate::nri::mux::frame::{Decoder, Shaper};

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
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }))]

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
