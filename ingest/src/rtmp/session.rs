//! One publisher's connection as a state machine.
//!
//! After each `handle_*` call, call [`Session::poll_output`] until it is `None`, and wait no longer than
//! [`Session::poll_timeout`]. While [`Session::is_paused`], read nothing: the answer to a question is outstanding.
//! After [`Output::Disconnect`] nothing follows; what was to be sent before it must be sent before closing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use millrace_core::flv::{FlvTag, TagKind};
use millrace_core::ids::StreamKey;
use rml_rtmp::chunk_io::ChunkSerializer;
use rml_rtmp::messages::MessagePayload;
use rml_rtmp::time::RtmpTimestamp;

use super::amf0::{self, Value};
use super::chunk::{ChunkError, ChunkReader, Message, message_type};
use super::command::{self, APP, Command, CommandError, Connect, Status, encoder_name};
use super::handshake::{Handshake, HandshakeError};
use super::limits::{Amf0Limits, ChunkLimits};

/// What we ask the peer to acknowledge by, and the bandwidth we grant it.
const WINDOW_BYTES: u32 = 2_500_000;
/// Size of the chunks we write. ffmpeg takes it over for what it sends: a picture then comes in two writes instead of
/// two for each 4 kB.
const OUT_CHUNK_SIZE: u32 = 60_000;
/// Streams one connection may create.
const MAX_STREAMS: u32 = 64;
/// Input kept while a question is outstanding; a reader that obeys [`Session::is_paused`] stays far below.
const MAX_PENDING_INPUT: usize = 1 << 20;

const USER_CONTROL_STREAM_BEGIN: u16 = 0;
const USER_CONTROL_PING_REQUEST: u16 = 6;
const USER_CONTROL_PING_RESPONSE: u16 = 7;

/// Times and sizes of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionConfig {
    /// From the connection to the end of the handshake.
    pub handshake_timeout: Duration,
    /// From the handshake, or from the end of the last publish, to an accepted publish.
    pub publish_timeout: Duration,
    /// Without a byte of media while publishing.
    pub idle_timeout: Duration,
    /// Of the chunk reader, while publishing; strangers get less.
    pub chunks: ChunkLimits,
    /// Of commands and metadata.
    pub amf0: Amf0Limits,
}

/// Names a question to the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(pub u32);

/// What a publisher asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishRequest {
    /// The application.
    pub app: String,
    /// The stream key, perhaps empty.
    pub key: StreamKey,
    /// What followed a `?` in the key or the address; a secret too.
    pub query: Option<StreamKey>,
    /// The encoder's name from `flashVer`.
    pub encoder: Option<String>,
}

/// For the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// May this one publish? Answer with [`Input::Accept`] or [`Input::Refuse`].
    PublishRequested {
        /// For the answer.
        id: RequestId,
        /// The question.
        request: PublishRequest,
    },
    /// Audio, video or metadata of the publish.
    Tag(FlvTag),
    /// Metadata named the encoder.
    Encoder(String),
    /// A data message that cannot be read was left out.
    DataSkipped(CommandError),
    /// The publisher ended its publish as one should; the connection stays.
    Unpublished,
}

/// What the session wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes.
    Send(Bytes),
    /// Something happened.
    Event(Event),
    /// Close the connection once everything is sent.
    Disconnect(Disconnect),
}

