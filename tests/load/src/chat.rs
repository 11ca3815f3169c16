//! Shell: people in chat rooms, and the bare broadcaster that a chat server is measured against.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, sleep_until};

use crate::proc::{cpu_seconds, resident_bytes};
use crate::rtmp_peer::socket;
use crate::summary::millis;

/// Sockets of one address.
const PER_ADDRESS: usize = 5_000;
/// Sockets that are being opened at once.
const OPENING: usize = 200;
/// What the server has to settle.
const SETTLE: Duration = Duration::from_secs(2);
/// Only so many of the sockets look at the clock.
const SAMPLED: usize = 20;
/// What a message of ours begins with in its frame.
const MARK: &[u8] = b"\"text\":\"t";

/// What to do.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) rooms: usize,
    pub(crate) sockets: usize,
    /// Messages per second in each room.
    pub(crate) rate: f64,
    pub(crate) seconds: u64,
    /// All sockets are closed and opened again at the end.
    pub(crate) storm: bool,
}

/// Whom to ask.
pub(crate) struct Server {
    pub(crate) http: SocketAddr,
    pub(crate) pid: u32,
    /// Of somebody who may speak in every room.
    pub(crate) token: String,
}

/// What sockets have seen.
#[derive(Default)]
struct Seen {
    frames: u64,
    messages: u64,
    latencies: Vec<Duration>,
    closed: u64,
}

/// Talks in rooms `load_0`, `load_1`, … of a server.
pub(crate) async fn run(plan: Plan, server: &Server) -> anyhow::Result<Value> {
    let zero = Instant::now();
    let idle = resident_bytes(server.pid)?;
    let seen = Rc::new(RefCell::new(Seen::default()));
    let opening = Instant::now();
    let before_opening = cpu_seconds(&server.pid.to_string())?;
    let mut listening = listen(&plan, server, &seen, zero).await?;
    let open_s = opening.elapsed().as_secs_f64();
    let open_cpu_s = cpu_seconds(&server.pid.to_string())? - before_opening;
    sleep(SETTLE).await;
    let resident = resident_bytes(server.pid)?;
    let mut speakers = Vec::new();
    for room in 0..plan.rooms {
        speakers.push(connect(server, 0, room, Some(&server.token)).await?);
    }
    *seen.borrow_mut() = Seen::default();
    let (begin, cpu) = (Instant::now(), cpu_seconds(&server.pid.to_string())?);
    let until = begin + Duration::from_secs(plan.seconds);
    let mut speaking = JoinSet::new();
    for (room, speaker) in speakers.into_iter().enumerate() {
        let phase = Duration::from_secs_f64(1.0 / plan.rate).mul_f64(room as f64 / plan.rooms as f64);
        speaking.spawn_local(speak(speaker, plan.rate, begin + phase, until, zero));
    }
    let mut said = 0;
    while let Some(done) = speaking.join_next().await {
        said += done??;
    }
    sleep(Duration::from_millis(500)).await;
    let cpu = cpu_seconds(&server.pid.to_string())? - cpu;
    let result = std::mem::take(&mut *seen.borrow_mut());
    let mut report = json!({
        "sockets": plan.sockets, "rooms": plan.rooms, "said": said, "frames": result.frames,
        "deliveries": result.messages, "expected": said * (plan.sockets / plan.rooms) as u64, "closed": result.closed,
        "cpu_s": cpu, "deliveries_per_cpu_s": result.messages as f64 / cpu.max(0.01), "latency_ms": millis(result.latencies),
        "resident_idle": idle, "resident_open": resident,
        "bytes_per_socket": resident.saturating_sub(idle) as f64 / plan.sockets as f64,
        "open_s": open_s, "open_cpu_s": open_cpu_s,
    });
    if plan.storm {
        listening.shutdown().await;
        sleep(SETTLE).await;
        let storm = Instant::now();
        let again = listen(&plan, server, &seen, zero).await?;
        report["storm_s"] = storm.elapsed().as_secs_f64().into();
        drop(again);
    }
    Ok(report)
}

/// The same against a bare broadcaster in a process of its own.
pub(crate) async fn run_floor(plan: Plan) -> anyhow::Result<Value> {
    let mut child: Child = Command::new(std::env::current_exe()?)
        .arg("chat-floor")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take().context("no output")?;
    let line = BufReader::new(stdout).lines().next_line().await?.context("the floor says nothing")?;
    let pid = child.id().context("the floor is gone")?;
    run(plan, &Server { http: line.parse()?, pid, token: String::new() }).await
}

