//! The FLV tag as it travels from ingest to packager, and the cheap look at its first bytes that ingest needs.
//!
//! A body is one [`Bytes`] from the socket to the part. Ingest never parses more than this module does; what the
//! codec bytes mean is the packager's business.

use bytes::Bytes;

use crate::time::RtmpMillis;

/// What a tag carries (FLV §E.4.1; RTMP message types 8, 9 and 18).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TagKind {
    /// Message type 8.
    Audio,
    /// Message type 9.
    Video,
    /// Message type 18 (or 15 with its AMF3 byte removed): `onMetaData` and its kin, with `@setDataFrame` removed.
    Script,
}

/// One audio, video or data message of a publisher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlvTag {
    /// Audio, video or script.
    pub kind: TagKind,
    /// Decode time.
    pub timestamp: RtmpMillis,
    /// The message payload: for audio and video it begins with the FLV (or Enhanced RTMP) header byte.
    pub body: Bytes,
}

/// Video FourCC and codec ids, audio formats: legacy numbers of FLV §E.4.2.1 and §E.4.3.1.
const VIDEO_EX_HEADER: u8 = 0x80;
const LEGACY_AVC: u8 = 7;
const LEGACY_AAC: u8 = 10;
const AUDIO_EX_HEADER: u8 = 9;
const FRAME_TYPE_KEY: u8 = 1;

impl FlvTag {
    /// Whether this tag carries codec configuration rather than media: a legacy AVC or AAC sequence header, or an
    /// Enhanced RTMP `SequenceStart` (also `MPEG2TSSequenceStart`, `MultichannelConfig`), multitrack included.
    #[must_use]
    pub fn is_sequence_header(&self) -> bool {
        let body = self.body.as_ref();
        let Some(&first) = body.first() else { return false };
        match self.kind {
            TagKind::Script => false,
            TagKind::Video if first & VIDEO_EX_HEADER != 0 => {
                let packet = first & 0x0f;
                // 6 = Multitrack: the low nibble of the next byte is the real packet type.
                let packet = if packet == 6 { body.get(1).map_or(packet, |b| b & 0x0f) } else { packet };
                packet == 0 || packet == 5
            }
            TagKind::Video => first & 0x0f == LEGACY_AVC && body.get(1) == Some(&0),
            TagKind::Audio if first >> 4 == AUDIO_EX_HEADER => {
                let packet = first & 0x0f;
                // 5 = Multitrack, as above.
                let packet = if packet == 5 { body.get(1).map_or(packet, |b| b & 0x0f) } else { packet };
                packet == 0 || packet == 4
            }
            TagKind::Audio => first >> 4 == LEGACY_AAC && body.get(1) == Some(&0),
        }
    }

    /// Whether this tag carries a coded picture that starts a closed or open group of pictures: frame type 1 and
    /// not a sequence header.
    #[must_use]
    pub fn is_keyframe(&self) -> bool {
        self.kind == TagKind::Video
            && self.body.first().is_some_and(|first| (first >> 4) & 0x07 == FRAME_TYPE_KEY)
            && !self.is_sequence_header()
            && !self.is_end_of_sequence()
    }

    /// Whether this tag only says that a sequence ends (AVC packet type 2, Enhanced RTMP `SequenceEnd`).
    #[must_use]
    pub fn is_end_of_sequence(&self) -> bool {
        let body = self.body.as_ref();
        match (self.kind, body.first()) {
            (TagKind::Video, Some(first)) if first & VIDEO_EX_HEADER != 0 => first & 0x0f == 2,
            (TagKind::Video, Some(first)) => first & 0x0f == LEGACY_AVC && body.get(1) == Some(&2),
            (TagKind::Audio, Some(first)) => first >> 4 == AUDIO_EX_HEADER && first & 0x0f == 2,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(kind: TagKind, body: &[u8]) -> FlvTag {
        FlvTag { kind, timestamp: RtmpMillis(0), body: Bytes::copy_from_slice(body) }
    }

    #[test]
    fn the_peek_tells_configuration_from_media() {
        use TagKind::{Audio, Script, Video};
        // (what, kind, bytes, sequence header, keyframe)
        let table: [(&str, TagKind, &[u8], bool, bool); 13] = [
            ("avc sequence header", Video, &[0x17, 0, 0, 0, 0], true, false),
            ("avc keyframe", Video, &[0x17, 1, 0, 0, 0], false, true),
            ("avc inter frame", Video, &[0x27, 1, 0, 0, 0], false, false),
            ("avc end of sequence", Video, &[0x17, 2, 0, 0, 0], false, false),
            ("aac sequence header", Audio, &[0xaf, 0, 0x11, 0x90], true, false),
            ("aac frame", Audio, &[0xaf, 1, 0x21], false, false),
            ("mp3 frame", Audio, &[0x2f, 0xff], false, false),
            ("hevc sequence start", Video, b"\x90hvc1", true, false),
            ("hevc keyframe", Video, b"\x91hvc1", false, true),
            ("hevc inter frame", Video, b"\xa1hvc1", false, false),
            ("multitrack sequence start", Video, b"\x96\x00avc1\x01", true, false),
            ("opus sequence start", Audio, b"\x90Opus", true, false),
            ("metadata", Script, &[2, 0, 10], false, false),
        ];
        for (what, kind, bytes, header, key) in table {
            let tag = tag(kind, bytes);
            assert_eq!((tag.is_sequence_header(), tag.is_keyframe()), (header, key), "{what}");
        }
    }

    #[test]
    fn empty_and_short_bodies_are_nothing_special() {
        for kind in [TagKind::Audio, TagKind::Video, TagKind::Script] {
            for first in 0..=255u8 {
                let _ = tag(kind, &[first]).is_sequence_header();
                let _ = tag(kind, &[first]).is_keyframe();
            }
            assert!(!tag(kind, &[]).is_sequence_header() && !tag(kind, &[]).is_keyframe());
        }
    }
}
