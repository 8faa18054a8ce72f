//! The trunk: frames in, frames out, and a peer that sends any bytes at all.
//!
//! Input: a byte for the direction; of frames coming in, a byte for the size of the pieces in which they do.

use super::session;
use berth::nri::mux::frame::{Decoder, HEADER_LEN, MAX_READ, Shaper};
use berth::nri::mux::{ConnId, Mux, MuxError};
use berth::nri::{Answer, EventMask, Plugin, Runtime, api};
use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

#[path = "../common/go_reader.rs"]
mod go_reader;

pub(crate) fn run(data: &[u8]) {
    match data.split_first() {
        Some((direction, rest)) if direction % 4 == 0 => incoming(rest),
        Some((direction, rest)) if direction % 4 == 1 => outgoing(rest),
        // At once, or in two steps: the answers to the first may be read before the second comes.
        Some((direction, rest)) if direction % 4 == 2 => peer(&[rest]),
        Some((_, rest)) => peer(&[&rest[..rest.len() / 2], &rest[rest.len() / 2..]]),
        None => {}
    }
}

/// What a stream of frames comes to, read all at once.
#[derive(Debug, Default, PartialEq)]
struct Read {
    conns: BTreeMap<u32, Vec<u8>>,
    frames: usize,
    end: String,
}

fn reference(mut stream: &[u8]) -> Read {
    let mut read = Read::default();
    read.end = loop {
        let Some((header, rest)) = stream.split_first_chunk::<HEADER_LEN>() else {
            break if stream.is_empty() { "end".to_owned() } else { format!("header {}", stream.len()) };
        };
        let word = |at: usize| header[at..at + 4].iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        let (conn, length) = (word(0), word(4));
        if length > MAX_READ {
            break format!("long {conn} {length}");
        }
        let length = usize::try_from(length).expect("a length");
        let have = rest.len().min(length);
        if have > 0 {
            read.conns.entry(conn).or_default().extend(&rest[..have]);
            read.frames += 1;
        }
        if have < length {
            break format!("payload {conn} {}", length - have);
        }
        stream = &rest[have..];
    };
    read
}

fn told(end: &Result<(), MuxError>) -> String {
    match end {
        Ok(()) => "end".to_owned(),
        Err(MuxError::TruncatedHeader { have }) => format!("header {have}"),
        Err(MuxError::TruncatedPayload { conn, missing }) => format!("payload {conn} {missing}"),
        Err(MuxError::TooLong { conn, length }) => format!("long {conn} {length}"),
        Err(other) => panic!("{other}"),
    }
}

fn incoming(data: &[u8]) {
    let Some((size, stream)) = data.split_first() else { return };
    let size = usize::from(*size).max(1);
    let expected = reference(stream);

    let (mut decoder, mut read) = (Decoder::default(), Read::default());
    let mut end = Ok(());
    'stream: for mut input in stream.chunks(size) {
        loop {
            match decoder.next(&mut input) {
                Ok(Some(piece)) => {
                    assert!(!piece.bytes.is_empty());
                    read.frames += usize::from(piece.starts_frame);
                    read.conns.entry(piece.conn.0).or_default().extend(piece.bytes);
                }
                Ok(None) => break,
                Err(error) => {
                    end = Err(error);
                    break 'stream;
                }
            }
        }
    }
    read.end = told(&end.and_then(|()| decoder.finish()));
    assert_eq!(read, expected);

    let reader = Pieces { stream: stream.to_vec(), at: 0, size };
    let mut mux = Mux::new(reader, tokio::io::sink());
    let (mut one, mut two) = (mux.open(ConnId(1)).expect("open"), mux.open(ConnId(2)).expect("open"));
    let stats = mux.stats();
    let (mut on_one, mut on_two) = (Vec::new(), Vec::new());
    let (end, of_one, of_two) =
        block_on(async { tokio::join!(mux.run(), one.read_to_end(&mut on_one), two.read_to_end(&mut on_two)) });
    assert_eq!(told(&end), expected.end);
    assert_eq!((of_one.is_ok(), of_two.is_ok()), (end.is_ok(), end.is_ok()));
    for (conn, bytes) in [(1, on_one), (2, on_two)] {
        assert_eq!(bytes, expected.conns.get(&conn).cloned().unwrap_or_default());
    }
    let elsewhere = expected.conns.keys().any(|conn| *conn != 1 && *conn != 2);
    assert_eq!(stats.dropped_frames() > 0, elsewhere);
}

