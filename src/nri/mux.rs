//! The trunk: one byte stream that carries the logical connections of NRI.
//!
//! Owns the trunk in both directions and what is on its way to each logical connection. Promises:
//! every byte arrives once and in order on the connection it was sent on; every frame written can be
//! read by the Go peer (see [`frame::Shaper`]); memory per logical connection is bounded by
//! [`CONN_BUFFER`], whatever a frame header announces; when the trunk ends, every logical connection
//! ends. Knows nothing of what the bytes mean, except for the length field of ttrpc messages, which
//! the frame rules depend on. Spawns nothing: [`Mux::run`] moves incoming bytes, outgoing ones are
//! written by whoever writes.
//!
//! A logical connection that nobody reads holds the others up once its buffer is full; after
//! [`STALL_LIMIT`] the trunk is given up. (The Go side drops the trunk at 256 unread frames.)

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

mod conn;
pub mod frame;
mod trunk;

#[cfg(test)]
mod tests;

pub use conn::MuxConn;
use conn::{End, Slot};
use frame::Decoder;
use trunk::Trunk;

/// Unread bytes a logical connection holds before the trunk is no longer read. Large enough for
/// any event in one go; pieces of a big `Synchronize` flow through it.
pub const CONN_BUFFER: usize = 256 << 10;

/// How long a full logical connection may hold up the others.
pub const STALL_LIMIT: Duration = Duration::from_secs(30);

/// Bytes asked for in one read of the trunk: a few ordinary events with their headers.
const READ_BUFFER: usize = 64 << 10;

/// The number of a logical connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u32);

