//! What can be wrong with chunks.

/// Why the input cannot be read as chunks. `at_byte` counts from the first byte after the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A type 2 or 3 header that refers to a header that never came.
    #[error("chunk stream {chunk_stream} begins with a type {format} header, at byte {at_byte}")]
    NoPreviousHeader {
        /// Which.
        chunk_stream: u32,
        /// 2 or 3.
        format: u8,
        /// Where.
        at_byte: u64,
    },
    /// A header that begins another message before the one under way is complete.
    #[error(
        "chunk stream {chunk_stream} begins a message of {announced} bytes after {received} of {length} bytes of \
         another, at byte {at_byte}"
    )]
    MessageInsideMessage {
        /// Which.
        chunk_stream: u32,
        /// Length of the new message.
        announced: u32,
        /// Bytes of the old one that came.
        received: usize,
        /// Bytes the old one has.
        length: u32,
        /// Where.
        at_byte: u64,
    },
    /// A message over the limit.
    #[error("message of {announced} bytes on chunk stream {chunk_stream}, limit {limit}, at byte {at_byte}")]
    MessageTooLong {
        /// Which.
        chunk_stream: u32,
        /// Length in its header.
        announced: u32,
        /// `max_message_bytes`.
        limit: usize,
        /// Where.
        at_byte: u64,
    },
    /// Too many messages at once.
    #[error("more than {limit} messages under way at once, at byte {at_byte}")]
    TooManyPartialMessages {
        /// `max_partial_messages`.
        limit: usize,
        /// Where.
        at_byte: u64,
    },
    /// Too many bytes in incomplete messages.
    #[error("incomplete messages need {needed} bytes, limit {limit}, at byte {at_byte}")]
    TooManyBytesInFlight {
        /// Bytes.
        needed: usize,
        /// `max_in_flight_bytes`.
        limit: usize,
        /// Where.
        at_byte: u64,
    },
    /// Too many chunk streams.
    #[error("more than {limit} chunk streams, at byte {at_byte}")]
    TooManyChunkStreams {
        /// `max_chunk_streams`.
        limit: usize,
        /// Where.
        at_byte: u64,
    },
    /// A chunk size of zero or with its top bit set.
    #[error("chunk size {announced} is not 1 to 2147483647, at byte {at_byte}")]
    InvalidChunkSize {
        /// What was announced.
        announced: u32,
        /// Where.
        at_byte: u64,
    },
    /// A protocol control message that is too short.
    #[error("protocol control message {type_id} has {length} bytes, expected 4, at byte {at_byte}")]
    ShortControlMessage {
        /// 1 or 2.
        type_id: u8,
        /// Its length.
        length: usize,
        /// Where.
        at_byte: u64,
    },
    /// A tag of an aggregate message that is cut off, or an aggregate inside an aggregate.
    #[error("aggregate message of {length} bytes is malformed at its byte {offset}")]
    MalformedAggregate {
        /// Bytes of the aggregate.
        length: usize,
        /// Offset of the bad tag.
        offset: usize,
    },
}
