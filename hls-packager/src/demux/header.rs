//! The header of an audio or video message: legacy FLV (§E.4.2, §E.4.3) or Enhanced RTMP v2, told apart per packet.
//!
//! ```text
//! legacy   | frame type 4 | codec 4 | packet type 8 | composition time SI24 | data          (AVC)
//! enhanced | 1 | frame type 3 | packet type 4 | (ModEx)* | (Multitrack) | FourCC | (track id | (size)) data …
//! ```

use bytes::Bytes;

use super::codec::{AudioCodec, VideoCodec};

/// What a packet of one track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PacketKind {
    /// Codec configuration.
    Configuration,
    /// A coded frame.
    Frame,
    /// Anything else: end of sequence, colour metadata, channel order.
    Other,
}

/// One track's share of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packet<C> {
    /// The codec.
    pub(crate) codec: C,
    /// 0 is the default track.
    pub(crate) track: u8,
    /// What the data is.
    pub(crate) kind: PacketKind,
    /// Composition offset in milliseconds, signed 24 bit.
    pub(crate) composition_ms: i32,
    /// Nanoseconds to add to the message's timestamp, below a millisecond.
    pub(crate) nanos: u32,
    /// Codec bytes.
    pub(crate) data: Bytes,
}

/// Why a header cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    /// The message ends inside its header or inside a track.
    #[error("message of {length} bytes ends where {wanted} bytes are wanted at {at}")]
    Truncated {
        /// Bytes of the message.
        length: usize,
        /// Where.
        at: usize,
        /// How many.
        wanted: usize,
    },
    /// A multitrack packet inside a multitrack packet, or an unknown kind of it.
    #[error("multitrack byte {found:#04x} is not valid")]
    Multitrack {
        /// The byte.
        found: u8,
    },
}

/// Reads big-endian fields off the front of a message; every read is checked.
struct Cursor<'a> {
    body: &'a Bytes,
    at: usize,
}