/// Why the session is over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Disconnect {
    /// No RTMP.
    #[error("handshake failed")]
    Handshake(#[source] HandshakeError),
    /// Chunks cannot be read.
    #[error("chunk stream is broken")]
    Chunk(#[source] ChunkError),
    /// A command cannot be read.
    #[error("command is broken")]
    Command(#[source] CommandError),
    /// The handshake took too long.
    #[error("handshake took longer than {limit:?}")]
    HandshakeTimeout {
        /// `handshake_timeout`.
        limit: Duration,
    },
    /// No publish was accepted in time.
    #[error("no publish within {limit:?}")]
    PublishTimeout {
        /// `publish_timeout`.
        limit: Duration,
    },
    /// No media for too long.
    #[error("no media for {limit:?}")]
    IdleTimeout {
        /// `idle_timeout`.
        limit: Duration,
    },
    /// A command or media where it has no place.
    #[error("{what} came {when}")]
    OutOfOrder {
        /// The command or message.
        what: &'static str,
        /// Where it has no place.
        when: &'static str,
    },
    /// An application other than `live`.
    #[error("application is not live")]
    InvalidApp,
    /// Too many streams were created.
    #[error("more than {limit} streams created")]
    TooManyStreams {
        /// The limit.
        limit: u32,
    },
    /// Somebody wants to watch.
    #[error("playback requested")]
    Play,
    /// The application said so, with this sentence for the person.
    #[error("closed by this server: {sentence}")]
    Closed {
        /// The code that was sent.
        status: Status,
        /// The sentence that was sent.
        sentence: String,
    },
}

impl Disconnect {
    /// Name of the kind, for counting: lower case, few.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Handshake(_) => "handshake",
            Self::Chunk(_) => "chunk",
            Self::Command(_) => "command",
            Self::HandshakeTimeout { .. } => "handshake_timeout",
            Self::PublishTimeout { .. } => "publish_timeout",
            Self::IdleTimeout { .. } => "idle_timeout",
            Self::OutOfOrder { .. } => "out_of_order",
            Self::InvalidApp => "app",
            Self::TooManyStreams { .. } => "streams",
            Self::Play => "play",
            Self::Closed { .. } => "closed",
        }
    }

    /// What the person at the encoder is told: code, and a sentence that says what to do. `None` before chunks can
    /// be written.
    fn status(&self) -> Option<(Status, String)> {
        Some(match self {
            Self::Handshake(_) | Self::HandshakeTimeout { .. } => return None,
            Self::Chunk(error) => (
                Status::StreamFailed,
                format!("What was sent is no valid RTMP: {error}. Start the stream again."),
            ),
            Self::Command(error) => {
                let detail = match error {
                    CommandError::Amf0(cause) => cause.to_string(),
                    other => other.to_string(),
                };
                (Status::CallFailed, format!("A command cannot be read: {detail}."))
            }
            Self::PublishTimeout { limit } => (
                Status::ConnectClosed,
                format!("Nothing was published within {} s of connecting.", limit.as_secs_f64()),
            ),
            Self::IdleTimeout { limit } => (
                Status::StreamFailed,
                format!(
                    "No audio or video came for {} s. Check the encoder and start again.",
                    limit.as_secs_f64()
                ),
            ),
            Self::OutOfOrder { what, when } => (
                Status::StreamFailed,
                format!("{what} came {when}. Connect, create a stream, publish, then send."),
            ),
            Self::InvalidApp => (Status::InvalidApp, INVALID_APP.to_owned()),
            Self::TooManyStreams { limit } => {
                (Status::CallFailed, format!("A connection may create {limit} streams. Connect again."))
            }
            Self::Play => (
                Status::PlayFailed,
                "Nothing is played over RTMP here. Watch the channel's page in a browser.".to_owned(),
            ),
            Self::Closed { status, sentence } => (*status, sentence.clone()),
        })
    }
}

const INVALID_APP: &str =
    "There is no such application here. The server address ends in /live, as in rtmp://HOST/live.";

/// What the application tells the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The publish may begin.
    Accept(RequestId),
    /// It may not, and the connection closes.
    Refuse {
        /// The question.
        id: RequestId,
        /// What to do, for the person.
        sentence: String,
    },
    /// The connection closes.
    Close {
        /// The code.
        status: Status,
        /// Why and what to do, for the person.
        sentence: String,
    },
}

/// Who is connected, and how far that is.
#[derive(Debug)]
enum State {
    Handshake(Box<Handshake>),
    /// The handshake is done.
    Unconnected,
    /// `connect` was accepted. `ended`: a publish has ended on this connection, and its last media may still come.
    Connected {
        connect: Connect,
        ended: bool,
    },
    /// Somebody decides whether this one may publish.
    Requested {
        connect: Connect,
        id: RequestId,
        stream: u32,
    },
    Publishing {
        connect: Connect,
        stream: u32,
    },
    Closed,
}

