//! A session with the stub, whose runtime says what the input says: the same stub, trunk and RPC library as in the daemon,
//! over a socket. The clock stands still and jumps when nothing else is left to do, so that no limit is waited for.

#![allow(dead_code, reason = "each target uses a part of it")]

use berth::nri::mux::frame::{Decoder, HEADER_LEN};
use berth::nri::{Endpoint, Identity, NriError, Options, Plugin, run};
use protobuf::Message;
use std::collections::BTreeMap;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use ttrpc::proto::{Request, Response};

/// The services' connections: the plugin's and the runtime's.
pub(crate) const PLUGIN: u32 = 1;
pub(crate) const RUNTIME: u32 = 2;

/// Kinds of ttrpc messages.
pub(crate) const REQUEST: u8 = 1;
pub(crate) const RESPONSE: u8 = 2;

/// Everything that is awaited ends within this, on a clock that only jumps.
const LIMIT: Duration = Duration::from_secs(600);

/// After so many looks without a byte nothing more comes by itself.
const QUIET: usize = 6;

/// Has a conversation and gives what came of it: the bytes that the plugin wrote, and how its session ended.
pub(crate) fn converse(plugin: Arc<dyn Plugin>, steps: &[Vec<u8>]) -> (Vec<u8>, Result<(), NriError>) {
    Listener::start();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("runtime");
    let heard = runtime.block_on(async {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a socket");
        ours.set_nonblocking(true).expect("a socket");
        let identity = Identity::new("10", "fuzz").expect("an identity");
        let stub = tokio::spawn(run(Endpoint::Inherited(theirs), identity, plugin, Options::default(), pending()));
        let (mut reader, mut writer) = UnixStream::from_std(ours).expect("a socket").into_split();
        let mut heard = Vec::new();
        listen(&mut reader, &mut heard).await;
        for step in steps {
            if say(&mut reader, &mut writer, step, &mut heard).await.is_err() {
                break;
            }
            listen(&mut reader, &mut heard).await;
        }
        drop(writer);
        drop(
            tokio::time::timeout(LIMIT, reader.read_to_end(&mut heard))
                .await
                .expect("the session ends with the stream"),
        );
        let ended = tokio::time::timeout(LIMIT, stub).await.expect("the stub ends with the session");
        (heard, ended.expect("the stub does not panic"))
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    Listener::check();
    heard
}

/// Writes, and reads meanwhile: a plugin that answers must not have to wait for who asks.
async fn say(
    reader: &mut OwnedReadHalf,
    writer: &mut OwnedWriteHalf,
    mut step: &[u8],
    heard: &mut Vec<u8>,
) -> std::io::Result<()> {
    while !step.is_empty() {
        tokio::select! {
            written = writer.write(step) => step = &step[written?..],
            read = reader.read_buf(heard) => if read? == 0 { return Err(std::io::ErrorKind::BrokenPipe.into()) },
            () = tokio::time::sleep(LIMIT) => panic!("the plugin neither reads nor hangs up"),
        }
    }
    Ok(())
}

/// Reads what comes until nothing does.
async fn listen(reader: &mut OwnedReadHalf, heard: &mut Vec<u8>) {
    let mut quiet = 0;
    while quiet < QUIET {
        match tokio::time::timeout(Duration::from_micros(100), reader.read_buf(heard)).await {
            Ok(Ok(0) | Err(_)) => return,
            Ok(Ok(_)) => quiet = 0,
            Err(_) => quiet += 1,
        }
    }
}

/// A message of ttrpc in a frame of its own, as Go writes it: at most 4096 bytes first, the rest in a second frame.
pub(crate) fn framed(conn: u32, stream: u32, kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("a short body");
    let mut message = Vec::with_capacity(10 + body.len());
    message.extend(length.to_be_bytes());
    message.extend(stream.to_be_bytes());
    message.extend([kind, 0]);
    message.extend(body);
    let mut framed = Vec::with_capacity(message.len() + 2 * HEADER_LEN);
    let (first, rest) = message.split_at(message.len().min(4096));
    for part in [first, rest].into_iter().filter(|part| !part.is_empty()) {
        framed.extend(conn.to_be_bytes());
        framed.extend(u32::try_from(part.len()).expect("a short body").to_be_bytes());
        framed.extend(part);
    }
    framed
}

/// A request of the runtime.
pub(crate) fn request(method: &str, stream: u32, payload: Vec<u8>) -> Vec<u8> {
    let request = Request {
        service: "nri.pkg.api.v1alpha1.Plugin".to_owned(),
        method: method.to_owned(),
        payload,
        ..Default::default()
    };
    framed(PLUGIN, stream, REQUEST, &request.write_to_bytes().expect("a request"))
}

/// The answer to the registration, which is the plugin's first request.
pub(crate) fn registered() -> Vec<u8> {
    framed(RUNTIME, 1, RESPONSE, &Response::default().write_to_bytes().expect("a response"))
}

/// A whole ttrpc message that the plugin wrote.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) conn: u32,
    pub(crate) stream: u32,
    pub(crate) kind: u8,
    pub(crate) body: Vec<u8>,
}

/// Everything the plugin wrote. It must be frames of whole messages, on connections that there are.
pub(crate) fn said(bytes: &[u8]) -> Vec<Said> {
    let (mut decoder, mut conns, mut input) = (Decoder::default(), BTreeMap::<u32, Vec<u8>>::new(), bytes);
    while let Some(piece) = decoder.next(&mut input).expect("frames") {
        conns.entry(piece.conn.0).or_default().extend(piece.bytes);
    }
    decoder.finish().expect("whole frames");
    let mut said = Vec::new();
    for (conn, bytes) in conns {
        assert!(conn == PLUGIN || conn == RUNTIME, "a frame for connection {conn}");
        let mut rest = &bytes[..];
        while let Some((header, after)) = rest.split_first_chunk::<10>() {
            let [l0, l1, l2, l3, s0, s1, s2, s3, kind, _] = *header;
            let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).expect("a length");
            assert!(after.len() >= length, "a message on connection {conn} is cut off");
            let (body, after) = after.split_at(length);
            said.push(Said { conn, stream: u32::from_be_bytes([s0, s1, s2, s3]), kind, body: body.to_vec() });
            rest = after;
        }
        assert!(rest.is_empty(), "a message's header on connection {conn} is cut off");
    }
    said
}

/// The log, every line of which is written out and looked at.
struct Listener(Mutex<Option<String>>);

static LISTENER: Listener = Listener(Mutex::new(None));
static BROKEN: AtomicBool = AtomicBool::new(false);

impl Listener {
    fn start() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            log::set_logger(&LISTENER).expect("the only logger");
            log::set_max_level(log::LevelFilter::Debug);
        });
    }

    /// Lines that are none fail the run.
    fn check() {
        if BROKEN.load(Ordering::Relaxed) {
            panic!("the log was told {:?}", LISTENER.0.lock().expect("no panic").take());
        }
    }
}

impl log::Log for Listener {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = berth::logging::stamped(record.level(), record.args());
        let whole = line.strip_suffix('\n').is_some_and(|line| !line.contains(char::is_control));
        if !whole {
            *self.0.lock().expect("no panic") = Some(line);
            BROKEN.store(true, Ordering::Relaxed);
        }
    }

    fn flush(&self) {}
}
