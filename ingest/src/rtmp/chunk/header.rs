//! Chunk headers: a look at bytes, without effect.

/// The timestamp field that says: the real value follows in four bytes.
pub(super) const EXTENDED: u32 = 0x00ff_ffff;
/// A three-byte basic header, a full message header, an extended timestamp.
pub(super) const MAX_HEADER: usize = 3 + 11 + 4;

/// Basic header: format and chunk stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BasicHeader {
    pub(super) format: u8,
    pub(super) chunk_stream: u32,
    pub(super) length: usize,
}

/// Message header of a type 0, 1 or 2 chunk; what the type leaves out is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MessageHeader {
    /// Absolute in type 0, else a delta; extended already.
    pub(super) time: u32,
    /// Whether `time` came in four bytes.
    pub(super) extended: bool,
    /// Message length and type, in types 0 and 1.
    pub(super) length_and_type: Option<(u32, u8)>,
    /// Message stream, in type 0.
    pub(super) message_stream: Option<u32>,
    /// Bytes, basic header excluded.
    pub(super) length: usize,
}

/// Reads 24 bits, big endian.
#[inline]
pub(super) fn u24(bytes: &[u8; 3]) -> u32 {
    u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]])
}

/// The basic header at the start of `bytes`, or `None` if more bytes are needed.
#[inline]
pub(super) fn parse_basic(bytes: &[u8]) -> Option<BasicHeader> {
    let &first = bytes.first()?;
    let (chunk_stream, length) = match first & 0x3f {
        0 => (64 + u32::from(*bytes.get(1)?), 2),
        1 => (64 + u32::from(*bytes.get(1)?) + 256 * u32::from(*bytes.get(2)?), 3),
        small => (u32::from(small), 1),
    };
    Some(BasicHeader { format: first >> 6, chunk_stream, length })
}

/// The message header of a chunk of `format` 0, 1 or 2, or `None` if more bytes are needed.
#[inline]
pub(super) fn parse_message(format: u8, bytes: &[u8]) -> Option<MessageHeader> {
    let time = u24(bytes.first_chunk()?);
    let mut length = 3;
    let length_and_type = if format <= 1 {
        let rest = bytes.get(3..7)?.first_chunk::<4>()?;
        length = 7;
        Some((u24(rest.first_chunk()?), rest[3]))
    } else {
        None
    };
    let message_stream = if format == 0 {
        length = 11;
        Some(u32::from_le_bytes(*bytes.get(7..)?.first_chunk()?))
    } else {
        None
    };
    let extended = time == EXTENDED;
    let time = if extended {
        let value = u32::from_be_bytes(*bytes.get(length..)?.first_chunk()?);
        length += 4;
        value
    } else {
        time
    };
    Some(MessageHeader { time, extended, length_and_type, message_stream, length })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_headers_have_one_two_or_three_bytes() {
        type Row = (&'static [u8], Option<(u8, u32, usize)>);
        let table: [Row; 7] = [
            (&[0x03], Some((0, 3, 1))),
            (&[0xff], Some((3, 63, 1))),
            (&[0x40], None),
            (&[0x40, 0], Some((1, 64, 2))),
            (&[0x80, 255], Some((2, 319, 2))),
            (&[0xc1, 255], None),
            (&[0xc1, 255, 255], Some((3, 65_599, 3))),
        ];
        for (bytes, expected) in table {
            let found = parse_basic(bytes).map(|h| (h.format, h.chunk_stream, h.length));
            assert_eq!(found, expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn every_prefix_of_a_message_header_asks_for_more() {
        let full = [0xff, 0xff, 0xff, 0, 1, 2, 9, 1, 0, 0, 0, 0x01, 0x02, 0x03, 0x04];
        for cut in 0..full.len() {
            assert_eq!(parse_message(0, &full[..cut]), None, "{cut}");
        }
        let header = parse_message(0, &full).unwrap();
        assert_eq!(header.time, 0x0102_0304);
        assert_eq!(header.length_and_type, Some((258, 9)));
        assert_eq!(header.message_stream, Some(1));
        assert_eq!(header.length, full.len());
    }
}
