//! The real server on a loopback port, with a sink that notes what it is fed, and a publisher over a plain socket.
#![allow(dead_code, reason = "each test takes its part")]
#![expect(clippy::disallowed_methods, reason = "shell: a real server has tasks, and every wait has its end")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use millrace_core::bus::memory::MemoryBus;
use millrace_core::bus::{Bus, Subscription, Topic};
use millrace_core::event::{Event, EventBody, SpecVersion, Subject};
use millrace_core::feed::{
    BroadcastSink, BroadcastStart, FeedHandle, FeedItem, FeedReceiver, FeedReply, feed,
};
use millrace_core::flv::{FlvTag, TagKind};
use millrace_core::ids::ChannelName;
use millrace_ingest::rtmp::amf0::{self, Value, object};
use millrace_ingest::rtmp::chunk::{ChunkReader, Message};
use millrace_ingest::rtmp::command::Command;
use millrace_ingest::rtmp::limits::{Amf0Limits, ChunkLimits};
use millrace_ingest::{Config, Deps, Listener, MediaThreads, OpenAuthority, PublishAuthority, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::wire;

/// Longest a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A broadcast as its packager sees it.
pub(crate) struct Opened {
    pub(crate) channel: ChannelName,
    pub(crate) items: FeedReceiver,
    pub(crate) replies: mpsc::Sender<FeedReply>,
}

impl Opened {
    /// The next item in words: `joined 1`, `video 40`, `left`, `ended`; `closed` when the feed is gone.
    pub(crate) async fn next(&mut self) -> String {
        let item = tokio::time::timeout(PATIENCE, self.items.recv()).await.expect("an item in time");
        match item {
            Some(FeedItem::PublisherJoined(info)) => format!("joined {}", info.connection),
            Some(FeedItem::Tag { tag, .. }) => match tag.kind {
                TagKind::Audio => format!("audio {}", tag.timestamp.0),
                TagKind::Video if tag.is_sequence_header() => format!("header {}", tag.timestamp.0),
                TagKind::Video if tag.is_end_of_sequence() => "end".to_owned(),
                TagKind::Video if tag.is_keyframe() => format!("key {}", tag.timestamp.0),
                TagKind::Video => format!("video {}", tag.timestamp.0),
                TagKind::Script => "script".to_owned(),
            },
            Some(FeedItem::PublisherLeft) => "left".to_owned(),
            Some(FeedItem::Ended) => "ended".to_owned(),
            Some(FeedItem::Moved) => "moved".to_owned(),
            None => "closed".to_owned(),
        }
    }

    pub(crate) async fn expect(&mut self, items: &[&str]) {
        for expected in items {
            assert_eq!(self.next().await, *expected);
        }
    }
}

struct Sink(mpsc::UnboundedSender<Opened>);

/// What the sink says of [`VP6_KEYFRAME`].
pub(crate) const VP6_REFUSED: &str = "VP6 cannot be played by browsers. Set the encoder to H.264.";
/// A keyframe of a codec that the sink refuses.
pub(crate) const VP6_KEYFRAME: &[u8] = &[0x14, 0, 0, 0];

impl BroadcastSink for Sink {
    fn check(&self, tag: &FlvTag) -> Result<(), String> {
        if tag.body.as_ref() == VP6_KEYFRAME { Err(VP6_REFUSED.to_owned()) } else { Ok(()) }
    }

    fn open(&self, start: BroadcastStart) -> FeedHandle {
        let (items, receiver) = feed();
        let (replies, back) = mpsc::channel(8);
        let _ = self.0.send(Opened { channel: start.channel, items: receiver, replies });
        FeedHandle { items, replies: back }
    }
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<()>,
    opened: mpsc::UnboundedReceiver<Opened>,
    events: Mutex<Subscription>,
    bus: Arc<MemoryBus>,
    _media: MediaThreads,
}

impl Server {
    pub(crate) async fn start(config: Config) -> Self {
        Self::start_with(config, Arc::new(OpenAuthority), None).await
    }

    pub(crate) async fn start_with(
        config: Config,
        authority: Arc<dyn PublishAuthority>,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Self {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = tcp.local_addr().expect("an address");
        let (sender, opened) = mpsc::unbounded_channel();
        let bus = MemoryBus::new();
        let events = Mutex::new(bus.subscribe(Topic::Streams));
        let media = MediaThreads::start(1, config.max_pause).expect("a thread");
        let deps = Deps {
            authority,
            sink: Arc::new(Sink(sender)),
            bus: Arc::<MemoryBus>::clone(&bus),
            node: "test".parse().expect("a name"),
            neighbours: None,
            media: media.places(),
        };
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(run(vec![Listener { tcp, tls }], config, deps, shutdown.clone()));
        Self { address, shutdown, running, opened, events, bus, _media: media }
    }

    /// The next broadcast that begins.
    pub(crate) async fn opened(&mut self) -> Opened {
        tokio::time::timeout(PATIENCE, self.opened.recv())
            .await
            .expect("a broadcast in time")
            .expect("a sink")
    }

    /// The next event's name, with the reason if it has one.
    pub(crate) async fn event(&mut self) -> String {
        let events = self.events.get_mut().expect("not poisoned");
        let event =
            tokio::time::timeout(PATIENCE, events.next()).await.expect("an event in time").expect("a bus");
        assert_eq!(event.source, "/nodes/test");
        match &event.body {
            EventBody::StreamStarted(_) => "started".to_owned(),
            EventBody::StreamUpdated(_) => "updated".to_owned(),
            EventBody::StreamInterrupted(_) => "interrupted".to_owned(),
            EventBody::StreamResumed(_) => "resumed".to_owned(),
            EventBody::StreamEnded(ended) => format!("ended {:?}", ended.reason),
            other => panic!("{other:?} is no event of a stream"),
        }
    }

    /// Publishes an order for this channel.
    pub(crate) async fn order(&self, channel: &str, body: EventBody) {
        let event = Event {
            specversion: SpecVersion::V1,
            id: uuid::Uuid::from_u128(1),
            source: "/nodes/elsewhere".into(),
            subject: Subject::Channel(channel.parse().expect("a name")),
            time: jiff::Timestamp::UNIX_EPOCH,
            cause: millrace_core::trace::Cause::default(),
            body,
        };
        self.bus.publish(Topic::Commands, event).await.expect("a bus");
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.running)
            .await
            .expect("the server stops")
            .expect("without a panic");
    }

    pub(crate) async fn connect(&self) -> Publisher {
        self.connect_from(Ipv4Addr::LOCALHOST.into()).await
    }

    pub(crate) async fn connect_from(&self, source: IpAddr) -> Publisher {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((source, 0).into()).expect("a source address");
        Publisher::new(socket.connect(self.address).await.expect("a connection"))
    }

    /// A publisher that is accepted on `key`.
    pub(crate) async fn publisher(&self, key: &str) -> Publisher {
        let mut publisher = self.connect().await;
        publisher.open(key).await;
        assert_eq!(publisher.status().await.0, "NetStream.Publish.Start");
        publisher
    }
}

/// One encoder.
pub(crate) struct Publisher<S = TcpStream> {
    pub(crate) stream: S,
    reader: ChunkReader,
    unread: Vec<u8>,
    handshake_left: usize,
}

pub(crate) fn call(stream: u32, values: &[Value]) -> Vec<u8> {
    wire::message(0, 20, stream, &amf0::encode(values))
}

pub(crate) fn connect_command(app: &str) -> Vec<u8> {
    call(0, &["connect".into(), 1.0.into(), object([("app", app.into()), ("flashVer", "test/1".into())])])
}

pub(crate) fn publish_command(key: &str) -> Vec<u8> {
    call(1, &["publish".into(), 5.0.into(), Value::Null, key.into(), "live".into()])
}

impl<S: AsyncReadExt + AsyncWriteExt + Unpin> Publisher<S> {
    pub(crate) fn new(stream: S) -> Self {
        let reader = ChunkReader::new(ChunkLimits::default());
        Self { stream, reader, unread: Vec::new(), handshake_left: 1 + 1536 + 1536 }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the server takes it");
        self.stream.flush().await.expect("the server takes it");
    }

    /// Everything up to `publish`, in one piece.
    pub(crate) async fn open(&mut self, key: &str) {
        let create = call(0, &["createStream".into(), 4.0.into(), Value::Null]);
        let all =
            [wire::hello(), vec![0; 1536], connect_command("live"), create, publish_command(key)].concat();
        self.write(&all).await;
    }

    pub(crate) async fn media(&mut self, time: u32, body: &[u8]) {
        let type_id = if body[0] & 0xf0 == 0xa0 { 8 } else { 9 };
        self.write(&wire::message(time, type_id, 1, body)).await;
    }

    /// The next message; `None` once the server has closed.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        let mut buffer = [0; 4096];
        loop {
            let mut rest = self.unread.as_slice();
            let message = self.reader.read(&mut rest).expect("the server writes valid chunks");
            self.unread = rest.to_vec();
            if message.is_some() {
                return message;
            }
            let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut buffer));
            let bytes = read.await.expect("an answer in time").unwrap_or(0);
            if bytes == 0 {
                return None;
            }
            let skip = bytes.min(self.handshake_left);
            self.handshake_left -= skip;
            self.unread.extend_from_slice(&buffer[skip..bytes]);
        }
    }

    /// Code and description of the next status or error; `closed` once the server has closed.
    pub(crate) async fn status(&mut self) -> (String, String) {
        while let Some(message) = self.message().await {
            if message.type_id != 20 {
                continue;
            }
            let command = Command::decode(&message.payload, Amf0Limits::default()).expect("a command");
            let info = command.arguments.first();
            let text =
                |key| info.and_then(|i| i.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned();
            if matches!(command.name.as_str(), "onStatus" | "_error") {
                return (text("code"), text("description"));
            }
        }
        ("closed".to_owned(), String::new())
    }

    /// Waits for a status of that code, and for the end of the connection behind it; returns the sentence.
    pub(crate) async fn turned_away(&mut self, code: &str) -> String {
        loop {
            let (found, sentence) = self.status().await;
            if found == code {
                while self.message().await.is_some() {}
                return sentence;
            }
            assert_ne!(found, "closed", "closed without {code}");
        }
    }
}
