//! The WebSocket of chat held to RFC 6455, byte by byte: every case has a connection of its own.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::chat::Site;

const SOON: Duration = Duration::from_secs(20);
/// What clients hide their frames with; any four bytes will do.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// The most that a frame of ours may need to be put together.
const MOST: usize = 64 * 1024;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A frame of a client (RFC 6455 §5.2). `flags` is FIN and the reserved bits.
fn frame(flags: u8, opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![flags | opcode];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | u8::try_from(short).unwrap()),
        longer => {
            bytes.push(0x80 | 126);
            bytes.extend(u16::try_from(longer).unwrap().to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

const FIN: u8 = 0x80;

fn whole(opcode: u8, payload: &[u8]) -> Vec<u8> {
    frame(FIN, opcode, payload)
}

fn closing(code: u16, reason: &[u8]) -> Vec<u8> {
    whole(CLOSE, &[&code.to_be_bytes()[..], reason].concat())
}

/// One connection, as the bytes that come and go.
struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    async fn request(site: &Site, head: &str) -> (Self, String) {
        let mut stream = TcpStream::connect(site.server.http).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let request = format!("GET /chat/v1/studio HTTP/1.1\r\nHost: {}\r\n{head}\r\n", site.server.http);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut wire = Self { stream, read: Vec::new() };
        let end = loop {
            if let Some(end) = wire.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(wire.more().await, "the connection ended within the head of the answer");
        };
        let answer = String::from_utf8(wire.read.drain(..end).collect()).unwrap();
        (wire, answer)
    }

    async fn open(site: &Site) -> Self {
        let (wire, answer) = Self::request(
            site,
            "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: other, millrace.chat.v1\r\n",
        )
        .await;
        let lower = answer.to_ascii_lowercase();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        // The key and what answers it are those of RFC 6455 §1.3.
        assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
        assert!(lower.contains("sec-websocket-protocol: millrace.chat.v1\r\n"), "{answer}");
        assert!(!lower.contains("sec-websocket-extensions"), "{answer}");
        wire
    }

    /// Reads; false at the end.
    async fn more(&mut self) -> bool {
        assert!(self.read.len() < MOST, "too much came");
        let mut buffer = [0; 4096];
        let count = timeout(SOON, self.stream.read(&mut buffer)).await.expect("an answer").unwrap_or(0);
        self.read.extend(&buffer[..count]);
        count > 0
    }

    /// The next frame: opcode and payload. None at the end of the connection.
    async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(found) = self.parse() {
                return Some(found);
            }
            if !self.more().await {
                assert!(self.read.is_empty(), "half a frame: {:?}", self.read);
                return None;
            }
        }
    }

    fn parse(&mut self) -> Option<(u8, Vec<u8>)> {
        let (&first, &second) = (self.read.first()?, self.read.get(1)?);
        assert_eq!(first & 0x70, 0, "reserved bits");
        assert_eq!(second & 0x80, 0, "a server hides nothing (RFC 6455 §5.1)");
        let (at, length) = match second {
            126 => (4, usize::from(u16::from_be_bytes(self.read.get(2..4)?.try_into().unwrap()))),
            127 => {
                (10, usize::try_from(u64::from_be_bytes(self.read.get(2..10)?.try_into().unwrap())).unwrap())
            }
            short => (2, usize::from(short)),
        };
        let payload = self.read.get(at..at + length)?.to_vec();
        assert_eq!(first & FIN, FIN, "our frames are whole");
        self.read.drain(..at + length);
        Some((first & 0x0f, payload))
    }

    /// The next frame with this opcode.
    async fn until(&mut self, opcode: u8) -> Option<Vec<u8>> {
        loop {
            match self.next().await? {
                (found, payload) if found == opcode => return Some(payload),
                (CLOSE, payload) => panic!("closed: {payload:?}"),
                _ => {}
            }
        }
    }
}

const HELLO: &[u8] = br#"{"type":"hello"}"#;

