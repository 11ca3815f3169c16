//! A stream that gives up on a peer that says nothing at first, or that stops reading.
#![expect(clippy::disallowed_methods, reason = "shell: wraps a socket with timers")]

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// Length of the HTTP/2 connection preface (RFC 9113 §3.4): from then on hyper watches the clock.
pub const OPENING_BYTES: usize = 24;

pin_project! {
    /// Fails the connection when its first [`OPENING_BYTES`] do not arrive within `opening`, or when a write makes
    /// no progress for `write_stall`. A peer that reads one byte a second makes progress and is served.
    ///
    /// The opening has a timer of its own because hyper's begins only once it knows which HTTP it speaks.
    pub struct Guarded<S> {
        #[pin]
        inner: S,
        unread: Bytes,
        #[pin]
        read_timer: Sleep,
        opening_bytes_left: usize,
        #[pin]
        write_timer: Sleep,
        write_is_stalled: bool,
        write_stall: Duration,
    }
}

impl<S> Guarded<S> {
    /// Wraps a stream that was accepted just now.
    pub fn new(inner: S, opening: Duration, write_stall: Duration) -> Self {
        Self {
            inner,
            unread: Bytes::new(),
            read_timer: tokio::time::sleep(opening),
            opening_bytes_left: OPENING_BYTES,
            write_timer: tokio::time::sleep(write_stall),
            write_is_stalled: false,
            write_stall,
        }
    }

    /// Puts back what was read, to be read before all else.
    pub fn unread(self: Pin<&mut Self>, bytes: Bytes) {
        *self.project().unread = bytes;
    }

    fn watch_write<T>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        poll: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let mut this = self.project();
        // Once there is something to say, the shortest of requests was complete.
        *this.opening_bytes_left = 0;
        if poll.is_ready() {
            *this.write_is_stalled = false;
            return poll;
        }
        if !*this.write_is_stalled {
            *this.write_is_stalled = true;
            this.write_timer.as_mut().reset(Instant::now() + *this.write_stall);
        }
        ready!(this.write_timer.poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer stopped reading")))
    }
}

impl<S: AsyncRead> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        if !this.unread.is_empty() {
            // It counted when it came.
            let again = this.unread.split_to(this.unread.len().min(buf.remaining()));
            buf.put_slice(&again);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let poll = this.inner.poll_read(cx, buf);
        if *this.opening_bytes_left > 0 {
            if poll.is_ready() {
                let read = buf.filled().len() - before;
                *this.opening_bytes_left = this.opening_bytes_left.saturating_sub(read);
            } else if this.read_timer.poll(cx).is_ready() {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer sent too little")));
            }
        }
        poll
    }
}

impl<S: AsyncWrite> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let poll = self.as_mut().project().inner.poll_write(cx, data);
        self.watch_write(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = self.as_mut().project().inner.poll_write_vectored(cx, slices);
        self.watch_write(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = self.as_mut().project().inner.poll_flush(cx);
        self.watch_write(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = self.as_mut().project().inner.poll_shutdown(cx);
        self.watch_write(cx, poll)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_too_little_is_given_up() {
        let (mut peer, ours) = duplex(64);
        let mut guarded = Box::pin(Guarded::new(ours, SECOND, SECOND));
        peer.write_all(&[0; OPENING_BYTES - 1]).await.unwrap();
        let error = guarded.read_exact(&mut [0; OPENING_BYTES]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_spoke_may_be_silent() {
        let (mut peer, ours) = duplex(64);
        let mut guarded = Box::pin(Guarded::new(ours, SECOND, SECOND));
        peer.write_all(&[0; OPENING_BYTES]).await.unwrap();
        guarded.read_exact(&mut [0; OPENING_BYTES]).await.unwrap();
        assert!(tokio::time::timeout(100 * SECOND, guarded.read_u8()).await.is_err(), "was given up");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_put_back_is_read_first_and_buys_no_time() {
        let (mut peer, ours) = duplex(64);
        let mut guarded = Box::pin(Guarded::new(ours, SECOND, SECOND));
        peer.write_all(b"abc").await.unwrap();
        let mut read = [0; 3];
        guarded.read_exact(&mut read).await.unwrap();
        guarded.as_mut().unread(Bytes::copy_from_slice(&read));
        peer.write_all(b"de").await.unwrap();
        let mut two = [0; 2];
        guarded.read_exact(&mut two).await.unwrap();
        let mut rest = [0; 3];
        guarded.read_exact(&mut rest).await.unwrap();
        assert_eq!((&two, &rest), (b"ab", b"cde"));
        // Five bytes came, however often they were read.
        guarded.as_mut().unread(Bytes::from_static(&[0; OPENING_BYTES]));
        guarded.read_exact(&mut [0; OPENING_BYTES]).await.unwrap();
        assert_eq!(guarded.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_stops_reading_is_given_up_and_a_slow_one_is_not() {
        let (mut peer, ours) = duplex(1);
        let mut guarded = Box::pin(Guarded::new(ours, SECOND, 3 * SECOND));
        let reader = tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(2 * SECOND).await;
                peer.read_u8().await.unwrap();
            }
            peer
        });
        guarded.write_all(&[0; 11]).await.unwrap();
        let _peer = reader.await.unwrap();
        let error = guarded.write_all(&[0; 2]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
