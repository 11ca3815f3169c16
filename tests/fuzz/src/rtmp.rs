//! What any peer of the RTMP port can send. Each target checks what must hold of the outcome, not only that there is
//! one: the same bytes in other pieces give the same, limits are kept, and what is written can be read.
#![expect(clippy::disallowed_methods, reason = "any instant will do as the beginning of time")]

use std::time::{Duration, Instant};

use millrace_ingest::rtmp::amf0::{self, Value};
use millrace_ingest::rtmp::chunk::{ChunkError, ChunkReader, Message};
use millrace_ingest::rtmp::limits::{Amf0Limits, ChunkLimits};
use millrace_ingest::rtmp::session::{Disconnect, Event, Input, Output, Session, SessionConfig};

/// Small, so that short inputs reach them.
const CHUNKS: ChunkLimits = ChunkLimits {
    max_message_bytes: 70_000,
    max_in_flight_bytes: 100_000,
    max_partial_messages: 4,
    max_chunk_streams: 8,
};

/// Splits off the first byte as the size of pieces; 0 is one piece.
fn pieces(data: &[u8]) -> (usize, &[u8]) {
    match data.split_first() {
        Some((0, rest)) => (rest.len().max(1), rest),
        Some((&size, rest)) => (usize::from(size), rest),
        None => (1, data),
    }
}

fn read_chunks(bytes: &[u8], piece: usize) -> (Vec<Message>, Option<ChunkError>) {
    let mut reader = ChunkReader::new(CHUNKS);
    let mut messages = Vec::new();
    for read in bytes.chunks(piece) {
        let mut rest = read;
        loop {
            match reader.read(&mut rest) {
                Ok(Some(message)) => {
                    assert!(message.payload.len() <= CHUNKS.max_message_bytes);
                    messages.push(message);
                }
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
        assert!(rest.is_empty(), "a reader that wants more has read everything");
        assert!(reader.in_flight_bytes() <= CHUNKS.max_in_flight_bytes);
        assert!(reader.partial_messages() <= CHUNKS.max_partial_messages);
    }
    (messages, None)
}

/// Target `chunk`. The first byte is the size of the pieces.
pub fn chunk(data: &[u8]) {
    let (piece, bytes) = pieces(data);
    let whole = read_chunks(bytes, bytes.len().max(1));
    assert_eq!(whole, read_chunks(bytes, piece), "pieces of {piece}");
    let payload: usize = whole.0.iter().map(|message| message.payload.len()).sum();
    assert!(payload <= bytes.len(), "no byte comes out that did not go in");
}

/// Values and depth.
fn measure(value: &Value) -> (usize, usize) {
    let inner: Vec<&Value> = match value {
        Value::Object(properties) | Value::EcmaArray(properties) => {
            properties.iter().map(|(_, v)| v).collect()
        }
        Value::StrictArray(values) => values.iter().collect(),
        _ => return (1, 0),
    };
    inner.into_iter().map(measure).fold((1, 1), |(values, depth), (v, d)| (values + v, depth.max(d + 1)))
}

/// Target `amf0`.
pub fn amf0(data: &[u8]) {
    let limits = Amf0Limits { max_depth: 4, max_values: 40, max_string_bytes: 300 };
    let Ok(values) = amf0::decode(data, limits) else { return };
    let measured: Vec<(usize, usize)> = values.iter().map(measure).collect();
    assert!(measured.iter().map(|(values, _)| values).sum::<usize>() <= limits.max_values);
    assert!(measured.iter().all(|(_, depth)| *depth <= limits.max_depth));
    // Bytes are compared rather than values: NaN is not equal to itself. Replaced characters may make a string longer.
    let roomy = Amf0Limits { max_string_bytes: 3 * limits.max_string_bytes, ..limits };
    let encoded = amf0::encode(&values);
    let again = amf0::decode(&encoded, roomy).expect("what is written can be read");
    assert_eq!(amf0::encode(&again), encoded);
    if let Some(first) = values.first() {
        let (value, length) = amf0::decode_first(data, limits).expect("the first of them");
        assert!(length <= data.len());
        assert_eq!(amf0::encode(&[value]), amf0::encode(std::slice::from_ref(first)));
    }
}

const SESSION: SessionConfig = SessionConfig {
    handshake_timeout: Duration::from_secs(5),
    publish_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_secs(30),
    chunks: CHUNKS,
    amf0: Amf0Limits { max_depth: 8, max_values: 100, max_string_bytes: 1000 },
};

/// What came of a session, without what depends on the pieces (acknowledgements) or on chance (the handshake).
#[derive(Debug, PartialEq)]
struct Outcome {
    events: Vec<Event>,
    disconnect: Option<Disconnect>,
    sent: Vec<Message>,
}

fn run_session(start: Instant, bytes: &[u8], piece: usize) -> Outcome {
    let mut session = Session::new(start, SESSION);
    let mut outcome = Outcome { events: Vec::new(), disconnect: None, sent: Vec::new() };
    let mut reader = ChunkReader::new(ChunkLimits::default());
    let mut handshake_left = 1 + 1536 + 1536;
    let shake = [&[3][..], &[0; 1536], &[0; 1536]].concat();
    let mut drain = |session: &mut Session| {
        let mut answers = Vec::new();
        while let Some(output) = session.poll_output() {
            assert_eq!(outcome.disconnect, None, "nothing follows a disconnect");
            match output {
                Output::Send(sent) => {
                    let skip = sent.len().min(handshake_left);
                    handshake_left -= skip;
                    let mut rest = &sent[skip..];
                    while let Some(message) = reader.read(&mut rest).expect("what is written can be read") {
                        outcome.sent.push(message);
                    }
                }
                Output::Event(event) => {
                    if let Event::PublishRequested { id, .. } = &event {
                        answers.push(*id);
                    }
                    outcome.events.push(event);
                }
                Output::Disconnect(reason) => outcome.disconnect = Some(reason),
            }
        }
        answers
    };
    for read in [&shake[..]].into_iter().chain(bytes.chunks(piece)) {
        session.handle_input(start, read);
        loop {
            let answers = drain(&mut session);
            assert_eq!(session.is_paused(), !answers.is_empty());
            assert!(session.buffered_bytes() <= CHUNKS.max_in_flight_bytes + (1 << 20));
            let Some(id) = answers.first() else { break };
            session.handle_command(start, Input::Accept(*id));
        }
    }
    // Whatever the state, time ends it.
    let mut now = start;
    while let Some(at) = session.poll_timeout() {
        assert!(at > now || at == start);
        now = at;
        session.handle_timeout(now);
        drain(&mut session);
        assert!(now <= start + Duration::from_secs(60));
    }
    assert!(outcome.disconnect.is_some());
    outcome.sent.retain(|message| message.type_id != 3);
    outcome
}

/// Target `rtmp_session`: what follows the handshake. The first byte is the size of the pieces.
pub fn rtmp_session(data: &[u8]) {
    let (piece, bytes) = pieces(data);
    let start = Instant::now();
    assert_eq!(
        run_session(start, bytes, bytes.len().max(1)),
        run_session(start, bytes, piece),
        "pieces of {piece}"
    );
}