/// What becomes of what was sent.
enum Then {
    /// The room lets it in.
    Welcome,
    /// Pongs with these, in this order.
    Pongs(Vec<Vec<u8>>),
    /// A close frame with the code, and the end of the connection.
    Closed(u16),
}

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_is_read_as_rfc_6455_wants_it() {
    let site = Site::of(&["ada"], &[("MILLRACE_CHAT__CONNECTIONS_PER_ADDRESS", "1000")]).await;
    let halves =
        |text: &[u8], at: usize| [frame(0, TEXT, &text[..at]), whole(CONTINUATION, &text[at..])].concat();
    let bytewise = HELLO.iter().enumerate().map(|(n, byte)| {
        frame(if n + 1 == HELLO.len() { FIN } else { 0 }, if n == 0 { TEXT } else { CONTINUATION }, &[*byte])
    });
    let mut unmasked = whole(TEXT, HELLO);
    unmasked[1] &= 0x7f;
    let long = |length: u64, rest: usize| {
        [&[FIN | TEXT, 0x80 | 127][..], &length.to_be_bytes(), &MASK, &vec![0; rest]].concat()
    };
    let with_text = |text: &str| format!(r#"{{"type":"hello","about":"{text}"}}"#).into_bytes();
    let euro = with_text("a \u{20ac} and \u{1f409}");
    let in_euro = euro.windows(3).position(|three| three == "\u{20ac}".as_bytes()).unwrap() + 1;
    let pings =
        |payloads: &[&[u8]]| payloads.iter().flat_map(|payload| whole(PING, payload)).collect::<Vec<_>>();
    let pongs = |payloads: &[&[u8]]| Then::Pongs(payloads.iter().map(|payload| payload.to_vec()).collect());

    let mut cases: Vec<(String, Vec<u8>, Then)> = vec![
        ("5.1 a whole frame".into(), whole(TEXT, HELLO), Then::Welcome),
        ("5.1 not masked".into(), unmasked, Then::Closed(1002)),
        ("5.4 two fragments".into(), halves(HELLO, 5), Then::Welcome),
        ("5.4 empty fragments".into(), [halves(HELLO, 0), vec![]].concat(), Then::Welcome),
        ("5.4 a fragment for each byte".into(), bytewise.flatten().collect(), Then::Welcome),
        (
            "5.4 pings between fragments".into(),
            [
                frame(0, TEXT, &HELLO[..5]),
                pings(&[b"1"]),
                frame(0, CONTINUATION, &HELLO[5..9]),
                pings(&[b"2"]),
                whole(CONTINUATION, &HELLO[9..]),
            ]
            .concat(),
            pongs(&[b"1", b"2"]),
        ),
        (
            "5.4 a message within a message".into(),
            [frame(0, TEXT, b"{"), whole(TEXT, HELLO)].concat(),
            Then::Closed(1002),
        ),
        ("5.4 nothing to continue".into(), whole(CONTINUATION, HELLO), Then::Closed(1002)),
        ("5.5 a ping in fragments".into(), frame(0, PING, b"x"), Then::Closed(1002)),
        ("5.5 a ping of 126 bytes".into(), whole(PING, &[b'x'; 126]), Then::Closed(1002)),
        ("5.5.2 pings".into(), pings(&[b"", b"a", &[0xff; 125]]), pongs(&[b"", b"a", &[0xff; 125]])),
        (
            "5.5.3 a pong that nobody asked for".into(),
            [whole(PONG, b"?"), whole(TEXT, HELLO)].concat(),
            Then::Welcome,
        ),
        ("5.2 a length with the highest bit".into(), long(1 << 63, 0), Then::Closed(1009)),
        ("5.2 a length beyond all memory".into(), long(u64::MAX >> 1, 0), Then::Closed(1009)),
        ("8 KiB and a byte".into(), long(8 * 1024 + 1, 0), Then::Closed(1009)),
        (
            "8 KiB and a byte in fragments".into(),
            [frame(0, TEXT, &[b' '; 4096]), frame(0, CONTINUATION, &[b' '; 4096]), whole(CONTINUATION, b" ")]
                .concat(),
            Then::Closed(1009),
        ),
        ("8.1 characters across fragments".into(), halves(&euro, in_euro), Then::Welcome),
        ("8.1 half a character".into(), whole(TEXT, b"{\"type\":\"\xe2\x82"), Then::Closed(1007)),
        ("8.1 half of a surrogate".into(), whole(TEXT, b"\"\xed\xa0\x80\""), Then::Closed(1007)),
        ("8.1 too long a form".into(), whole(TEXT, b"\"\xc0\xaf\""), Then::Closed(1007)),
        ("8.1 beyond Unicode".into(), whole(TEXT, b"\"\xf4\x90\x80\x80\""), Then::Closed(1007)),
        (
            "8.1 in the second fragment".into(),
            [frame(0, TEXT, b"\""), whole(CONTINUATION, b"\xff")].concat(),
            Then::Closed(1007),
        ),
        ("5.6 binary".into(), whole(2, HELLO), Then::Closed(4000)),
        ("no JSON".into(), whole(TEXT, b"hello"), Then::Closed(4000)),
        ("an empty message".into(), whole(TEXT, b""), Then::Closed(4000)),
        ("5.5.1 a close without a code".into(), whole(CLOSE, b""), Then::Closed(1005)),
        ("5.5.1 a close with half a code".into(), whole(CLOSE, &[3]), Then::Closed(1002)),
        ("5.5.1 a reason that is no text".into(), closing(1000, b"\xff"), Then::Closed(1007)),
        ("5.5.1 a reason of 123 bytes".into(), closing(1000, &[b'r'; 123]), Then::Closed(1000)),
    ];
    for bit in [0x40, 0x20, 0x10] {
        cases.push((format!("5.2 reserved bit {bit:#x}"), frame(FIN | bit, TEXT, HELLO), Then::Closed(1002)));
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        cases.push((format!("5.2 opcode {opcode}"), whole(opcode, b""), Then::Closed(1002)));
    }
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        cases.push((format!("7.4 close with {code}"), closing(code, b"bye"), Then::Closed(code)));
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        cases.push((format!("7.4 close with {code}"), closing(code, b"bye"), Then::Closed(1002)));
    }

    let mut wrong = Vec::new();
    for (name, bytes, then) in cases {
        let mut wire = Wire::open(&site).await;
        wire.stream.write_all(&bytes).await.unwrap();
        match then {
            Then::Welcome => {
                let welcome = wire.until(TEXT).await.expect(&name);
                assert!(welcome.starts_with(br#"{"type":"welcome""#), "{name}");
            }
            Then::Pongs(payloads) => {
                for payload in payloads {
                    assert_eq!(wire.until(PONG).await.as_ref(), Some(&payload), "{name}");
                }
            }
            Then::Closed(code) => {
                let closed = loop {
                    match wire.next().await {
                        Some((CLOSE, payload)) => break Some(payload),
                        Some(_) => {}
                        None => break None,
                    }
                };
                let found = closed.as_deref().map(|payload| match payload {
                    [] => 1005,
                    [high, low, reason @ ..] => {
                        assert!(std::str::from_utf8(reason).is_ok(), "{name}");
                        u16::from_be_bytes([*high, *low])
                    }
                    [_] => panic!("{name}: half a code"),
                });
                if found != Some(code) {
                    wrong.push(format!("{name}: {found:?}, not {code}"));
                }
                // The server closes first (RFC 6455 §7.1.1), as soon as it has the answer to its frame.
                let _ = wire.stream.write_all(&closing(1000, b"")).await;
                while wire.next().await.is_some() {}
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // A frame that comes byte by byte is one frame.
    let mut slow = Wire::open(&site).await;
    for byte in whole(TEXT, HELLO) {
        slow.stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(slow.until(TEXT).await.is_some());
    site.server.assert_calm();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_something_else_than_websocket_13_is_told() {
    let site = Site::of(&["ada"], &[]).await;
    let good = [
        "Upgrade: websocket\r\n",
        "Connection: Upgrade\r\n",
        "Sec-WebSocket-Version: 13\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ];
    for without in 0..good.len() {
        let head: String =
            good.iter().enumerate().filter(|(n, _)| *n != without).map(|(_, line)| *line).collect();
        let (_, answer) = Wire::request(&site, &head).await;
        assert!(answer.starts_with("HTTP/1.1 426 "), "without {}: {answer}", good[without]);
        let lower = answer.to_ascii_lowercase();
        assert!(lower.contains("upgrade: websocket\r\n"), "{answer}");
        assert!(lower.contains("sec-websocket-version: 13\r\n"), "RFC 6455 §4.4: {answer}");
    }
    let old = good.concat().replace("13", "8");
    let (_, answer) = Wire::request(&site, &old).await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    // Without the subprotocol: the connection opens, because the page must be told, and closes.
    let (mut wire, answer) = Wire::request(&site, &good.concat()).await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    let (opcode, payload) = wire.next().await.expect("a close frame");
    assert_eq!((opcode, &payload[..2]), (CLOSE, &4000_u16.to_be_bytes()[..]));
}
