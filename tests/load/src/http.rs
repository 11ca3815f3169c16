//! Shell: HTTP/1.1 GETs on a connection that is kept, as cheap as they can be: the load shares the machine.

use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, bail};
use socket2::SockRef;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::TcpStream;

/// Read before the rest of a body is thrown away: any head fits in.
const HEAD: usize = 2048;
/// Thrown away at once.
const DISCARD: usize = 1 << 20;
/// `MSG_TRUNC` of Linux: TCP drops the bytes instead of copying them (tcp(7)).
const MSG_TRUNC: i32 = 0x20;

thread_local! {
    static SCRATCH: RefCell<Vec<MaybeUninit<u8>>> = RefCell::new(vec![MaybeUninit::uninit(); DISCARD]);
}

/// A connection.
pub(crate) struct Http {
    stream: TcpStream,
    to: SocketAddr,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// When its first byte had been read.
    pub(crate) first_byte: Instant,
    /// Bytes of the body.
    pub(crate) length: usize,
    /// The body, if it was to be kept.
    pub(crate) body: Vec<u8>,
}

impl Http {
    pub(crate) async fn connect(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, to })
    }

    /// Asks for `path`, and reads the whole answer.
    pub(crate) async fn get(&mut self, path: &str, keep: bool) -> anyhow::Result<Answer> {
        let encoding = if keep { "identity" } else { "gzip" };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: millrace-load\r\nAccept: */*\r\nAccept-Encoding: {encoding}\r\n\r\n",
            self.to
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.answer(keep).await.with_context(|| format!("GET {path}"))
    }

    async fn answer(&mut self, keep: bool) -> anyhow::Result<Answer> {
        let mut bytes = Vec::with_capacity(HEAD);
        let mut first_byte = None;
        let head = loop {
            self.stream.readable().await?;
            let before = bytes.len();
            match self.stream.try_read_buf(&mut bytes) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error.into()),
            }
            first_byte.get_or_insert_with(Instant::now);
            if let Some(at) =
                bytes[before.saturating_sub(3)..].windows(4).position(|four| four == b"\r\n\r\n")
            {
                break before.saturating_sub(3) + at + 4;
            }
        };
        let text = std::str::from_utf8(&bytes[..head])?;
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).context("no status")?;
        let length: usize = text
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, length)| length.parse().ok())
            .context("no length")?;
        let mut left = (head + length).checked_sub(bytes.len()).context("more than was asked for")?;
        if keep {
            bytes.reserve(left);
        }
        while left > 0 {
            self.stream.readable().await?;
            let read = if keep {
                self.stream.try_read_buf(&mut bytes)
            } else {
                self.stream.try_io(Interest::READABLE, || discard(&self.stream, left))
            };
            match read {
                Ok(0) => bail!("the server closed the connection"),
                Ok(count) => left = left.saturating_sub(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        let body = if keep { bytes.split_off(head) } else { Vec::new() };
        Ok(Answer { status, first_byte: first_byte.context("no answer")?, length, body })
    }
}

fn discard(stream: &TcpStream, left: usize) -> io::Result<usize> {
    SCRATCH.with_borrow_mut(|scratch| {
        SockRef::from(stream).recv_with_flags(&mut scratch[..left.min(DISCARD)], MSG_TRUNC)
    })
}
