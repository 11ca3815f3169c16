//! The chunk layer (RTMP 1.0 §5.3): chunks of many chunk streams in, whole messages out.
//!
//! ```text
//!  0 1 2 3 4 5 6 7
//! +---+-----------+----------------+--------------------+---------------------+---------
//! |fmt| csid      | csid, 0-2 more | message header     | extended timestamp  | payload
//! +---+-----------+----------------+--------------------+---------------------+---------
//!   0   full header:  timestamp 3, length 3, type 1, message stream id 4 (little endian)
//!   1   same stream:  delta 3, length 3, type 1
//!   2   same length and type: delta 3
//!   3   same everything, or the next chunk of a message that has begun
//! ```

mod aggregate;
mod error;
mod header;
mod reader;

pub use error::ChunkError;
pub use reader::ChunkReader;

use bytes::Bytes;
use millrace_core::time::RtmpMillis;

/// Message type ids (RTMP 1.0 §5.4, §7.1).
pub mod message_type {
    /// Set Chunk Size; the reader obeys it and hands out nothing.
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Abort Message; likewise.
    pub const ABORT: u8 = 2;
    /// Acknowledgement.
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// User Control.
    pub const USER_CONTROL: u8 = 4;
    /// Window Acknowledgement Size.
    pub const WINDOW_ACKNOWLEDGEMENT_SIZE: u8 = 5;
    /// Set Peer Bandwidth.
    pub const SET_PEER_BANDWIDTH: u8 = 6;
    /// Audio.
    pub const AUDIO: u8 = 8;
    /// Video.
    pub const VIDEO: u8 = 9;
    /// Data in AMF3 wrapping.
    pub const DATA_AMF3: u8 = 15;
    /// Command in AMF3 wrapping.
    pub const COMMAND_AMF3: u8 = 17;
    /// Data in AMF0.
    pub const DATA_AMF0: u8 = 18;
    /// Command in AMF0.
    pub const COMMAND_AMF0: u8 = 20;
    /// Aggregate; the reader splits it and hands out its parts.
    pub const AGGREGATE: u8 = 22;
}

/// One whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its time. For types 1 and 2 headers the deltas are added already.
    pub timestamp: RtmpMillis,
    /// One of [`message_type`], or something unknown.
    pub type_id: u8,
    /// The message stream it belongs to.
    pub message_stream_id: u32,
    /// Its bytes.
    pub payload: Bytes,
}
