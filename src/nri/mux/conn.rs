//! One logical connection: the incoming buffer between [`super::Mux`] and its reader, and the
//! byte-stream face that ttrpc uses.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frame::Shaper;
use super::trunk::Trunk;
use super::{CONN_BUFFER, ConnId};

/// How a logical connection ended.
#[derive(Debug, Clone)]
pub(super) enum End {
    /// The trunk ended between two frames, or was closed on this side.
    Clean,
    /// The trunk failed.
    Failed(String),
}

/// The incoming side, shared by the mux (which fills it) and the connection (which empties it).
#[derive(Debug, Default)]
pub(super) struct Slot(Mutex<Inbox>);

#[derive(Debug, Default)]
struct Inbox {
    bytes: VecDeque<u8>,
    reader: Option<Waker>,
    filler: Option<Waker>,
    end: Option<End>,
    abandoned: bool,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        // No code that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes bytes up to the bound and gives back the rest.
    pub(super) fn push<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let mut inbox = self.lock();
        if inbox.abandoned {
            return bytes;
        }
        let room = CONN_BUFFER.saturating_sub(inbox.bytes.len());
        let (taken, rest) = bytes.split_at(bytes.len().min(room));
        inbox.bytes.extend(taken);
        let reader = inbox.reader.take();
        drop(inbox);
        wake(reader);
        rest
    }

    /// Ready when there is room worth a wakeup, or nobody is left to read.
    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inbox = self.lock();
        if inbox.abandoned || inbox.has_room() {
            return Poll::Ready(());
        }
        inbox.filler = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn is_open(&self) -> bool {
        !self.lock().abandoned
    }

    /// Records the end; the first one counts. What has arrived stays readable.
    pub(super) fn end(&self, end: End) {
        let mut inbox = self.lock();
        inbox.end.get_or_insert(end);
        let reader = inbox.reader.take();
        drop(inbox);
        wake(reader);
    }

    fn abandon(&self) {
        let mut inbox = self.lock();
        inbox.abandoned = true;
        inbox.bytes = VecDeque::new();
        let filler = inbox.filler.take();
        drop(inbox);
        wake(filler);
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inbox = self.lock();
        if inbox.bytes.is_empty() {
            return inbox.poll_end(cx);
        }
        let front = inbox.bytes.as_slices().0;
        let length = front.len().min(buf.remaining());
        buf.put_slice(&front[..length]);
        inbox.bytes.drain(..length);
        let filler = inbox.has_room().then(|| inbox.filler.take()).flatten();
        drop(inbox);
        wake(filler);
        Poll::Ready(Ok(()))
    }
}

impl Inbox {
    /// Half empty, so that filler and reader take turns in large steps.
    fn has_room(&self) -> bool {
        self.bytes.len() <= CONN_BUFFER / 2
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.end {
            Some(End::Clean) => Poll::Ready(Ok(())),
            Some(End::Failed(cause)) => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, cause.clone())))
            }
            None => {
                self.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// Wakes outside of any lock.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// One logical connection as a byte stream.
///
/// Every write becomes one frame, or fewer bytes are taken than offered when the peer could not
/// read that frame. Shutting it down says nothing to the peer: the protocol has no such frame.
#[derive(Debug)]
pub struct MuxConn {
    conn: ConnId,
    slot: Arc<Slot>,
    trunk: Arc<Trunk>,
    shaper: Shaper,
    place: usize,
}

impl MuxConn {
    pub(super) fn new(conn: ConnId, slot: Arc<Slot>, trunk: Arc<Trunk>) -> Self {
        let place = trunk.join();
        Self { conn, slot, trunk, shaper: Shaper::default(), place }
    }

    /// The number of this connection on the trunk.
    #[must_use]
    pub fn id(&self) -> ConnId {
        self.conn
    }
}

impl Drop for MuxConn {
    fn drop(&mut self) {
        self.slot.abandon();
    }
}

impl AsyncRead for MuxConn {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.slot.poll_read(cx, buf)
    }
}

impl AsyncWrite for MuxConn {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let payload = &buf[..this.shaper.allowed(buf.len())];
        if payload.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let written = this.trunk.poll_frame(cx, this.place, this.conn, payload);
        if let Poll::Ready(Ok(())) = written {
            this.shaper.sent(payload);
        }
        written.map_ok(|()| payload.len())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.trunk.poll_flush(cx, self.place)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}
