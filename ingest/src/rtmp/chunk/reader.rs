//! The chunk reader: one state per chunk stream, one copy from the read buffer into the message.

use bytes::Bytes;
use millrace_core::time::RtmpMillis;

use super::aggregate::Aggregate;
use super::header::{BasicHeader, MAX_HEADER, MessageHeader, parse_basic, parse_message};
use super::{ChunkError, Message, message_type};
use crate::rtmp::limits::{ChunkLimits, MAX_CHUNK_SIZE};

/// Chunk size until the peer sets another (RTMP 1.0 §5.4.1).
const INITIAL_CHUNK_SIZE: usize = 128;
/// Reserved for a message when its first byte comes; it grows by doubling, up to its length.
const FIRST_RESERVATION: usize = 16 << 10;
/// No chunk stream.
const NONE: u16 = u16::MAX;

/// Whether a sender repeats the extended timestamp in type 3 chunks. The specification says so, some encoders do
/// not; told apart by the first type 3 chunk, where a repetition has the four bytes of the header before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Unknown,
    Repeats,
    Omits,
}

#[derive(Debug)]
struct ChunkStream {
    id: u32,
    timestamp: u32,
    /// What a type 3 header that begins a message adds: the last delta, or the last absolute time (§5.3.1.2.4).
    delta: u32,
    /// The four bytes of the last header's extended timestamp.
    extended: Option<[u8; 4]>,
    dialect: Dialect,
    length: u32,
    type_id: u8,
    message_stream: u32,
    /// The message under way; `begun` tells a message without bytes yet from none.
    partial: Vec<u8>,
    begun: bool,
}

impl ChunkStream {
    fn new(id: u32) -> Self {
        Self {
            id,
            timestamp: 0,
            delta: 0,
            extended: None,
            dialect: Dialect::Unknown,
            length: 0,
            type_id: 0,
            message_stream: 0,
            partial: Vec::new(),
            begun: false,
        }
    }
}

/// What is read next.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// A header, of which the carry may hold the beginning.
    Header,
    /// `left` more bytes of a chunk of the chunk stream at `index`.
    Payload { index: u16, left: usize },
}

/// A header that is complete.
enum Header {
    New(BasicHeader, MessageHeader),
    /// Type 3, with the dialect that became known.
    Same(u16, Dialect),
}

/// Turns bytes into messages.
///
/// Obeys Set Chunk Size and Abort, splits aggregates. Memory: at most `max_in_flight_bytes` for messages under
/// way, reserved as bytes come and never because a length was announced.
#[derive(Debug)]
pub struct ChunkReader {
    limits: ChunkLimits,
    chunk_size: usize,
    streams: Vec<ChunkStream>,
    /// Index into `streams` of the chunk streams below 64, which is all of them in practice.
    low: [u16; 64],
    stage: Stage,
    carry: [u8; MAX_HEADER],
    carried: usize,
    /// Payload that was carried as if it were header; read before the input.
    push_back: [u8; 4],
    pushed_back: usize,
    partials: usize,
    in_flight: usize,
    position: u64,
    media_bytes: u64,
    aggregate: Option<Aggregate>,
}

impl ChunkReader {
    /// A reader at the first byte after the handshake.
    #[must_use]
    pub fn new(limits: ChunkLimits) -> Self {
        Self {
            limits,
            chunk_size: INITIAL_CHUNK_SIZE,
            streams: Vec::new(),
            low: [NONE; 64],
            stage: Stage::Header,
            carry: [0; MAX_HEADER],
            carried: 0,
            push_back: [0; 4],
            pushed_back: 0,
            partials: 0,
            in_flight: 0,
            position: 0,
            media_bytes: 0,
            aggregate: None,
        }
    }

    /// Sets other limits from here on; messages under way keep what they have.
    pub fn set_limits(&mut self, limits: ChunkLimits) {
        self.limits = limits;
    }

    /// Bytes reserved for messages that are not complete.
    #[must_use]
    pub fn in_flight_bytes(&self) -> usize {
        self.in_flight + self.aggregate.as_ref().map_or(0, Aggregate::len)
    }

    /// Messages that are not complete.
    #[must_use]
    pub fn partial_messages(&self) -> usize {
        self.partials
    }

    /// Payload bytes of audio, video and data messages so far, complete or not: the sign that a publisher lives.
    #[must_use]
    pub fn media_bytes(&self) -> u64 {
        self.media_bytes
    }

