//! Aggregate messages (RTMP 1.0 §7.1.6): FLV tags in one message.
//!
//! ```text
//! | type 1 | size 3 | time 3 | time, high byte 1 | stream id 3 | size bytes | back pointer 4 |
//! ```

use millrace_core::time::RtmpMillis;

use super::header::u24;
use super::{ChunkError, Message, message_type};

const TAG_HEADER: usize = 11;
const BACK_POINTER: usize = 4;

/// Hands out the tags of one aggregate, one at a time, so that many small ones cost no memory.
#[derive(Debug)]
pub(super) struct Aggregate {
    message: Message,
    offset: usize,
    /// Time of the first tag: the message's own time stands for it.
    first: Option<u32>,
}

impl Aggregate {
    pub(super) fn new(message: Message) -> Self {
        Self { message, offset: 0, first: None }
    }

    /// Bytes it holds.
    pub(super) fn len(&self) -> usize {
        self.message.payload.len()
    }

    /// The next tag as a message of the aggregate's message stream; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Message>, ChunkError> {
        let payload = &self.message.payload;
        let malformed = ChunkError::MalformedAggregate { length: payload.len(), offset: self.offset };
        let rest = payload.get(self.offset..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let header: &[u8; TAG_HEADER] = rest.first_chunk().ok_or(malformed)?;
        let [type_id, s0, s1, s2, t0, t1, t2, t3, ..] = *header;
        if type_id == message_type::AGGREGATE {
            return Err(malformed);
        }
        let size = u24(&[s0, s1, s2]) as usize;
        let time = u32::from_be_bytes([t3, t0, t1, t2]);
        let begin = self.offset + TAG_HEADER;
        let end = begin + size;
        if end > payload.len() {
            return Err(malformed);
        }
        let first = *self.first.get_or_insert(time);
        let message = Message {
            timestamp: RtmpMillis(self.message.timestamp.0.wrapping_add(time.wrapping_sub(first))),
            type_id,
            message_stream_id: self.message.message_stream_id,
            payload: self.message.payload.slice(begin..end),
        };
        // Some senders leave the last back pointer out.
        self.offset = end.saturating_add(BACK_POINTER).min(self.message.payload.len());
        Ok(Some(message))
    }
}

/// Builds the payload of an aggregate, for tests.
#[cfg(test)]
pub(super) fn build(tags: &[(u8, u32, &[u8])]) -> bytes::Bytes {
    let mut out = Vec::new();
    for (type_id, time, body) in tags {
        let size = u32::try_from(body.len()).unwrap().to_be_bytes();
        let time = time.to_be_bytes();
        out.extend_from_slice(&[
            *type_id, size[1], size[2], size[3], time[1], time[2], time[3], time[0], 0, 0, 0,
        ]);
        out.extend_from_slice(body);
        out.extend_from_slice(&u32::try_from(TAG_HEADER + body.len()).unwrap().to_be_bytes());
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn split(time: u32, payload: Bytes) -> Result<Vec<Message>, ChunkError> {
        let mut aggregate = Aggregate::new(Message {
            timestamp: RtmpMillis(time),
            type_id: message_type::AGGREGATE,
            message_stream_id: 1,
            payload,
        });
        let mut all = Vec::new();
        while let Some(message) = aggregate.next()? {
            all.push(message);
        }
        Ok(all)
    }

    #[test]
    fn tags_keep_their_distance_and_start_at_the_message_time() {
        let messages =
            split(10, build(&[(9, u32::MAX - 4, b"video"), (8, 15, b"audio"), (8, 15, b"")])).unwrap();
        let found: Vec<_> = messages.iter().map(|m| (m.type_id, m.timestamp.0, m.payload.len())).collect();
        assert_eq!(found, [(9, 10, 5), (8, 30, 5), (8, 30, 0)]);
    }

    #[test]
    fn a_cut_or_nested_tag_is_an_error() {
        let whole = build(&[(9, 0, b"video"), (8, 1, b"audio")]);
        let first = TAG_HEADER + 5 + BACK_POINTER;
        for cut in 1..whole.len() {
            // Without its back pointer, or a part of it, a tag is still whole.
            let whole_tags =
                (first - BACK_POINTER..=first).contains(&cut) || cut >= whole.len() - BACK_POINTER;
            assert_eq!(split(0, whole.slice(..cut)).is_ok(), whole_tags, "cut at {cut}");
        }
        assert!(split(0, build(&[(22, 0, b"")])).is_err());
    }
}
