//! The frame layout of the trunk, as two pure state machines without input or output.
//!
//! [`Decoder`] cuts the incoming byte stream into payload pieces, however it was fragmented.
//! [`Shaper`] decides how much of a write may go into one outgoing frame so that the Go peer can
//! read it. Both hold a few words of state and never a payload.
//!
//! A frame is a connection id and a payload length, each 32 bits big-endian, then the payload
//! (containerd/nri `pkg/net/multiplex/mux.go`).

use super::{ConnId, MuxError};

/// Length of a frame header.
pub const HEADER_LEN: usize = 8;

/// The longest frame this side writes: one ttrpc message. `mux.go` has the same limit since NRI 0.7.
pub const MAX_WRITE: usize = TTRPC_HEADER_LEN + (4 << 20);

/// The longest frame this side accepts: what `mux.go` up to NRI 0.6 may send, and one ttrpc header.
pub const MAX_READ: u32 = (16 << 20) + 10;

/// The Go peer reads a ttrpc header through a `bufio.Reader` of this size, and its mux hands over a
/// frame whole or fails with ENOMEM.
pub const GO_BUFFER: usize = 4096;

/// Length of the header of a ttrpc message, which begins with the 32-bit length of the body.
const TTRPC_HEADER_LEN: usize = 10;

/// Builds the header of a frame.
pub(crate) fn header(conn: ConnId, length: u32) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..4].copy_from_slice(&conn.0.to_be_bytes());
    header[4..].copy_from_slice(&length.to_be_bytes());
    header
}

/// A run of payload bytes of one logical connection. Where a frame ends carries no meaning.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The logical connection the bytes belong to.
    pub conn: ConnId,
    /// Never empty.
    pub bytes: &'a [u8],
    /// Whether these are the first bytes of a frame.
    pub starts_frame: bool,
}

/// Cuts the trunk's byte stream into [`Piece`]s.
#[derive(Debug, Default)]
pub struct Decoder {
    header: [u8; HEADER_LEN],
    have: usize,
    payload: Option<(ConnId, u32)>,
    starts_frame: bool,
}

impl Decoder {
    /// Takes what it can from the front of `input`. `None` means that `input` is used up.
    ///
    /// # Errors
    ///
    /// [`MuxError::TooLong`] as soon as a header announces more than [`MAX_READ`]. The decoder is
    /// of no use afterwards: the stream cannot be resynchronized.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Piece<'a>>, MuxError> {
        while !input.is_empty() {
            let Some((conn, left)) = self.payload else {
                self.take_header(input)?;
                continue;
            };
            let length = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let (bytes, rest) = input.split_at(length);
            *input = rest;
            let left = left.saturating_sub(u32::try_from(length).unwrap_or(u32::MAX));
            self.payload = (left > 0).then_some((conn, left));
            let starts_frame = std::mem::take(&mut self.starts_frame);
            return Ok(Some(Piece { conn, bytes, starts_frame }));
        }
        Ok(None)
    }

    fn take_header(&mut self, input: &mut &[u8]) -> Result<(), MuxError> {
        let length = input.len().min(HEADER_LEN - self.have);
        let (bytes, rest) = input.split_at(length);
        self.header[self.have..self.have + length].copy_from_slice(bytes);
        self.have += length;
        *input = rest;
        if self.have < HEADER_LEN {
            return Ok(());
        }
        self.have = 0;
        let [c0, c1, c2, c3, l0, l1, l2, l3] = self.header;
        let conn = ConnId(u32::from_be_bytes([c0, c1, c2, c3]));
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        if length > MAX_READ {
            return Err(MuxError::TooLong { conn, length });
        }
        // An empty frame says nothing; above all it is no end of the stream.
        self.payload = (length > 0).then_some((conn, length));
        self.starts_frame = true;
        Ok(())
    }

    /// Whether the stream may end here.
    ///
    /// # Errors
    ///
    /// `MuxError::Truncated` inside a header or a payload.
    pub fn finish(&self) -> Result<(), MuxError> {
        match (self.payload, self.have) {
            (None, 0) => Ok(()),
            (None, have) => Err(MuxError::TruncatedHeader { have }),
            (Some((conn, missing)), _) => Err(MuxError::TruncatedPayload { conn, missing }),
        }
    }
}

/// Follows the ttrpc messages of one logical connection as they are written.
///
/// Holds: a frame that contains any byte of a ttrpc header is at most [`GO_BUFFER`] long, and a
/// longer frame does not reach past the end of the message it belongs to. With the writes of
/// ttrpc 0.10 (header with up to 4086 bytes of body, then the rest) every write becomes one frame.
#[derive(Debug, Default)]
pub struct Shaper {
    length: [u8; 4],
    have: usize,
    body_left: usize,
}

impl Shaper {
    /// How many of `wanted` bytes the next frame may take.
    #[must_use]
    pub fn allowed(&self, wanted: usize) -> usize {
        let within_body = if self.have == 0 { self.body_left } else { 0 };
        wanted.min(within_body.max(GO_BUFFER)).min(MAX_WRITE)
    }

    /// Takes note of a frame that was sent.
    pub fn sent(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let body = bytes.len().min(self.body_left);
            self.body_left -= body;
            bytes = &bytes[body..];
            let header = bytes.len().min(TTRPC_HEADER_LEN - self.have);
            for &byte in &bytes[..header] {
                if let Some(place) = self.length.get_mut(self.have) {
                    *place = byte;
                }
                self.have += 1;
            }
            bytes = &bytes[header..];
            if self.have == TTRPC_HEADER_LEN {
                self.have = 0;
                self.body_left = usize::try_from(u32::from_be_bytes(self.length)).unwrap_or(usize::MAX);
            }
        }
    }
}