impl ConnId {
    /// The plugin serves, the runtime calls.
    pub const PLUGIN: Self = Self(1);
    /// The runtime serves, the plugin calls.
    pub const RUNTIME: Self = Self(2);
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Why the trunk cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MuxError {
    /// Connection id 0 is reserved by the protocol.
    #[error("open connection 0: the id is reserved")]
    Reserved,
    /// A logical connection has one owner.
    #[error("open connection {conn}: it is open already")]
    AlreadyOpen {
        /// The id asked for twice.
        conn: ConnId,
    },
    /// The peer announced a frame longer than [`frame::MAX_READ`].
    #[error(
        "read trunk: frame of {length} bytes for connection {conn}, the limit is {limit}",
        limit = frame::MAX_READ
    )]
    TooLong {
        /// The connection id in the header.
        conn: ConnId,
        /// The payload length in the header.
        length: u32,
    },
    /// The stream ended inside a frame header.
    #[error("read trunk: end of stream after {have} bytes of a frame header of 8")]
    TruncatedHeader {
        /// Header bytes that did arrive.
        have: usize,
    },
    /// The stream ended inside a payload.
    #[error("read trunk: end of stream inside a frame for connection {conn}, {missing} bytes short")]
    TruncatedPayload {
        /// The connection id in the header.
        conn: ConnId,
        /// Payload bytes that did not arrive.
        missing: u32,
    },
    /// Nobody read a logical connection for [`STALL_LIMIT`].
    #[error("read trunk: connection {conn} has {CONN_BUFFER} unread bytes and nobody reads them")]
    Stalled {
        /// The connection with the full buffer.
        conn: ConnId,
    },
    /// Reading the trunk failed.
    #[error("read trunk")]
    Read {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Writing to the trunk failed.
    #[error("write trunk")]
    Write {
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl MuxError {
    /// Whether the peer closed its socket, told by a write or reset instead of an end of stream.
    #[must_use]
    pub fn is_hang_up(&self) -> bool {
        match self {
            Self::Read { source } | Self::Write { source } => {
                matches!(source.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
            }
            _ => false,
        }
    }
}

/// The multiplexer of one trunk, in charge of reading it.
///
/// Holds: dropping it, or the future of [`Mux::run`], closes the trunk and ends every logical
/// connection.
pub struct Mux<R> {
    reader: R,
    trunk: Arc<Trunk>,
    slots: Vec<(ConnId, Arc<Slot>)>,
    decoder: Decoder,
}

impl<R> fmt::Debug for Mux<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conns = self.slots.iter().map(|(conn, _)| conn);
        f.debug_list().entries(conns).finish()
    }
}

/// Counts of one trunk; stays readable after the trunk ended.
#[derive(Debug, Clone)]
pub struct MuxStats(Arc<Trunk>);

impl MuxStats {
    /// Frames that arrived for a connection nobody has open.
    #[must_use]
    pub fn dropped_frames(&self) -> u64 {
        self.0.dropped_frames()
    }
}

impl<R: AsyncRead + Unpin> Mux<R> {
    /// Takes both directions of a trunk. Nothing is read or written yet.
    pub fn new(reader: R, writer: impl AsyncWrite + Send + 'static) -> Self {
        Self { reader, trunk: Arc::new(Trunk::new(Box::pin(writer))), slots: Vec::new(), decoder: Decoder::default() }
    }

    /// Opens a logical connection. Frames that come before are dropped, so open all of them before
    /// [`Mux::run`].
    ///
    /// # Errors
    ///
    /// [`MuxError::Reserved`] for id 0, [`MuxError::AlreadyOpen`] for an id that is open.
    pub fn open(&mut self, conn: ConnId) -> Result<MuxConn, MuxError> {
        if conn.0 == 0 {
            return Err(MuxError::Reserved);
        }
        if self.slots.iter().any(|(open, _)| *open == conn) {
            return Err(MuxError::AlreadyOpen { conn });
        }
        let slot = Arc::new(Slot::default());
        self.slots.push((conn, Arc::clone(&slot)));
        Ok(MuxConn::new(conn, slot, Arc::clone(&self.trunk)))
    }

    /// A view of this trunk's counts.
    #[must_use]
    pub fn stats(&self) -> MuxStats {
        MuxStats(Arc::clone(&self.trunk))
    }

    /// Reads the trunk until it ends, between two frames.
    ///
    /// # Errors
    ///
    /// Any [`MuxError`] about reading and writing. The logical connections have then failed with
    /// the same text.
    pub async fn run(mut self) -> Result<(), MuxError> {
        let result = self.drive().await;
        self.end(match &result {
            Ok(()) => End::Clean,
            Err(error) => End::Failed(error.to_string()),
        });
        result
    }

    async fn drive(&mut self) -> Result<(), MuxError> {
        let mut buffer = vec![0; READ_BUFFER];
        loop {
            let length = poll_fn(|cx| self.poll_trunk(cx, &mut buffer)).await?;
            if length == 0 {
                return self.decoder.finish();
            }
            self.deliver(&buffer[..length]).await?;
        }
    }

    /// Reads; and on the way pushes out what a writer could not finish and may never come back for.
    fn poll_trunk(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, MuxError>> {
        if let Err(source) = self.trunk.poll_leftover(cx) {
            return Poll::Ready(Err(MuxError::Write { source }));
        }
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.reader).poll_read(cx, &mut buffer)).map_err(|source| MuxError::Read { source })?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    async fn deliver(&mut self, mut input: &[u8]) -> Result<(), MuxError> {
        while let Some(piece) = self.decoder.next(&mut input)? {
            let slot = self.slots.iter().find(|(conn, _)| *conn == piece.conn);
            let mut bytes = piece.bytes;
            if let Some((_, slot)) = slot {
                bytes = slot.push(bytes);
                while slot.is_open() && !bytes.is_empty() {
                    tokio::time::timeout(STALL_LIMIT, poll_fn(|cx| slot.poll_room(cx)))
                        .await
                        .map_err(|_elapsed| MuxError::Stalled { conn: piece.conn })?;
                    bytes = slot.push(bytes);
                }
            }
            if !bytes.is_empty() && piece.starts_frame {
                self.trunk.count_dropped_frame(piece.conn);
            }
        }
        Ok(())
    }
}

impl<R> Mux<R> {
    fn end(&self, end: End) {
        self.trunk.close();
        for (_, slot) in &self.slots {
            slot.end(end.clone());
        }
    }
}

impl<R> Drop for Mux<R> {
    fn drop(&mut self) {
        self.end(End::Clean);
    }
}
