//! What one connection may cost before it is cut off.

/// Most bytes of one message that a publisher may send: 8 MiB.
pub const MAX_MESSAGE_BYTES: usize = 8 << 20;
/// Most bytes reserved for messages of one connection that are not complete yet: 16 MiB.
pub const MAX_IN_FLIGHT_BYTES: usize = 16 << 20;
/// Most messages of one connection that are not complete yet.
pub const MAX_PARTIAL_MESSAGES: usize = 32;
/// Most chunk streams of one connection. Encoders use fewer than ten.
pub const MAX_CHUNK_STREAMS: usize = 256;
/// Largest chunk size that means anything: a message has at most so many bytes (RTMP 1.0 §5.4.1).
pub const MAX_CHUNK_SIZE: u32 = 0x00ff_ffff;

/// Limits of the chunk reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkLimits {
    /// Bytes of one message. Raise it for intra-only video of hundreds of megabits.
    pub max_message_bytes: usize,
    /// Bytes reserved for all messages that are not complete.
    pub max_in_flight_bytes: usize,
    /// Messages that are not complete.
    pub max_partial_messages: usize,
    /// Chunk streams that were ever used.
    pub max_chunk_streams: usize,
}

impl Default for ChunkLimits {
    fn default() -> Self {
        Self {
            max_message_bytes: MAX_MESSAGE_BYTES,
            max_in_flight_bytes: MAX_IN_FLIGHT_BYTES,
            max_partial_messages: MAX_PARTIAL_MESSAGES,
            max_chunk_streams: MAX_CHUNK_STREAMS,
        }
    }
}

impl ChunkLimits {
    /// What a stranger may use before a publish is accepted: commands are a few hundred bytes.
    #[must_use]
    pub fn before_publish(self) -> Self {
        Self {
            max_message_bytes: self.max_message_bytes.min(64 << 10),
            max_in_flight_bytes: self.max_in_flight_bytes.min(256 << 10),
            ..self
        }
    }
}

/// Limits of the AMF0 decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amf0Limits {
    /// Objects and arrays inside one another.
    pub max_depth: usize,
    /// Values of one message, nested ones included.
    pub max_values: usize,
    /// Bytes of one string or property name.
    pub max_string_bytes: usize,
}

impl Default for Amf0Limits {
    fn default() -> Self {
        Self { max_depth: 16, max_values: 1000, max_string_bytes: 64 << 10 }
    }
}
