//! An engine that answers for its CRI as one before CRI 1.30 can: ready, without pods, and silent about its handlers.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;

/// It listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Silent {
    socket: PathBuf,
    thread: Option<JoinHandle<()>>,
}

impl Silent {
    pub(crate) fn listen(socket: &Path) -> Self {
        std::fs::remove_file(socket).ok();
        let listener = UnixListener::bind(socket).expect("listen in the place of an engine");
        let thread = std::thread::spawn(move || {
            // Whoever says nothing has come to end this.
            while let Ok((stream, _)) = listener.accept()
                && answer(stream)
            {}
        });
        Self { socket: socket.to_owned(), thread: Some(thread) }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        let ended = UnixStream::connect(&self.socket).and_then(|mut stream| stream.write_all(b"end"));
        if let Err(e) = ended.map(|()| self.thread.take().map(JoinHandle::join)) {
            eprintln!("rig: end the silent engine: {e}");
        }
    }
}

/// Answers one call; false if it was none.
fn answer(mut stream: UnixStream) -> bool {
    let (mut asked, mut piece) = (Vec::new(), [0; 4096]);
    while !asked.windows(7).any(|bytes| bytes == b"trailer") {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return asked != b"end",
            Ok(length) => asked.extend_from_slice(&piece[..length]),
        }
    }
    // StatusResponse{status: {conditions: [{type: "RuntimeReady", status: true}]}}; no pods.
    let status = &b"\x0a\x12\x0a\x10\x0a\x0cRuntimeReady\x10\x01"[..];
    let message = if asked.windows(7).any(|bytes| bytes == b"/Status") { status } else { &[] };
    let length = u32::try_from(message.len()).expect("it is short").to_be_bytes();
    let body = [&[0], &length[..], message].concat();
    let frames = [frame(SETTINGS, 0, 0, &[]), frame(DATA, END_STREAM, 1, &body)].concat();
    // It acknowledges, and hangs up when it has read all.
    stream.write_all(&frames).is_ok() && stream.read_to_end(&mut asked).is_ok()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("it is short").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}
