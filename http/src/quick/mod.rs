//! HTTP/1.1 for requests that a [`Front`] takes, without a library's general case.
//!
//! Most connections of viewers, and of caches in front of them, carry nothing but plain `GET`s of media. They are read
//! and answered here: an answer is one write of its head and of its body where it lies. With the first request that is
//! anything else, complete or not, the connection goes to hyper with the bytes that were read, and stays there.
//!
//! The limits are hyper's and [`Guarded`]'s: the time for a head, which is also how long a connection may be idle; the
//! time a write may stall; and that a peer who leaves while it waits is noticed. A head that does not come in one read,
//! or is longer than [`INPUT_BYTES`], is hyper's to bound.
#![expect(clippy::disallowed_methods, reason = "shell: sockets, timers, and the time in each answer")]

mod date;
mod head;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use axum::http::Response;
use bytes::{Buf, Bytes, BytesMut};
use hyper::body::Body;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;
use tokio_util::io::{poll_read_buf, poll_write_buf};
use tokio_util::sync::CancellationToken;

use crate::front::{self, Front, FrontBody};
use crate::guard::Guarded;
use head::{Framing, Plain};

/// Room for what is read at once. Requests of browsers have some hundred bytes.
const INPUT_BYTES: usize = 2048;
/// Room for the head of an answer.
const HEAD_BYTES: usize = 1024;

/// How it ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// There is nothing more to say.
    Closed,
    /// These bytes are no request for here, or not only; the connection is open.
    Other(Bytes),
}

/// Answers what `front` takes until something else comes, the peer leaves, or `shutdown`.
///
/// # Errors
/// The connection broke, or the peer kept it waiting for `idle`.
pub(crate) async fn serve<S, F>(
    mut stream: Pin<&mut Guarded<S>>,
    peer: SocketAddr,
    front: &F,
    idle: Duration,
    shutdown: &CancellationToken,
) -> io::Result<Ended>
where
    S: AsyncRead + AsyncWrite,
    F: Front,
{
    let mut input = BytesMut::new();
    let mut timer = pin!(tokio::time::sleep(idle));
    let mut stopping = pin!(shutdown.cancelled());
    loop {
        if input.is_empty() {
            // What the last request was read from is free again.
            input.reserve(INPUT_BYTES);
            timer.as_mut().reset(Instant::now() + idle);
            let more = poll_fn(|cx| {
                if let Poll::Ready(read) = poll_input(stream.as_mut(), cx, &mut input) {
                    return Poll::Ready(read);
                }
                if timer.as_mut().poll(cx).is_ready() {
                    let error = io::Error::new(io::ErrorKind::TimedOut, "the peer asked for nothing");
                    return Poll::Ready(Err(error));
                }
                stopping.as_mut().poll(cx).map(|()| Ok(0))
            });
            if more.await? == 0 {
                let _ = stream.shutdown().await;
                return Ok(Ended::Closed);
            }
        }
        let read = input.split().freeze();
        let Some(Plain { request, length }) = head::read(&read, |method, uri| front.takes(method, uri))
        else {
            return Ok(Ended::Other(read));
        };
        // Pipelined requests, as a rule none.
        input.extend_from_slice(&read[length..]);
        drop(read);
        let answer = {
            let mut answer = pin!(front::answer(front, request, peer));
            poll_fn(|cx| {
                if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                    return Poll::Ready(Some(answer));
                }
                // Who leaves while it waits holds no place any more.
                match input.is_empty().then(|| poll_input(stream.as_mut(), cx, &mut input)) {
                    Some(Poll::Ready(Ok(0) | Err(_))) => Poll::Ready(None),
                    _ => Poll::Pending,
                }
            })
            .await
        };
        let Some(answer) = answer else { return Ok(Ended::Closed) };
        if send(stream.as_mut(), answer, shutdown.is_cancelled()).await? {
            let _ = stream.shutdown().await;
            return Ok(Ended::Closed);
        }
    }
}

/// Reads what there is, and says how many bytes came.
fn poll_input(
    stream: Pin<&mut impl AsyncRead>,
    cx: &mut Context<'_>,
    input: &mut BytesMut,
) -> Poll<io::Result<usize>> {
    if input.capacity() == input.len() {
        input.reserve(INPUT_BYTES);
    }
    poll_read_buf(stream, cx, input)
}

/// Sends an answer, whole. Answers whether the connection ends with it.
async fn send<S, B>(
    mut stream: Pin<&mut Guarded<S>>,
    answer: Response<FrontBody<B>>,
    mut last: bool,
) -> io::Result<bool>
where
    S: AsyncRead + AsyncWrite,
    B: Body<Error = Infallible> + Unpin,
{
    let (answer, mut body) = answer.into_parts();
    let length = body.size_hint().exact();
    last |= length.is_none();
    let mut out = Vec::with_capacity(HEAD_BYTES);
    date::with(SystemTime::now(), |date| {
        head::write(&mut out, answer.status, &answer.headers, &Framing { length, last, date });
    });
    let mut out = &out[..];
    if length != Some(0) && head::has_body(answer.status) {
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            if let Ok(piece) = frame.map_err(io::Error::other)?.into_data() {
                // The head leaves with the first piece.
                write(stream.as_mut(), std::mem::take(&mut out).chain(piece)).await?;
            }
        }
    }
    write(stream.as_mut(), out).await?;
    stream.flush().await?;
    Ok(last)
}

async fn write(mut stream: Pin<&mut impl AsyncWrite>, mut bytes: impl Buf) -> io::Result<()> {
    while bytes.has_remaining() {
        if poll_fn(|cx| poll_write_buf(stream.as_mut(), cx, &mut bytes)).await? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}