/// Opens all sockets; each reads until it is dropped.
async fn listen(
    plan: &Plan,
    server: &Server,
    seen: &Rc<RefCell<Seen>>,
    zero: Instant,
) -> anyhow::Result<JoinSet<()>> {
    let mut listening = JoinSet::new();
    for first in (0..plan.sockets).step_by(OPENING) {
        let mut opening = JoinSet::new();
        for index in first..(first + OPENING).min(plan.sockets) {
            let (http, pid) = (server.http, server.pid);
            let room = index % plan.rooms;
            opening.spawn_local(async move {
                connect(&Server { http, pid, token: String::new() }, index, room, None).await
            });
        }
        let mut index = first;
        while let Some(stream) = opening.join_next().await {
            let sampled = index % SAMPLED == 0;
            listening.spawn_local(read(stream??, Rc::clone(seen), sampled, zero));
            index += 1;
        }
    }
    Ok(listening)
}

/// A socket that has been welcomed.
async fn connect(
    server: &Server,
    index: usize,
    room: usize,
    token: Option<&str>,
) -> anyhow::Result<TcpStream> {
    let host = u8::try_from(2 + index / PER_ADDRESS)?;
    let mut stream = socket(Some(IpAddr::V4(Ipv4Addr::new(127, 0, 2, host))), server.http).await?;
    stream.set_nodelay(true)?;
    let authorization = match token {
        Some(token) if !token.is_empty() => format!("Authorization: Bearer {token}\r\n"),
        _ => String::new(),
    };
    let request = format!(
        "GET /chat/v1/load_{room} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: millrace.chat.v1\r\n{authorization}\r\n",
        server.http
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < 4_096, "no end of the head");
        head.push(stream.read_u8().await?);
    }
    ensure!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    write(&mut stream, br#"{"type":"hello"}"#).await?;
    let welcome = frame(&mut stream).await?;
    ensure!(welcome.starts_with(br#"{"type":"welcome""#), "{}", String::from_utf8_lossy(&welcome));
    Ok(stream)
}

/// One text frame of a client; the mask is all zeros (RFC 6455 §5.3), which costs a server the same.
async fn write(stream: &mut TcpStream, text: &[u8]) -> anyhow::Result<()> {
    let mut bytes = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(short) if short < 126 => bytes.push(0x80 | short),
        _ => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(text.len())?.to_be_bytes());
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(text);
    Ok(stream.write_all(&bytes).await?)
}

/// The payload of the next frame.
async fn frame(stream: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut head = [0; 2];
    stream.read_exact(&mut head).await?;
    let length = match head[1] & 0x7f {
        126 => u64::from(stream.read_u16().await?),
        127 => stream.read_u64().await?,
        short => short.into(),
    };
    let mut payload = vec![0; usize::try_from(length)?];
    stream.read_exact(&mut payload).await?;
    if head[0] & 0x0f == 8 {
        bail!("closed: {}", String::from_utf8_lossy(payload.get(2..).unwrap_or_default()));
    }
    Ok(payload)
}

/// Reads as little as can be: what arrives is searched for marks, whatever its frames.
async fn read(mut stream: TcpStream, seen: Rc<RefCell<Seen>>, sampled: bool, zero: Instant) {
    if sampled {
        while let Ok(payload) = frame(&mut stream).await {
            let mut seen = seen.borrow_mut();
            seen.frames += 1;
            for at in marks(&payload) {
                seen.messages += 1;
                let digits = payload[at..].iter().take_while(|byte| byte.is_ascii_digit());
                let sent: u64 = digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
                seen.latencies.push(zero.elapsed().saturating_sub(Duration::from_micros(sent)));
            }
        }
    } else {
        let mut buffer = vec![0; 8 * 1024];
        let mut kept = 0;
        loop {
            match stream.read(&mut buffer[kept..]).await {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    let filled = kept + count;
                    let mut seen = seen.borrow_mut();
                    seen.frames += 1;
                    seen.messages += marks(&buffer[..filled]).count() as u64;
                    // A mark may be cut in two.
                    kept = filled.min(MARK.len() - 1);
                    buffer.copy_within(filled - kept..filled, 0);
                }
            }
        }
    }
    seen.borrow_mut().closed += 1;
}

