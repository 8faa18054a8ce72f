//! The writing half of the trunk, shared by all logical connections.
//!
//! Promises: frames of different connections never mix; a frame that was begun is finished before
//! the next one, even if its writer is gone. Header and payload go out in one vectored write, so a
//! small answer costs one system call.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};

use tokio::io::AsyncWrite;

use super::ConnId;
use super::frame::{self, HEADER_LEN};

type Writer = Pin<Box<dyn AsyncWrite + Send>>;

/// The mux itself waits at this place to finish begun frames.
const FILLER_PLACE: usize = 0;

pub(super) struct Trunk {
    outgoing: Mutex<Outgoing>,
    waiting: Arc<Waiting>,
    waker: Waker,
    dropped: AtomicU64,
}

impl fmt::Debug for Trunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trunk").field("dropped", &self.dropped).finish_non_exhaustive()
    }
}

struct Outgoing {
    /// `None` once closed.
    writer: Option<Writer>,
    /// The end of a frame the system took only a part of.
    leftover: Vec<u8>,
    leftover_sent: usize,
    failure: Option<io::Error>,
}

/// Everybody who waits for the trunk to become writable. A socket remembers one waker only, so it
/// gets a waker that wakes all.
struct Waiting(Mutex<Vec<Option<Waker>>>);

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Vec<Option<Waker>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, place: usize, cx: &Context<'_>) {
        if let Some(slot) = self.lock().get_mut(place) {
            match slot {
                Some(waker) if waker.will_wake(cx.waker()) => {}
                _ => *slot = Some(cx.waker().clone()),
            }
        }
    }

    fn forget(&self, place: usize) {
        if let Some(slot) = self.lock().get_mut(place) {
            *slot = None;
        }
    }

    fn wake_place(&self, place: usize) {
        let waker = self.lock().get_mut(place).and_then(Option::take);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn wake_all(&self) {
        let wakers: Vec<_> = self.lock().iter_mut().filter_map(Option::take).collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

impl Trunk {
    pub(super) fn new(writer: Writer) -> Self {
        let waiting = Arc::new(Waiting(Mutex::new(vec![None])));
        Self {
            outgoing: Mutex::new(Outgoing {
                writer: Some(writer),
                leftover: Vec::new(),
                leftover_sent: 0,
                failure: None,
            }),
            waker: Waker::from(Arc::clone(&waiting)),
            waiting,
            dropped: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Outgoing> {
        self.outgoing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a writer its place among the waiting.
    pub(super) fn join(&self) -> usize {
        let mut waiting = self.waiting.lock();
        waiting.push(None);
        waiting.len() - 1
    }

    /// Writes one frame. Ready means that the trunk owns all of it, not that it has left.
    pub(super) fn poll_frame(
        &self,
        cx: &mut Context<'_>,
        place: usize,
        conn: ConnId,
        payload: &[u8],
    ) -> Poll<io::Result<()>> {
        self.waiting.register(place, cx);
        let mut outgoing = self.lock();
        let polled = outgoing.poll_frame(&mut Context::from_waker(&self.waker), conn, payload);
        let finisher = !outgoing.leftover.is_empty() || outgoing.failure.is_some();
        drop(outgoing);
        if polled.is_ready() {
            self.waiting.forget(place);
        }
        if finisher {
            self.waiting.wake_place(FILLER_PLACE);
        }
        polled
    }

    pub(super) fn poll_flush(&self, cx: &mut Context<'_>, place: usize) -> Poll<io::Result<()>> {
        self.waiting.register(place, cx);
        let polled = self.lock().poll_flush(&mut Context::from_waker(&self.waker));
        if polled.is_ready() {
            self.waiting.forget(place);
        }
        polled
    }

    /// Finishes a begun frame as far as possible now, and comes back when more is.
    ///
    /// # Errors
    ///
    /// The error that made the trunk unusable for writing.
    pub(super) fn poll_leftover(&self, cx: &Context<'_>) -> io::Result<()> {
        self.waiting.register(FILLER_PLACE, cx);
        let mut outgoing = self.lock();
        if !outgoing.leftover.is_empty() {
            // The outcome is kept in `failure`; pending means that the waker is registered.
            let _ready = outgoing.poll_leftover(&mut Context::from_waker(&self.waker));
        }
        outgoing.failure.take().map_or(Ok(()), Err)
    }

    /// Closes this direction; the other end sees the end of the stream.
    pub(super) fn close(&self) {
        let writer = self.lock().writer.take();
        drop(writer);
        self.waiting.wake_all();
    }

    pub(super) fn count_dropped_frame(&self, conn: ConnId) {
        if self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
            log::debug!("nri trunk: frame for connection {conn}, which is not open: dropped");
        }
    }

    pub(super) fn dropped_frames(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the trunk is closed")
}

impl Outgoing {
    fn poll_frame(&mut self, cx: &mut Context<'_>, conn: ConnId, payload: &[u8]) -> Poll<io::Result<()>> {
        ready!(self.poll_leftover(cx))?;
        let Ok(length) = u32::try_from(payload.len()) else {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        };
        let header = frame::header(conn, length);
        let slices = [IoSlice::new(&header), IoSlice::new(payload)];
        let sent = ready!(self.poll_write(cx, &slices))?;
        if sent < HEADER_LEN {
            self.leftover.extend_from_slice(&header[sent..]);
        }
        self.leftover.extend_from_slice(&payload[sent.saturating_sub(HEADER_LEN).min(payload.len())..]);
        if !self.leftover.is_empty() {
            // Most often all of it can leave at once; if not, the waker is registered.
            let _pending = self.poll_leftover(cx)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_leftover(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.leftover_sent < self.leftover.len() {
            let leftover = std::mem::take(&mut self.leftover);
            let polled = self.poll_write(cx, &[IoSlice::new(&leftover[self.leftover_sent..])]);
            self.leftover = leftover;
            self.leftover_sent += ready!(polled)?;
        }
        // Not kept for the next time: a leftover is rare, and may have been 4 MiB.
        self.leftover = Vec::new();
        self.leftover_sent = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_leftover(cx))?;
        match &mut self.writer {
            Some(writer) => writer.as_mut().poll_flush(cx),
            None => Poll::Ready(Err(closed())),
        }
    }

    /// At least one byte, or an error after which the trunk cannot be written to.
    fn poll_write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let Some(writer) = &mut self.writer else {
            return Poll::Ready(Err(closed()));
        };
        let error = match ready!(writer.as_mut().poll_write_vectored(cx, slices)) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(sent) => return Poll::Ready(Ok(sent)),
            Err(error) => error,
        };
        // A frame may have been cut in two, after which nothing can be sent on this trunk.
        self.failure = Some(io::Error::new(error.kind(), error.to_string()));
        self.writer = None;
        Poll::Ready(Err(error))
    }
}
