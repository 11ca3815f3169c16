//! An RTMP publisher of our own on a raw socket, for what ffmpeg would never send.
//!
//! It shares no code with the server: handshake, chunk writing and reading are written here from the specification.

pub(crate) mod amf;
pub(crate) mod flv;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use amf::Amf;
use flv::Tag;

const HANDSHAKE: usize = 1536;
const OUR_CHUNK: u32 = 60_000;
/// Every answer of a healthy server comes within this.
const ANSWER: Duration = Duration::from_secs(10);

/// A message from the server.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) body: Vec<u8>,
}

/// Why the server refused, as the publisher sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) description: String,
}

/// A connection after the handshake.
pub(crate) struct Peer {
    out: OwnedWriteHalf,
    incoming: mpsc::UnboundedReceiver<Message>,
}

/// A socket from a chosen local address, before any byte.
pub(crate) async fn socket(from: Option<IpAddr>, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if let Some(address) = from {
        socket.bind(SocketAddr::new(address, 0))?;
    }
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// C0 and C1.
pub(crate) fn first_bytes() -> Vec<u8> {
    let mut bytes = vec![3];
    bytes.extend([0; 8]);
    bytes.extend((0..HANDSHAKE - 8).map(|i| (i % 251) as u8));
    bytes
}

impl Peer {
    /// Connects and shakes hands.
    pub(crate) async fn connect(to: SocketAddr) -> io::Result<Self> {
        Self::shake_hands(socket(None, to).await?).await
    }

    async fn shake_hands(mut stream: TcpStream) -> io::Result<Self> {
        stream.write_all(&first_bytes()).await?;
        let mut answer = vec![0; 1 + 2 * HANDSHAKE];
        stream.read_exact(&mut answer).await?;
        // C2 repeats S1.
        stream.write_all(&answer[1..=HANDSHAKE]).await?;
        let (reading, out) = stream.into_split();
        let (sender, incoming) = mpsc::unbounded_channel();
        tokio::spawn(read_messages(reading, sender));
        let mut peer = Self { out, incoming };
        peer.message(2, 1, 0, 0, &OUR_CHUNK.to_be_bytes()).await?;
        Ok(peer)
    }

    /// Sends bytes as they are.
    pub(crate) async fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes).await
    }

    /// Sends one message in chunks of [`OUR_CHUNK`], format 0 first.
    pub(crate) async fn message(
        &mut self,
        chunk_stream: u8,
        kind: u8,
        stream: u32,
        timestamp: u32,
        body: &[u8],
    ) -> io::Result<()> {
        self.out
            .write_all(&message_bytes(chunk_stream, kind, stream, timestamp, body, OUR_CHUNK as usize))
            .await
    }

    /// Sends a command on the control stream.
    pub(crate) async fn command(&mut self, stream: u32, values: &[Amf]) -> io::Result<()> {
        self.message(3, 20, stream, 0, &amf::write(values)).await
    }

    /// `connect`.
    pub(crate) async fn connect_app(&mut self, app: &str) -> io::Result<()> {
        let properties = vec![
            ("app", app.into()),
            ("type", "nonprivate".into()),
            ("flashVer", "FMLE/3.0 (compatible; millrace-e2e)".into()),
            ("tcUrl", Amf::Text(format!("rtmp://127.0.0.1/{app}"))),
        ];
        self.command(0, &["connect".into(), Amf::Number(1.0), Amf::Object(properties)]).await
    }

    /// From `connect` to the start of publishing, or why not.
    pub(crate) async fn publish(&mut self, app: &str, key: &str) -> Result<(), Refusal> {
        let lost = |error: io::Error| Refusal { code: "io".into(), description: error.to_string() };
        self.connect_app(app).await.map_err(lost)?;
        self.await_code("NetConnection.Connect.Success").await?;
        self.command(0, &["releaseStream".into(), Amf::Number(2.0), Amf::Null, key.into()])
            .await
            .map_err(lost)?;
        self.command(0, &["FCPublish".into(), Amf::Number(3.0), Amf::Null, key.into()])
            .await
            .map_err(lost)?;
        self.command(0, &["createStream".into(), Amf::Number(4.0), Amf::Null]).await.map_err(lost)?;
        let publish = ["publish".into(), Amf::Number(5.0), Amf::Null, key.into(), "live".into()];
        self.command(1, &publish).await.map_err(lost)?;
        self.await_code("NetStream.Publish.Start").await
    }

    /// Waits for a status with this code.
    pub(crate) async fn await_code(&mut self, code: &str) -> Result<(), Refusal> {
        match self.next_status().await {
            Some(status) if status.code == code => Ok(()),
            Some(status) => Err(status),
            None => Err(Refusal { code: "closed".into(), description: String::new() }),
        }
    }

    /// The next `onStatus` or `_error`/`_result` that carries a code; `None` when the server closed the connection.
    pub(crate) async fn next_status(&mut self) -> Option<Refusal> {
        loop {
            let message = timeout(ANSWER, self.incoming.recv()).await.expect("an answer or the end")?;
            if message.kind != 20 {
                continue;
            }
            let words = amf::strings(&message.body);
            // The companions of `onStatus` say nothing of their own.
            if words.first().is_some_and(|w| w.starts_with("onFC")) {
                continue;
            }
            let after =
                |name: &str| words.iter().position(|w| w == name).and_then(|i| words.get(i + 1)).cloned();
            if let Some(code) = after("code") {
                return Some(Refusal { code, description: after("description").unwrap_or_default() });
            }
        }
    }

    /// Waits until the server has closed the connection.
    pub(crate) async fn closed(&mut self, within: Duration) -> bool {
        let end = async { while self.incoming.recv().await.is_some() {} };
        timeout(within, end).await.is_ok()
    }

    /// Sends tags in real time: each at its own timestamp after now, under the timestamp that `written` gives it.
    pub(crate) async fn send(&mut self, tags: &[Tag], written: impl Fn(&Tag) -> u32) -> io::Result<()> {
        let start = Instant::now();
        let first = tags.first().map_or(0, |t| t.timestamp);
        for tag in tags {
            sleep_until(start + Duration::from_millis(u64::from(tag.timestamp.saturating_sub(first)))).await;
            let chunk_stream = if tag.kind == 9 { 6 } else { 4 };
            self.message(chunk_stream, tag.kind, 1, written(tag), &tag.body).await?;
        }
        Ok(())
    }

    /// Says goodbye as OBS does when a person presses stop.
    pub(crate) async fn unpublish(&mut self, key: &str) -> io::Result<()> {
        self.command(0, &["FCUnpublish".into(), Amf::Number(6.0), Amf::Null, key.into()]).await?;
        self.command(0, &["deleteStream".into(), Amf::Number(7.0), Amf::Null, Amf::Number(1.0)]).await
    }
}