    /// The next whole message. Takes from the front of `input` what it reads; `None` once that is everything.
    ///
    /// # Errors
    /// Any [`ChunkError`]; the reader is of no use afterwards.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, ChunkError> {
        if let Some(message) = self.next_of_aggregate()? {
            return Ok(Some(message));
        }
        loop {
            let complete = if self.pushed_back == 0 {
                match self.step(input)? {
                    Some(complete) => complete,
                    None => return Ok(None),
                }
            } else {
                let bytes = self.push_back;
                let mut pushed = &bytes[..self.pushed_back];
                let complete = self.step(&mut pushed)?;
                self.push_back[..pushed.len()].copy_from_slice(pushed);
                self.pushed_back = pushed.len();
                match complete {
                    Some(complete) => complete,
                    None => continue,
                }
            };
            let Some(index) = complete else { continue };
            let message = self.take_message(index);
            if let Some(message) = self.handle_message(message)? {
                return Ok(Some(message));
            }
        }
    }

    /// Reads a header or a piece of payload. `None`: more bytes are needed; `Some(Some(_))`: a message is complete.
    #[inline]
    fn step(&mut self, input: &mut &[u8]) -> Result<Option<Option<u16>>, ChunkError> {
        match self.stage {
            Stage::Header => self.read_header(input),
            Stage::Payload { index, left } => self.read_payload(input, index, left),
        }
    }

    /// Reads a header. `None`: more bytes are needed; `Some(Some(_))`: it completed an empty message.
    #[inline]
    fn read_header(&mut self, input: &mut &[u8]) -> Result<Option<Option<u16>>, ChunkError> {
        let header = if self.carried == 0 {
            match self.parse_header(input)? {
                Some((header, length)) => {
                    self.advance(input, length);
                    header
                }
                None => {
                    // Shorter than a header, or it would have been one.
                    self.carry[..input.len()].copy_from_slice(input);
                    self.carried = input.len();
                    self.advance(input, input.len());
                    return Ok(None);
                }
            }
        } else {
            let more = input.len().min(MAX_HEADER - self.carried);
            let had = self.carried;
            self.carry[had..had + more].copy_from_slice(&input[..more]);
            let carry = self.carry;
            match self.parse_header(&carry[..had + more])? {
                Some((header, length)) => {
                    self.carried = 0;
                    if length >= had {
                        self.advance(input, length - had);
                    } else {
                        // What looked like the beginning of a repeated timestamp was payload.
                        let payload = &carry[length..had];
                        self.push_back[..payload.len()].copy_from_slice(payload);
                        self.pushed_back = payload.len();
                        self.position = self.position.wrapping_sub(payload.len() as u64);
                    }
                    header
                }
                None => {
                    self.carried = had + more;
                    self.advance(input, more);
                    return Ok(None);
                }
            }
        };
        self.begin_chunk(&header).map(Some)
    }

    fn advance(&mut self, input: &mut &[u8], bytes: usize) {
        *input = input.get(bytes..).unwrap_or_default();
        self.position = self.position.wrapping_add(bytes as u64);
    }

    /// Looks for a whole header at the start of `bytes`; changes nothing.
    #[inline]
    fn parse_header(&self, bytes: &[u8]) -> Result<Option<(Header, usize)>, ChunkError> {
        let Some(basic) = parse_basic(bytes) else { return Ok(None) };
        let rest = bytes.get(basic.length..).unwrap_or_default();
        if basic.format < 3 {
            let Some(message) = parse_message(basic.format, rest) else { return Ok(None) };
            return Ok(Some((Header::New(basic, message), basic.length + message.length)));
        }
        let index = self.find(basic.chunk_stream).ok_or(ChunkError::NoPreviousHeader {
            chunk_stream: basic.chunk_stream,
            format: basic.format,
            at_byte: self.position.wrapping_sub(self.carried as u64),
        })?;
        let stream = &self.streams[usize::from(index)];
        let (dialect, length) = match (stream.extended, stream.dialect) {
            (None, dialect) | (_, dialect @ Dialect::Omits) => (dialect, basic.length),
            (Some(_), Dialect::Repeats) => {
                if rest.len() < 4 {
                    return Ok(None);
                }
                (Dialect::Repeats, basic.length + 4)
            }
            (Some(extended), Dialect::Unknown) => {
                let seen = rest.len().min(4);
                if rest[..seen] != extended[..seen] {
                    (Dialect::Omits, basic.length)
                } else if seen == 4 {
                    (Dialect::Repeats, basic.length + 4)
                } else {
                    return Ok(None);
                }
            }
        };
        Ok(Some((Header::Same(index, dialect), length)))
    }

    #[inline]
    fn find(&self, id: u32) -> Option<u16> {
        match self.low.get(id as usize) {
            Some(&index) => (index != NONE).then_some(index),
            None => {
                self.streams.iter().position(|stream| stream.id == id).and_then(|at| u16::try_from(at).ok())
            }
        }
    }

    fn find_or_add(&mut self, id: u32) -> Result<u16, ChunkError> {
        if let Some(index) = self.find(id) {
            return Ok(index);
        }
        let limit = self.limits.max_chunk_streams.min(usize::from(NONE));
        let too_many = ChunkError::TooManyChunkStreams { limit, at_byte: self.position };
        if self.streams.len() >= limit {
            return Err(too_many);
        }
        let index = u16::try_from(self.streams.len()).map_err(|_| too_many)?;
        self.streams.push(ChunkStream::new(id));
        if let Some(slot) = self.low.get_mut(id as usize) {
            *slot = index;
        }
        Ok(index)
    }

    /// Applies a header. Returns the chunk stream if the message is complete with it, which only an empty one is.
    #[inline]
    fn begin_chunk(&mut self, header: &Header) -> Result<Option<u16>, ChunkError> {
        let at_byte = self.position;
        let index = match *header {
            Header::Same(index, dialect) => {
                let stream = &mut self.streams[usize::from(index)];
                stream.dialect = dialect;
                if !stream.begun {
                    stream.timestamp = stream.timestamp.wrapping_add(stream.delta);
                }
                index
            }
            Header::New(basic, message) => self.apply_new(basic, message)?,
        };
        let stream = &mut self.streams[usize::from(index)];
        if !stream.begun {
            if stream.length as usize > self.limits.max_message_bytes {
                return Err(ChunkError::MessageTooLong {
                    chunk_stream: stream.id,
                    announced: stream.length,
                    limit: self.limits.max_message_bytes,
                    at_byte,
                });
            }
            if self.partials >= self.limits.max_partial_messages {
                return Err(ChunkError::TooManyPartialMessages {
                    limit: self.limits.max_partial_messages,
                    at_byte,
                });
            }
            stream.begun = true;
            self.partials += 1;
        }
        let left = (stream.length as usize - stream.partial.len()).min(self.chunk_size);
        if left == 0 {
            self.stage = Stage::Header;
            return Ok(Some(index));
        }
        self.stage = Stage::Payload { index, left };
        Ok(None)
    }

    fn apply_new(&mut self, basic: BasicHeader, header: MessageHeader) -> Result<u16, ChunkError> {
        let at_byte = self.position;
        // A type 1 header on a fresh chunk stream is wrong, but librtmp sends its pings so.
        if basic.format == 2 && self.find(basic.chunk_stream).is_none() {
            let chunk_stream = basic.chunk_stream;
            return Err(ChunkError::NoPreviousHeader { chunk_stream, format: 2, at_byte });
        }
        let index = self.find_or_add(basic.chunk_stream)?;
        let stream = &mut self.streams[usize::from(index)];
        let (length, type_id) = header.length_and_type.unwrap_or((stream.length, stream.type_id));
        if stream.begun {
            // Some senders repeat a full header where type 3 belongs. Same length and type: the same message.
            if (length, type_id) != (stream.length, stream.type_id) {
                return Err(ChunkError::MessageInsideMessage {
                    chunk_stream: stream.id,
                    announced: length,
                    received: stream.partial.len(),
                    length: stream.length,
                    at_byte,
                });
            }
            return Ok(index);
        }
        stream.timestamp =
            if basic.format == 0 { header.time } else { stream.timestamp.wrapping_add(header.time) };
        stream.delta = header.time;
        stream.extended = header.extended.then(|| header.time.to_be_bytes());
        stream.length = length;
        stream.type_id = type_id;
        if let Some(message_stream) = header.message_stream {
            stream.message_stream = message_stream;
        }
        Ok(index)
    }

    /// Copies payload. `None`: more bytes are needed; `Some(Some(_))`: the message is complete.
    #[inline]
    fn read_payload(
        &mut self,
        input: &mut &[u8],
        index: u16,
        left: usize,
    ) -> Result<Option<Option<u16>>, ChunkError> {
        let take = left.min(input.len());
        if take == 0 {
            return Ok(None);
        }
        let stream = &mut self.streams[usize::from(index)];
        let needed = stream.partial.len() + take;
        if needed > stream.partial.capacity() {
            grow(stream, needed, &mut self.in_flight, &self.limits, self.position)?;
        }
        let (taken, rest) = input.split_at(take);
        stream.partial.extend_from_slice(taken);
        *input = rest;
        self.position = self.position.wrapping_add(take as u64);
        if stream.type_id > message_type::SET_PEER_BANDWIDTH {
            self.media_bytes = self.media_bytes.wrapping_add(take as u64);
        }
        if take < left {
            self.stage = Stage::Payload { index, left: left - take };
            return Ok(None);
        }
        self.stage = Stage::Header;
        self.read_run(input, index)?;
        let stream = &self.streams[usize::from(index)];
        Ok(Some((stream.partial.len() == stream.length as usize).then_some(index)))
    }

    /// Copies the chunks that follow of the same message, as long as each is whole in `input` and has the one-byte
    /// header. That is most of what encoders send, and at 128-byte chunks the rest of the reader would cost more
    /// than the copy.
    #[inline]
    fn read_run(&mut self, input: &mut &[u8], index: u16) -> Result<(), ChunkError> {
        let stream = &mut self.streams[usize::from(index)];
        let length = stream.length as usize;
        let Some(id) = u8::try_from(stream.id).ok().filter(|id| *id < 64 && stream.extended.is_none()) else {
            return Ok(());
        };
        let (header, chunk_size, begin) = (0xc0 | id, self.chunk_size, input.len());
        let media = stream.type_id > message_type::SET_PEER_BANDWIDTH;
        let had = stream.partial.len();
        while let Some((&first, rest)) = input.split_first() {
            let left = (length - stream.partial.len()).min(chunk_size);
            if first != header || left == 0 || rest.len() < left {
                break;
            }
            let needed = stream.partial.len() + left;
            if needed > stream.partial.capacity() {
                let at_byte = self.position.wrapping_add((begin - input.len()) as u64);
                grow(stream, needed, &mut self.in_flight, &self.limits, at_byte)?;
            }
            let (chunk, rest) = rest.split_at(left);
            stream.partial.extend_from_slice(chunk);
            *input = rest;
        }
        self.position = self.position.wrapping_add((begin - input.len()) as u64);
        if media {
            self.media_bytes = self.media_bytes.wrapping_add((stream.partial.len() - had) as u64);
        }
        Ok(())
    }

    fn take_message(&mut self, index: u16) -> Message {
        let stream = &mut self.streams[usize::from(index)];
        let payload = std::mem::take(&mut stream.partial);
        self.in_flight -= payload.capacity();
        self.partials -= 1;
        stream.begun = false;
        Message {
            timestamp: RtmpMillis(stream.timestamp),
            type_id: stream.type_id,
            message_stream_id: stream.message_stream,
            payload: Bytes::from(payload),
        }
    }

    /// Obeys what belongs to this layer; `None` if that was all.
    fn handle_message(&mut self, message: Message) -> Result<Option<Message>, ChunkError> {
        let at_byte = self.position;
        let number = |payload: &Bytes| {
            let length = payload.len();
            let short = ChunkError::ShortControlMessage { type_id: message.type_id, length, at_byte };
            payload.first_chunk().map(|four| u32::from_be_bytes(*four)).ok_or(short)
        };
        match message.type_id {
            message_type::SET_CHUNK_SIZE => {
                let announced = number(&message.payload)?;
                if announced == 0 || announced > i32::MAX.unsigned_abs() {
                    return Err(ChunkError::InvalidChunkSize { announced, at_byte });
                }
                self.chunk_size = announced.min(MAX_CHUNK_SIZE) as usize;
                Ok(None)
            }
            message_type::ABORT => {
                let chunk_stream = number(&message.payload)?;
                self.abort(chunk_stream);
                Ok(None)
            }
            message_type::AGGREGATE => {
                self.aggregate = Some(Aggregate::new(message));
                self.next_of_aggregate()
            }
            _ => Ok(Some(message)),
        }
    }

    fn abort(&mut self, chunk_stream: u32) {
        let Some(index) = self.find(chunk_stream) else { return };
        let stream = &mut self.streams[usize::from(index)];
        if std::mem::take(&mut stream.begun) {
            self.partials -= 1;
            self.in_flight -= std::mem::take(&mut stream.partial).capacity();
        }
    }

    fn next_of_aggregate(&mut self) -> Result<Option<Message>, ChunkError> {
        let Some(aggregate) = &mut self.aggregate else { return Ok(None) };
        let next = aggregate.next()?;
        if next.is_none() {
            self.aggregate = None;
        }
        Ok(next)
    }
}

/// Makes room for `needed` bytes: doubled, at most the message's length, within the connection's budget.
#[cold]
fn grow(
    stream: &mut ChunkStream,
    needed: usize,
    in_flight: &mut usize,
    limits: &ChunkLimits,
    at_byte: u64,
) -> Result<(), ChunkError> {
    let had = stream.partial.capacity();
    let want = needed.max(had * 2).max(FIRST_RESERVATION).min(stream.length as usize);
    let limit = limits.max_in_flight_bytes;
    let total = *in_flight + (want - had);
    if total > limit {
        return Err(ChunkError::TooManyBytesInFlight { needed: total, limit, at_byte });
    }
    stream.partial.reserve_exact(want - stream.partial.len());
    *in_flight += stream.partial.capacity() - had;
    Ok(())
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