/// The session of one connection.
pub struct Session {
    config: SessionConfig,
    state: State,
    reader: ChunkReader,
    writer: ChunkSerializer,
    outputs: VecDeque<Output>,
    /// Input behind an unanswered question.
    pending: Vec<u8>,
    /// Of the handshake, or of the publish.
    deadline: Instant,
    last_media: Instant,
    media_bytes: u64,
    /// Whether a ping is out since the last media.
    pinged: bool,
    received: u64,
    acknowledged: u64,
    /// What the peer wants acknowledged.
    peer_window: u32,
    next_stream: u32,
    next_request: u32,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Session {
    /// A session at its first byte.
    #[must_use]
    pub fn new(now: Instant, config: SessionConfig) -> Self {
        Self {
            config,
            state: State::Handshake(Box::default()),
            reader: ChunkReader::new(config.chunks.before_publish()),
            writer: ChunkSerializer::new(),
            outputs: VecDeque::new(),
            pending: Vec::new(),
            deadline: now + config.handshake_timeout,
            last_media: now,
            media_bytes: 0,
            pinged: false,
            received: 0,
            acknowledged: 0,
            peer_window: WINDOW_BYTES,
            next_stream: 1,
            next_request: 0,
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Session::handle_timeout`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Closed => None,
            State::Publishing { .. } => {
                let idle = self.config.idle_timeout;
                Some(self.last_media + if self.pinged { idle } else { idle / 2 })
            }
            _ => Some(self.deadline),
        }
    }

    /// Whether an answer is outstanding and nothing should be read.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        matches!(self.state, State::Requested { .. })
    }

    /// Whether a publish runs.
    #[must_use]
    pub fn is_publishing(&self) -> bool {
        matches!(self.state, State::Publishing { .. })
    }

    /// Bytes kept for messages that are not complete, and behind an unanswered question.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        self.reader.in_flight_bytes() + self.pending.len()
    }

    /// Takes bytes from the socket.
    pub fn handle_input(&mut self, now: Instant, bytes: &[u8]) {
        self.received = self.received.wrapping_add(bytes.len() as u64);
        self.process(now, bytes);
        self.note_media(now);
        self.acknowledge();
    }

    /// Takes an answer or an order. One that does not fit the state any more is ignored.
    pub fn handle_command(&mut self, now: Instant, input: Input) {
        match input {
            Input::Accept(id) => self.accept(now, id),
            Input::Refuse { id, sentence } => {
                if matches!(self.state, State::Requested { id: asked, .. } if asked == id) {
                    self.disconnect(Disconnect::Closed { status: Status::PublishDenied, sentence });
                }
            }
            Input::Close { status, sentence } => self.disconnect(Disconnect::Closed { status, sentence }),
        }
    }

    /// Looks at the clock.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|at| now < at) {
            return;
        }
        match self.state {
            State::Closed => {}
            State::Handshake(_) => {
                self.disconnect(Disconnect::HandshakeTimeout { limit: self.config.handshake_timeout });
            }
            State::Unconnected | State::Connected { .. } | State::Requested { .. } => {
                self.disconnect(Disconnect::PublishTimeout { limit: self.config.publish_timeout });
            }
            State::Publishing { .. } if self.pinged => {
                self.disconnect(Disconnect::IdleTimeout { limit: self.config.idle_timeout });
            }
            State::Publishing { .. } => {
                // Makes a dead peer's kernel say so.
                self.pinged = true;
                self.send_user_control(USER_CONTROL_PING_REQUEST, 0);
            }
        }
    }

    fn accept(&mut self, now: Instant, id: RequestId) {
        if !matches!(self.state, State::Requested { id: asked, .. } if asked == id) {
            return;
        }
        let State::Requested { connect, stream, .. } = std::mem::replace(&mut self.state, State::Closed)
        else {
            return;
        };
        self.state = State::Publishing { connect, stream };
        self.reader.set_limits(self.config.chunks);
        self.last_media = now;
        self.pinged = false;
        self.send_user_control(USER_CONTROL_STREAM_BEGIN, stream);
        self.send_status(stream, Status::PublishStart, "Publishing.");
        let pending = std::mem::take(&mut self.pending);
        self.process(now, &pending);
        self.note_media(now);
    }

    fn note_media(&mut self, now: Instant) {
        let bytes = self.reader.media_bytes();
        if bytes != self.media_bytes {
            self.media_bytes = bytes;
            self.last_media = now;
            self.pinged = false;
        }
    }

    fn process(&mut self, now: Instant, mut input: &[u8]) {
        if let State::Handshake(handshake) = &mut self.state {
            match handshake.handle_input(&mut input) {
                Ok(step) => {
                    let complete = step.complete;
                    if !step.response.is_empty() {
                        self.outputs.push_back(Output::Send(step.response.into()));
                    }
                    if !complete {
                        return;
                    }
                    self.state = State::Unconnected;
                    self.deadline = now + self.config.publish_timeout;
                }
                Err(error) => return self.disconnect(Disconnect::Handshake(error)),
            }
        }
        loop {
            match self.state {
                State::Closed => return,
                State::Requested { .. } => {
                    if self.pending.len() + input.len() > MAX_PENDING_INPUT {
                        return self.disconnect(Disconnect::OutOfOrder {
                            what: "More than 1 MiB of media",
                            when: "before publishing was answered",
                        });
                    }
                    self.pending.extend_from_slice(input);
                    return;
                }
                _ => {}
            }
            match self.reader.read(&mut input) {
                Ok(Some(message)) => self.handle_message(now, message),
                Ok(None) => return,
                Err(error) => return self.disconnect(Disconnect::Chunk(error)),
            }
        }
    }

    fn handle_message(&mut self, now: Instant, message: Message) {
        match message.type_id {
            message_type::AUDIO => self.handle_media(TagKind::Audio, message),
            message_type::VIDEO => self.handle_media(TagKind::Video, message),
            message_type::DATA_AMF0 => self.handle_data(&message, &message.payload),
            message_type::DATA_AMF3 => match command::unwrap_amf3(&message.payload) {
                Ok(payload) => self.handle_data(&message, &message.payload.slice_ref(payload)),
                Err(error) => self.outputs.push_back(Output::Event(Event::DataSkipped(error))),
            },
            message_type::COMMAND_AMF0 => self.handle_command_message(now, &message, &message.payload),
            message_type::COMMAND_AMF3 => match command::unwrap_amf3(&message.payload) {
                Ok(payload) => self.handle_command_message(now, &message, payload),
                Err(error) => self.disconnect(Disconnect::Command(error)),
            },
            message_type::USER_CONTROL => self.handle_user_control(&message.payload),
            message_type::WINDOW_ACKNOWLEDGEMENT_SIZE => {
                if let Some(&window) = message.payload.first_chunk() {
                    self.peer_window = u32::from_be_bytes(window);
                }
            }
            message_type::SET_PEER_BANDWIDTH => {
                self.send(0, message_type::WINDOW_ACKNOWLEDGEMENT_SIZE, WINDOW_BYTES.to_be_bytes().to_vec());
            }
            // Acknowledgements tell nothing here: little is sent. Shared objects and the unknown are skipped.
            _ => {}
        }
    }

    fn handle_media(&mut self, kind: TagKind, message: Message) {
        match self.state {
            State::Publishing { .. } if message.payload.is_empty() => {}
            State::Publishing { .. } => {
                let tag = FlvTag { kind, timestamp: message.timestamp, body: message.payload };
                self.outputs.push_back(Output::Event(Event::Tag(tag)));
            }
            State::Connected { ended: true, .. } => {}
            _ => self.disconnect(Disconnect::OutOfOrder { what: "Media", when: "before publish" }),
        }
    }

    /// Data: `@setDataFrame` is removed; what follows it, or the message itself, becomes a script tag.
    fn handle_data(&mut self, message: &Message, payload: &Bytes) {
        if !self.is_publishing() {
            return;
        }
        match script_body(payload, self.config.amf0) {
            Ok(Some((body, encoder))) => {
                if let Some(encoder) = encoder {
                    self.outputs.push_back(Output::Event(Event::Encoder(encoder)));
                }
                let tag = FlvTag { kind: TagKind::Script, timestamp: message.timestamp, body };
                self.outputs.push_back(Output::Event(Event::Tag(tag)));
            }
            Ok(None) => {}
            Err(error) => self.outputs.push_back(Output::Event(Event::DataSkipped(error))),
        }
    }

    fn handle_user_control(&mut self, payload: &[u8]) {
        // A ping response is activity of the peer, but no sign that it still publishes.
        if let Some((&kind, rest)) = payload.split_first_chunk()
            && u16::from_be_bytes(kind) == USER_CONTROL_PING_REQUEST
            && let Some(&time) = rest.first_chunk()
        {
            self.send_user_control(USER_CONTROL_PING_RESPONSE, u32::from_be_bytes(time));
        }
    }

    fn handle_command_message(&mut self, now: Instant, message: &Message, payload: &[u8]) {
        let command = match Command::decode(payload, self.config.amf0) {
            Ok(command) => command,
            Err(error) => return self.disconnect(Disconnect::Command(error)),
        };
        let transaction = command.transaction;
        match command.name.as_str() {
            "connect" => self.handle_connect(command),
            "createStream" => self.handle_create_stream(transaction),
            "publish" => self.handle_publish(&command, message.message_stream_id),
            "releaseStream" | "_checkbw" => self.send_result(transaction, Value::Undefined),
            "FCPublish" => {
                self.send_result(transaction, Value::Undefined);
                self.send_command(0, command::on_fc("onFCPublish", Status::PublishStart));
            }
            "FCUnpublish" => {
                self.unpublish(now);
                self.send_result(transaction, Value::Undefined);
                self.send_command(0, command::on_fc("onFCUnpublish", Status::UnpublishSuccess));
            }
            "closeStream" | "deleteStream" => {
                self.unpublish(now);
                if transaction != 0.0 {
                    self.send_result(transaction, Value::Undefined);
                }
            }
            "getStreamLength" => self.send_result(transaction, 0.0.into()),
            "play" | "play2" => self.disconnect(Disconnect::Play),
            // Answers to what we never asked, and bandwidth reports.
            "_result" | "_error" | "onStatus" => {}
            _ if transaction != 0.0 => {
                let sentence = "This server knows no such command; it takes publishers.";
                self.send_command(0, command::error(transaction, Status::CallFailed, sentence));
            }
            _ => {}
        }
    }

    fn handle_connect(&mut self, command: Command) {
        if !matches!(self.state, State::Unconnected) {
            return self.disconnect(Disconnect::OutOfOrder { what: "connect", when: "a second time" });
        }
        let connect = Connect::new(command.object);
        self.send(0, message_type::WINDOW_ACKNOWLEDGEMENT_SIZE, WINDOW_BYTES.to_be_bytes().to_vec());
        let mut bandwidth = WINDOW_BYTES.to_be_bytes().to_vec();
        bandwidth.push(2); // dynamic
        self.send(0, message_type::SET_PEER_BANDWIDTH, bandwidth);
        if let Ok(packet) = self.writer.set_max_chunk_size(OUT_CHUNK_SIZE, RtmpTimestamp::new(0)) {
            self.outputs.push_back(Output::Send(packet.bytes.into()));
        }
        if connect.app == APP {
            self.send_user_control(USER_CONTROL_STREAM_BEGIN, 0);
            self.send_command(0, command::connect_result(command.transaction));
            self.state = State::Connected { connect, ended: false };
        } else {
            // FMLE and ffmpeg read the answer to their call, OBS the status that `disconnect` sends.
            self.send_command(0, command::error(command.transaction, Status::InvalidApp, INVALID_APP));
            self.disconnect(Disconnect::InvalidApp);
        }
    }

    fn handle_create_stream(&mut self, transaction: f64) {
        if matches!(self.state, State::Handshake(_) | State::Unconnected | State::Closed) {
            return self.disconnect(Disconnect::OutOfOrder { what: "createStream", when: "before connect" });
        }
        if self.next_stream > MAX_STREAMS {
            return self.disconnect(Disconnect::TooManyStreams { limit: MAX_STREAMS });
        }
        let stream = self.next_stream;
        self.next_stream += 1;
        self.send_result(transaction, f64::from(stream).into());
    }

    fn handle_publish(&mut self, command: &Command, stream: u32) {
        let connect = match std::mem::replace(&mut self.state, State::Closed) {
            State::Connected { connect, .. } => connect,
            State::Publishing { connect, stream } => {
                self.state = State::Publishing { connect, stream };
                return self.disconnect(Disconnect::OutOfOrder {
                    what: "publish",
                    when: "while this connection publishes already",
                });
            }
            other => {
                self.state = other;
                return self.disconnect(Disconnect::OutOfOrder { what: "publish", when: "before connect" });
            }
        };
        let (key, query) = connect.address(command.text(0).unwrap_or_default());
        let id = RequestId(self.next_request);
        self.next_request = self.next_request.wrapping_add(1);
        let request = PublishRequest { app: connect.app.clone(), key, query, encoder: connect.encoder() };
        self.state = State::Requested { connect, id, stream };
        self.outputs.push_back(Output::Event(Event::PublishRequested { id, request }));
    }

    fn unpublish(&mut self, now: Instant) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Publishing { connect, stream } => {
                self.state = State::Connected { connect, ended: true };
                self.deadline = now + self.config.publish_timeout;
                self.reader.set_limits(self.config.chunks.before_publish());
                self.outputs.push_back(Output::Event(Event::Unpublished));
                self.send_status(stream, Status::UnpublishSuccess, "The broadcast has ended.");
            }
            other => self.state = other,
        }
    }

    fn disconnect(&mut self, reason: Disconnect) {
        if matches!(self.state, State::Closed) {
            return;
        }
        let stream = match self.state {
            State::Publishing { stream, .. } | State::Requested { stream, .. } => stream,
            _ => 0,
        };
        if !matches!(self.state, State::Handshake(_))
            && let Some((status, sentence)) = reason.status()
        {
            self.send_status(stream, status, &sentence);
        }
        self.state = State::Closed;
        self.pending = Vec::new();
        self.outputs.push_back(Output::Disconnect(reason));
    }

    /// Acknowledges with the running total (RTMP 1.0 §5.4.3), which wraps at 2^32.
    fn acknowledge(&mut self) {
        if matches!(self.state, State::Handshake(_) | State::Closed) || self.peer_window == 0 {
            return;
        }
        if self.received - self.acknowledged >= u64::from(self.peer_window) {
            self.acknowledged = self.received;
            #[expect(clippy::cast_possible_truncation, reason = "the sequence number wraps")]
            let total = self.received as u32;
            self.send(0, message_type::ACKNOWLEDGEMENT, total.to_be_bytes().to_vec());
        }
    }

    fn send_result(&mut self, transaction: f64, value: Value) {
        self.send_command(0, command::result(transaction, Value::Null, value));
    }

    fn send_status(&mut self, stream: u32, status: Status, sentence: &str) {
        self.send_command(stream, command::on_status(status, sentence));
    }

    fn send_command(&mut self, stream: u32, payload: Vec<u8>) {
        self.send(stream, message_type::COMMAND_AMF0, payload);
    }

    fn send_user_control(&mut self, kind: u16, value: u32) {
        let mut payload = kind.to_be_bytes().to_vec();
        payload.extend_from_slice(&value.to_be_bytes());
        self.send(0, message_type::USER_CONTROL, payload);
    }

    fn send(&mut self, stream: u32, type_id: u8, payload: Vec<u8>) {
        let message = MessagePayload {
            timestamp: RtmpTimestamp::new(0),
            type_id,
            message_stream_id: stream,
            data: payload.into(),
        };
        // Fails beyond 16 MiB only; what we write are sentences.
        if let Ok(packet) = self.writer.serialize(&message, false, false) {
            self.outputs.push_back(Output::Send(packet.bytes.into()));
        }
    }
}

/// Body of the script tag a data message makes, and the encoder it names; `None` for what is no metadata.
fn script_body(payload: &Bytes, limits: Amf0Limits) -> Result<Option<(Bytes, Option<String>)>, CommandError> {
    let (first, length) = amf0::decode_first(payload, limits)?;
    let body = match first.as_str() {
        Some("@setDataFrame") => payload.slice(length..),
        Some("@clearDataFrame") => return Ok(None),
        Some(_) => payload.clone(),
        None => return Err(CommandError::NoName),
    };
    // All of it is read, so that nothing downstream meets what is deeper or longer than the limits.
    let values = amf0::decode(&body, limits)?;
    let Some(Value::String(name)) = values.first() else { return Err(CommandError::NoName) };
    let encoder = values.get(1).filter(|_| name == "onMetaData").and_then(|values| values.get("encoder"));
    let encoder = encoder.and_then(Value::as_str).and_then(encoder_name);
    Ok(Some((body, encoder)))
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