/// Where the marks in these bytes end.
fn marks(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    bytes.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK).map(|(at, _)| at + MARK.len())
}

/// Says something at this rate; how often.
async fn speak(
    mut stream: TcpStream,
    rate: f64,
    begin: Instant,
    until: Instant,
    zero: Instant,
) -> anyhow::Result<u64> {
    let (mut reading, mut writing) = stream.split();
    let drain = async {
        let mut buffer = vec![0; 64 * 1024];
        while reading.read(&mut buffer).await? > 0 {}
        anyhow::Ok(())
    };
    let talk = async {
        sleep_until(begin).await;
        let mut ticks = interval(Duration::from_secs_f64(1.0 / rate));
        let mut said = 0;
        while Instant::now() < until {
            ticks.tick().await;
            let sent = zero.elapsed().as_micros();
            let text = format!(
                r#"{{"type":"send","nonce":"n{sent}","text":"t{sent} this is about as long as what people say"}}"#
            );
            let mut bytes = vec![0x81, 0x80 | u8::try_from(text.len())?, 0, 0, 0, 0];
            if text.len() > 125 {
                bail!("the text is too long");
            }
            bytes.extend(text.as_bytes());
            writing.write_all(&bytes).await?;
            said += 1;
        }
        Ok(said)
    };
    tokio::select! {
        said = talk => said,
        gone = drain => { gone?; bail!("the speaker was sent away") }
    }
}

/// A bare broadcaster on tokio-tungstenite: rooms are channels of tokio, messages are handed on as they come.
pub(crate) mod floor {
    use std::collections::HashMap;
    use std::sync::{Arc, Mutex, PoisonError};

    use futures_util::{SinkExt, StreamExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::broadcast;
    use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
    use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

    type Rooms = Arc<Mutex<HashMap<String, broadcast::Sender<Utf8Bytes>>>>;

    /// Until it is killed.
    pub(crate) async fn serve() -> anyhow::Result<()> {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
        socket.listen(4_096)?;
        socket.set_nonblocking(true)?;
        let listener = TcpListener::from_std(socket.into())?;
        #[expect(clippy::print_stdout, reason = "whoever started it wants to know")]
        {
            println!("{}", listener.local_addr()?);
        }
        let rooms = Rooms::default();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(talk(stream, Arc::clone(&rooms)));
        }
    }

    async fn talk(stream: TcpStream, rooms: Rooms) -> Option<()> {
        let mut room = None;
        #[expect(clippy::result_large_err, reason = "the library asks so")]
        let join = |request: &Request, mut response: Response| {
            let path = request.uri().path().to_owned();
            let mut rooms = rooms.lock().unwrap_or_else(PoisonError::into_inner);
            room = Some(rooms.entry(path).or_insert_with(|| broadcast::Sender::new(256)).clone());
            if let Some(protocol) = request.headers().get("sec-websocket-protocol") {
                response.headers_mut().insert("sec-websocket-protocol", protocol.clone());
            }
            Ok(response)
        };
        let mut socket = tokio_tungstenite::accept_hdr_async(stream, join).await.ok()?;
        let room = room?;
        let mut heard = room.subscribe();
        socket.next().await?.ok()?;
        socket.send(Message::text(r#"{"type":"welcome"}"#)).await.ok()?;
        loop {
            tokio::select! {
                frame = heard.recv() => socket.send(Message::Text(frame.ok()?)).await.ok()?,
                said = socket.next() => {
                    let Message::Text(said) = said?.ok()? else { continue };
                    // As long as a frame of ours.
                    let text = said.split_once("\"text\":").map_or("\"\"}", |(_, text)| text);
                    let author = r#"{"id":"0198c6d2-0000-7000-8000-000000000001","name":"speaker","display_name":"Speaker","badges":["broadcaster","bot"]}"#;
                    let message = format!(
                        r#"{{"type":"messages","messages":[{{"id":"0198c6d2-0000-7000-8000-000000000001","at":"2026-11-21T20:00:00.123456789Z","kind":"text","author":{author},"text":{text}]}}"#
                    );
                    let _ = room.send(message.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_wherever_they_are() {
        let two = br#"{"text":"t12 a"},{"text":"t3"}"#;
        let found: Vec<_> = marks(two).map(|at| two[at]).collect();
        assert_eq!(found, b"13");
        assert_eq!(marks(b"\"text\":\"").count(), 0);
    }
}