/// One message as chunks.
pub(crate) fn message_bytes(
    chunk_stream: u8,
    kind: u8,
    stream: u32,
    timestamp: u32,
    body: &[u8],
    chunk: usize,
) -> Vec<u8> {
    let extended = timestamp >= 0x00ff_ffff;
    let field = if extended { 0x00ff_ffff } else { timestamp };
    let mut out = vec![chunk_stream];
    out.extend(&field.to_be_bytes()[1..]);
    out.extend(&u32::try_from(body.len()).unwrap().to_be_bytes()[1..]);
    out.push(kind);
    out.extend(stream.to_le_bytes());
    if extended {
        out.extend(timestamp.to_be_bytes());
    }
    for (index, piece) in body.chunks(chunk).enumerate() {
        if index > 0 {
            out.push(0xc0 | chunk_stream);
            if extended {
                out.extend(timestamp.to_be_bytes());
            }
        }
        out.extend(piece);
    }
    out
}

/// Reads whole messages until the connection ends. The server's chunks are read as it announces them.
async fn read_messages(mut reading: OwnedReadHalf, sender: mpsc::UnboundedSender<Message>) {
    let mut chunk = 128usize;
    // Per chunk stream: length, kind, whether the timestamp is extended, bytes so far.
    let mut streams: std::collections::HashMap<u32, (usize, u8, bool, Vec<u8>)> =
        std::collections::HashMap::new();
    loop {
        let Ok(message) = read_chunk(&mut reading, &mut streams, chunk).await else { return };
        let Some(message) = message else { continue };
        if message.kind == 1 && message.body.len() == 4 {
            chunk = u32::from_be_bytes(message.body[..4].try_into().unwrap()) as usize;
        }
        if sender.send(message).is_err() {
            return;
        }
    }
}

async fn read_chunk(
    reading: &mut OwnedReadHalf,
    streams: &mut std::collections::HashMap<u32, (usize, u8, bool, Vec<u8>)>,
    chunk: usize,
) -> io::Result<Option<Message>> {
    let first = reading.read_u8().await?;
    let id = match first & 0x3f {
        0 => u32::from(reading.read_u8().await?) + 64,
        1 => u32::from(reading.read_u16_le().await?) + 64,
        id => u32::from(id),
    };
    let state = streams.entry(id).or_default();
    let format = first >> 6;
    if format < 3 {
        let mut time = [0; 3];
        reading.read_exact(&mut time).await?;
        state.2 = time == [0xff; 3];
        if format < 2 {
            let mut rest = [0; 4];
            reading.read_exact(&mut rest).await?;
            state.0 = usize::from(rest[0]) << 16 | usize::from(rest[1]) << 8 | usize::from(rest[2]);
            state.1 = rest[3];
        }
        if format == 0 {
            reading.read_u32_le().await?;
        }
    }
    if state.2 {
        reading.read_u32().await?;
    }
    let take = chunk.min(state.0 - state.3.len());
    let from = state.3.len();
    state.3.resize(from + take, 0);
    reading.read_exact(&mut state.3[from..]).await?;
    if state.3.len() < state.0 {
        return Ok(None);
    }
    Ok(Some(Message { kind: state.1, body: std::mem::take(&mut state.3) }))
}