/// Messages of any length in writes of any length, to a socket that takes any part of them.
fn outgoing(data: &[u8]) {
    shaper(data);
    let Some((take, mut data)) = data.split_first() else { return };
    let take = 1 + usize::from(*take) * usize::from(*take);
    let wire = Wire { bytes: Arc::default(), take, full: false };
    let written = Arc::clone(&wire.bytes);
    let mut mux = Mux::new(tokio::io::empty(), wire);
    let mut conns = [mux.open(ConnId(1)).expect("open"), mux.open(ConnId(2)).expect("open")];
    let (mut expected, mut written_bytes) = (BTreeMap::<u32, Vec<u8>>::new(), 0);
    block_on(async {
        while let Some(([how, l0, l1, split], rest)) = data.split_first_chunk::<4>() {
            data = rest;
            let message = message(usize::from(u16::from_be_bytes([*l0, *l1])) * usize::from(how >> 4));
            // A socket that takes a byte at a time is not given megabytes.
            written_bytes += message.len();
            if written_bytes > (take * 2000).min(1 << 20) {
                break;
            }
            let which = usize::from(how & 1);
            let (first, second) = message.split_at(message.len().min(usize::from(*split) * 32));
            for part in [first, second] {
                conns[which].write_all(part).await.expect("written");
            }
            conns[which].flush().await.expect("flushed");
            expected.entry(if which == 0 { 1 } else { 2 }).or_default().extend(&message);
        }
    });
    let wire = written.lock().expect("no panic").clone();
    let mut go = go_reader::GoReader::default();
    go.feed(&wire);
    go.assert_readable();
    expected.retain(|_, bytes| !bytes.is_empty());
    let read = reference(&wire);
    assert_eq!((read.conns, read.end.as_str()), (expected, "end"));
}

/// Whatever is written, something may be; and what may be is no more than was asked for.
fn shaper(data: &[u8]) {
    let mut shaper = Shaper::default();
    for part in data.chunks(37) {
        let mut rest = part;
        while !rest.is_empty() {
            let allowed = shaper.allowed(rest.len());
            assert!((1..=rest.len()).contains(&allowed));
            shaper.sent(&rest[..allowed]);
            rest = &rest[allowed..];
        }
    }
}

/// A ttrpc message with a body of this length.
fn message(length: usize) -> Vec<u8> {
    let mut message = vec![0; 10 + length];
    message[..4].copy_from_slice(&u32::try_from(length).expect("a length").to_be_bytes());
    message
}

/// Any bytes on the trunk. The stub ends, and all it has said is whole messages: to nobody who did not ask.
fn peer(steps: &[&[u8]]) {
    let asked: Vec<_> = {
        let mut bytes = reference(&steps.concat()).conns.remove(&session::PLUGIN).unwrap_or_default();
        bytes.resize(bytes.len() + 3, 0);
        bytes.windows(4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]])).collect()
    };
    let steps: Vec<_> = steps.iter().map(|step| step.to_vec()).collect();
    let (heard, _ended) = session::converse(Arc::new(Patient), &steps);
    for said in session::said(&heard) {
        match said.conn {
            session::RUNTIME => assert_eq!((said.stream, said.kind), (1, session::REQUEST), "the registration"),
            _ => {
                assert_eq!(said.kind, session::RESPONSE);
                assert!(asked.contains(&said.stream), "an answer on stream {}", said.stream);
            }
        }
    }
}

/// A plugin that agrees to everything.
struct Patient;

#[async_trait::async_trait]
impl Plugin for Patient {
    async fn configure(&self, _: &Runtime, _: &str) -> Answer<EventMask> {
        Ok(EventMask::of(&berth::nri::Event::ALL))
    }

    async fn synchronize(&self, _: Vec<api::PodSandbox>, _: Vec<api::Container>) -> Answer<Vec<api::ContainerUpdate>> {
        Ok(Vec::new())
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("runtime")
        .block_on(future)
}

/// A stream that comes in pieces.
struct Pieces {
    stream: Vec<u8>,
    at: usize,
    size: usize,
}

impl AsyncRead for Pieces {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let length = self.size.min(buf.remaining()).min(self.stream.len() - self.at);
        buf.put_slice(&self.stream[self.at..self.at + length]);
        self.at += length;
        Poll::Ready(Ok(()))
    }
}

/// A socket that takes so much at once, and every other time nothing.
struct Wire {
    bytes: Arc<Mutex<Vec<u8>>>,
    take: usize,
    full: bool,
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.full = !self.full;
        if self.full {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let length = self.take.min(buf.len());
        self.bytes.lock().expect("no panic").extend(&buf[..length]);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
