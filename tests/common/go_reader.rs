//! What the Go peer does with the frames it gets: an oracle for everything our side writes.
//!
//! Written from the peer's code, not from ours. containerd/nri `pkg/net/multiplex/mux.go`: a read
//! of a logical connection returns one whole frame, or ENOMEM if the caller's buffer is shorter.
//! containerd/ttrpc `channel.go`: the caller is a `bufio.Reader` of 4096 bytes, which reads past
//! its own buffer only for a body with at least 4096 bytes to go. A frame longer than what ttrpc
//! still wants would be cut off.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::HashMap;

const BUFIO: usize = 4096;
const LONGEST: usize = 10 + (4 << 20);

/// The reading side of one trunk.
#[derive(Debug, Default)]
pub(crate) struct GoReader {
    unparsed: Vec<u8>,
    conns: HashMap<u32, Conn>,
    /// What the peer would have failed on, in words.
    pub(crate) violations: Vec<String>,
    /// Frames so far.
    pub(crate) frames: usize,
}

#[derive(Debug, Default)]
struct Conn {
    header: Vec<u8>,
    body_left: usize,
    messages: usize,
}

impl GoReader {
    /// Takes bytes as they leave our side.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.unparsed.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(header) = self.unparsed.get(at..at + 8) {
            let word = |i: usize| u32::from_be_bytes(header[i..i + 4].try_into().unwrap());
            let (id, length) = (word(0), usize::try_from(word(4)).unwrap());
            let Some(payload) = self.unparsed.get(at + 8..at + 8 + length) else {
                break;
            };
            self.frames += 1;
            let conn = self.conns.entry(id).or_default();
            if let Some(complaint) = conn.read(payload) {
                self.violations.push(format!("connection {id}: {complaint}"));
            }
            at += 8 + length;
        }
        self.unparsed.drain(..at);
    }

    /// Whole ttrpc messages that arrived on a connection.
    pub(crate) fn messages(&self, id: u32) -> usize {
        self.conns.get(&id).map_or(0, |conn| conn.messages)
    }

    /// Panics on whatever the peer could not have read.
    pub(crate) fn assert_readable(&self) {
        assert!(self.violations.is_empty(), "{:?}", self.violations);
    }
}

impl Conn {
    /// One `Read` by the peer, with the buffer it would use at this point of the stream.
    fn read(&mut self, frame: &[u8]) -> Option<String> {
        let direct = self.header.is_empty() && self.body_left >= BUFIO;
        let room = if direct { self.body_left } else { BUFIO };
        let mut complaint = None;
        if frame.is_empty() {
            complaint = Some("empty frame".to_owned());
        } else if frame.len() > room || frame.len() > LONGEST {
            complaint = Some(format!("ENOMEM: frame of {} into {room} bytes", frame.len()));
        }
        let mut rest = frame;
        while !rest.is_empty() {
            let body = rest.len().min(self.body_left);
            self.body_left -= body;
            rest = &rest[body..];
            if body > 0 && self.body_left == 0 {
                self.messages += 1;
            }
            let wanted = rest.len().min(10 - self.header.len());
            self.header.extend_from_slice(&rest[..wanted]);
            rest = &rest[wanted..];
            if self.header.len() == 10 {
                let length = u32::from_be_bytes(self.header[..4].try_into().unwrap());
                self.body_left = usize::try_from(length).unwrap();
                self.messages += usize::from(length == 0);
                self.header.clear();
            }
        }
        complaint
    }
}
