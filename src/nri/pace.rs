//! Requests are read no faster than their answers are taken.
//!
//! ttrpc 0.10 starts a task for each request that it reads, and those whose answers cannot leave pile up without a bound
//! (`asynchronous/server.rs`). So while an answer waits for the peer to read, no further request is read; those that it
//! sends all the same fill the buffers of the trunk, which is given up then (see [`super::mux`]).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection that is not read while a write waits. Both halves are polled from different tasks, through one lock of
/// [`tokio::io::split`].
#[derive(Debug)]
pub(crate) struct Paced<T> {
    inner: T,
    waiting: bool,
    reader: Option<Waker>,
}

impl<T> Paced<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, waiting: false, reader: None }
    }

    /// Notes how far a write came. One that failed is over as well: the reader is told by the connection itself.
    fn note<R>(&mut self, written: Poll<R>) -> Poll<R> {
        self.waiting = written.is_pending();
        if let (false, Some(reader)) = (self.waiting, self.reader.take()) {
            reader.wake();
        }
        written
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Paced<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.waiting {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Paced<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        self.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};
    use tokio::time::timeout;

    #[tokio::test(start_paused = true)]
    async fn nothing_is_read_while_a_write_waits_and_all_of_it_afterwards() {
        let (ours, mut theirs) = duplex(4);
        let (mut reader, mut writer) = split(Paced::new(ours));
        theirs.write_all(b"ask").await.unwrap_or_default();
        let answering = tokio::spawn(async move { writer.write_all(b"an answer").await.is_ok() });
        tokio::task::yield_now().await;
        let mut asked = [0; 3];
        let waited = timeout(Duration::from_secs(9), reader.read_exact(&mut asked)).await;
        assert!(waited.is_err(), "nobody takes the answer");
        let mut answer = [0; 9];
        let (read, _) = tokio::join!(reader.read_exact(&mut asked), theirs.read_exact(&mut answer));
        assert!(read.is_ok() && answering.await.unwrap_or_default());
        assert_eq!((&asked, &answer), (b"ask", b"an answer"));
    }
}