impl Cursor<'_> {
    fn take(&mut self, wanted: usize) -> Result<&[u8], HeaderError> {
        let error = HeaderError::Truncated { length: self.body.len(), at: self.at, wanted };
        let end = self.at.checked_add(wanted).ok_or(error)?;
        let bytes = self.body.get(self.at..end).ok_or(error)?;
        self.at = end;
        Ok(bytes)
    }

    fn u8(&mut self) -> Result<u8, HeaderError> {
        Ok(self.take(1)?[0])
    }

    fn u24(&mut self) -> Result<u32, HeaderError> {
        let bytes = self.take(3)?;
        Ok(u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 8 | u32::from(bytes[2]))
    }

    fn i24(&mut self) -> Result<i32, HeaderError> {
        Ok((self.u24()? << 8).cast_signed() >> 8)
    }

    fn four_cc(&mut self) -> Result<[u8; 4], HeaderError> {
        let bytes = self.take(4)?;
        Ok([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    fn slice(&mut self, length: usize) -> Result<Bytes, HeaderError> {
        let start = self.at;
        self.take(length)?;
        Ok(self.body.slice(start..self.at))
    }

    fn left(&self) -> usize {
        self.body.len() - self.at
    }
}

const PACKET_MOD_EX: u8 = 7;
const MOD_EX_TIMESTAMP_OFFSET_NANO: u8 = 0;

/// Reads the ModEx loop: the packet type that follows it and the nanosecond offset it carried.
fn mod_ex(cursor: &mut Cursor<'_>, mut packet: u8) -> Result<(u8, u32), HeaderError> {
    let mut nanos = 0;
    while packet == PACKET_MOD_EX {
        let mut size = usize::from(cursor.u8()?) + 1;
        if size == 256 {
            let bytes = cursor.take(2)?;
            size = usize::from(u16::from_be_bytes([bytes[0], bytes[1]])) + 1;
        }
        let data = cursor.take(size)?;
        let offset = match data {
            [a, b, c, ..] => u32::from(*a) << 16 | u32::from(*b) << 8 | u32::from(*c),
            _ => 0,
        };
        let next = cursor.u8()?;
        if next >> 4 == MOD_EX_TIMESTAMP_OFFSET_NANO {
            nanos = offset.min(999_999);
        }
        packet = next & 0x0f;
    }
    Ok((packet, nanos))
}

/// How many tracks a message holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Multitrack {
    Single,
    One,
    Many,
    ManyCodecs,
}

impl Multitrack {
    fn parse(byte: u8, multitrack_packet: u8) -> Result<(Self, u8), HeaderError> {
        let packet = byte & 0x0f;
        let kind = match byte >> 4 {
            0 => Self::One,
            1 => Self::Many,
            2 => Self::ManyCodecs,
            _ => return Err(HeaderError::Multitrack { found: byte }),
        };
        if packet == multitrack_packet {
            return Err(HeaderError::Multitrack { found: byte });
        }
        Ok((kind, packet))
    }
}

/// Reads a video message. Empty messages and command frames have no packet.
///
/// # Errors
/// [`HeaderError`] when the message is shorter than its header says.
pub(crate) fn parse_video(body: &Bytes) -> Result<Vec<Packet<VideoCodec>>, HeaderError> {
    const COMMAND_FRAME: u8 = 5;
    const PACKET_MULTITRACK: u8 = 6;
    let mut cursor = Cursor { body, at: 0 };
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let first = cursor.u8()?;
    if first & 0x80 == 0 {
        if first >> 4 == COMMAND_FRAME {
            return Ok(Vec::new());
        }
        return legacy_video(&mut cursor, first & 0x0f).map(|packet| vec![packet]);
    }
    let frame_type = (first >> 4) & 0x07;
    let (mut packet, nanos) = mod_ex(&mut cursor, first & 0x0f)?;
    if frame_type == COMMAND_FRAME && packet != 4 {
        return Ok(Vec::new());
    }
    let mut tracks = Multitrack::Single;
    if packet == PACKET_MULTITRACK {
        (tracks, packet) = Multitrack::parse(cursor.u8()?, PACKET_MULTITRACK)?;
    }
    read_tracks(&mut cursor, tracks, |cursor, four_cc, track, length| {
        let codec = VideoCodec::from_four_cc(four_cc);
        let start = cursor.at;
        let (kind, composition_ms) = match packet {
            0 | 5 => (PacketKind::Configuration, 0),
            1 if codec.has_composition_time() => (PacketKind::Frame, cursor.i24()?),
            1 | 3 => (PacketKind::Frame, 0),
            _ => (PacketKind::Other, 0),
        };
        let used = cursor.at - start;
        let rest = length.checked_sub(used).ok_or(HeaderError::Truncated {
            length: cursor.body.len(),
            at: start,
            wanted: used,
        })?;
        Ok(Packet { codec, track, kind, composition_ms, nanos, data: cursor.slice(rest)? })
    })
}

fn legacy_video(cursor: &mut Cursor<'_>, codec: u8) -> Result<Packet<VideoCodec>, HeaderError> {
    let codec = VideoCodec::from_legacy(codec);
    let (kind, composition_ms) = if codec.has_composition_time() {
        let kind = match cursor.u8()? {
            0 => PacketKind::Configuration,
            1 => PacketKind::Frame,
            _ => PacketKind::Other,
        };
        match kind {
            // An end of sequence may come without the composition time.
            PacketKind::Other => (kind, 0),
            _ => (kind, cursor.i24()?),
        }
    } else {
        (PacketKind::Frame, 0)
    };
    let data = cursor.slice(cursor.left())?;
    Ok(Packet { codec, track: 0, kind, composition_ms, nanos: 0, data })
}

/// The audio codec that says that the header is an enhanced one.
const AUDIO_EX_HEADER: u8 = 9;

/// Whether an audio message that begins with this byte may be MP3: a legacy header says it there, an enhanced one later.
pub(crate) fn may_be_mp3(first: u8) -> bool {
    first >> 4 == AUDIO_EX_HEADER || AudioCodec::from_legacy(first >> 4) == AudioCodec::Mp3
}

/// Reads an audio message. An empty message is silence and has no packet.
///
/// # Errors
/// [`HeaderError`] when the message is shorter than its header says.
pub(crate) fn parse_audio(body: &Bytes) -> Result<Vec<Packet<AudioCodec>>, HeaderError> {
    const PACKET_MULTITRACK: u8 = 5;
    let mut cursor = Cursor { body, at: 0 };
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let first = cursor.u8()?;
    if first >> 4 != AUDIO_EX_HEADER {
        let codec = AudioCodec::from_legacy(first >> 4);
        let kind = match codec {
            // A bare header byte is how some encoders send silence.
            AudioCodec::Aac if cursor.left() == 0 => return Ok(Vec::new()),
            AudioCodec::Aac if cursor.u8()? == 0 => PacketKind::Configuration,
            _ => PacketKind::Frame,
        };
        let data = cursor.slice(cursor.left())?;
        return Ok(vec![Packet { codec, track: 0, kind, composition_ms: 0, nanos: 0, data }]);
    }
    let (mut packet, nanos) = mod_ex(&mut cursor, first & 0x0f)?;
    let mut tracks = Multitrack::Single;
    if packet == PACKET_MULTITRACK {
        (tracks, packet) = Multitrack::parse(cursor.u8()?, PACKET_MULTITRACK)?;
    }
    let kind = match packet {
        0 => PacketKind::Configuration,
        1 => PacketKind::Frame,
        _ => PacketKind::Other,
    };
    read_tracks(&mut cursor, tracks, |cursor, four_cc, track, length| {
        let codec = AudioCodec::from_four_cc(four_cc);
        Ok(Packet { codec, track, kind, composition_ms: 0, nanos, data: cursor.slice(length)? })
    })
}

/// Walks the tracks of an enhanced message, to its end.
fn read_tracks<C>(
    cursor: &mut Cursor<'_>,
    tracks: Multitrack,
    mut read: impl FnMut(&mut Cursor<'_>, [u8; 4], u8, usize) -> Result<Packet<C>, HeaderError>,
) -> Result<Vec<Packet<C>>, HeaderError> {
    let mut four_cc = match tracks {
        Multitrack::ManyCodecs => *b"\0\0\0\0",
        _ => cursor.four_cc()?,
    };
    if tracks == Multitrack::Single {
        let left = cursor.left();
        return Ok(vec![read(cursor, four_cc, 0, left)?]);
    }
    // Every track takes at least one byte of the message, so the list cannot outgrow it.
    let mut packets = Vec::new();
    loop {
        if tracks == Multitrack::ManyCodecs {
            four_cc = cursor.four_cc()?;
        }
        let track = cursor.u8()?;
        let length = if tracks == Multitrack::One { cursor.left() } else { cursor.u24()? as usize };
        packets.push(read(cursor, four_cc, track, length)?);
        if tracks == Multitrack::One || cursor.left() == 0 {
            return Ok(packets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(bytes: &[u8]) -> Result<Vec<Packet<VideoCodec>>, HeaderError> {
        parse_video(&Bytes::copy_from_slice(bytes))
    }

    /// (codec, track, kind, composition, nanos, data)
    type Row<'a> = (VideoCodec, u8, PacketKind, i32, u32, &'a [u8]);

    #[test]
    fn every_form_of_a_video_message_is_read() {
        use PacketKind::{Configuration, Frame, Other};
        use VideoCodec::{Av1, Avc, Hevc};
        let table: [(&str, &[u8], &[Row<'_>]); 12] = [
            ("legacy header", &[0x17, 0, 0, 0, 0, 1, 2], &[(Avc, 0, Configuration, 0, 0, &[1, 2])]),
            ("legacy negative offset", &[0x27, 1, 0xff, 0xff, 0xfe, 9], &[(Avc, 0, Frame, -2, 0, &[9])]),
            ("legacy end", &[0x17, 2], &[(Avc, 0, Other, 0, 0, &[])]),
            ("legacy command", &[0x57, 0], &[]),
            ("nothing", &[], &[]),
            ("avc1 frame", b"\x91avc1\x00\x00\x21\x07", &[(Avc, 0, Frame, 33, 0, &[7])]),
            ("avc1 frame without offset", b"\xa3avc1\x07", &[(Avc, 0, Frame, 0, 0, &[7])]),
            ("av01 frame has no offset", b"\x91av01\x07", &[(Av1, 0, Frame, 0, 0, &[7])]),
            (
                "ModEx nanoseconds, twice",
                b"\x97\x02\x00\x01\x00\x07\x02\x00\x02\x00\x03avc1\x07",
                &[(Avc, 0, Frame, 0, 512, &[7])],
            ),
            ("one track", b"\x96\x03avc1\x05\x07", &[(Avc, 5, Frame, 0, 0, &[7])]),
            (
                "many tracks",
                b"\x96\x13avc1\x00\x00\x00\x02\x07\x08\x01\x00\x00\x01\x09",
                &[(Avc, 0, Frame, 0, 0, &[7, 8]), (Avc, 1, Frame, 0, 0, &[9])],
            ),
            (
                "many codecs",
                b"\x96\x21avc1\x00\x00\x00\x04\x00\x00\x01\x08hvc1\x01\x00\x00\x03\xff\xff\xff",
                &[(Avc, 0, Frame, 1, 0, &[8]), (Hevc, 1, Frame, -1, 0, &[])],
            ),
        ];
        for (what, bytes, rows) in table {
            let packets = video(bytes).unwrap_or_else(|e| panic!("{what}: {e}"));
            let found: Vec<Row<'_>> = packets
                .iter()
                .map(|p| (p.codec, p.track, p.kind, p.composition_ms, p.nanos, &p.data[..]))
                .collect();
            assert_eq!(found, rows, "{what}");
        }
    }

    #[test]
    fn truncated_messages_say_where() {
        for bytes in [
            &b"\x17"[..],
            b"\x27\x01\x00",
            b"\x91avc",
            b"\x91avc1\x00",
            b"\x97\x05\x00",
            b"\x97\xff\xff\xff",
            b"\x96\x13avc1\x00\x00\x00\x09\x00",
            b"\x96\x21avc1\x00\x00\x00\x02\x00\x00\x01",
        ] {
            assert!(matches!(video(bytes), Err(HeaderError::Truncated { .. })), "{bytes:x?}");
        }
        assert_eq!(video(b"\x96\x06avc1"), Err(HeaderError::Multitrack { found: 6 }));
        assert_eq!(video(b"\x96\x31avc1"), Err(HeaderError::Multitrack { found: 0x31 }));
    }

    #[test]
    fn every_form_of_an_audio_message_is_read() {
        use AudioCodec::{Aac, Mp3, Opus, Speex};
        use PacketKind::{Configuration, Frame, Other};
        type Found<'a> = Option<(AudioCodec, u8, PacketKind, &'a [u8])>;
        let table: [(&str, &[u8], Found<'_>); 9] = [
            ("aac header", &[0xaf, 0, 0x11, 0x90], Some((Aac, 0, Configuration, &[0x11, 0x90]))),
            ("aac frame", &[0xaf, 1, 7], Some((Aac, 0, Frame, &[7]))),
            ("silence", &[], None),
            ("silence with a header byte", &[0xaf], None),
            ("mp3", &[0x2f, 7], Some((Mp3, 0, Frame, &[7]))),
            ("speex", &[0xb6, 7], Some((Speex, 0, Frame, &[7]))),
            ("enhanced aac", b"\x91mp4a\x07", Some((Aac, 0, Frame, &[7]))),
            ("enhanced channel order", b"\x94mp4a\x07", Some((Aac, 0, Other, &[7]))),
            ("enhanced opus track 1", b"\x95\x01Opus\x01\x07", Some((Opus, 1, Frame, &[7]))),
        ];
        for (what, bytes, row) in table {
            let packets =
                parse_audio(&Bytes::copy_from_slice(bytes)).unwrap_or_else(|e| panic!("{what}: {e}"));
            let found = packets.first().map(|p| (p.codec, p.track, p.kind, &p.data[..]));
            assert_eq!(found, row, "{what}");
        }
    }
}
