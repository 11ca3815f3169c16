//! FLV files as tags.

use std::path::Path;

use bytes::Bytes;

/// One tag: kind is the RTMP message type (8 audio, 9 video, 18 script).
#[derive(Debug, Clone)]
pub(crate) struct Tag {
    pub(crate) kind: u8,
    /// Milliseconds.
    pub(crate) timestamp: u32,
    pub(crate) body: Bytes,
}

impl Tag {
    /// Whether it carries codec configuration (legacy H.264 and AAC), or only says that a sequence ends.
    pub(crate) fn is_header(&self) -> bool {
        match self.kind {
            9 => self.body.get(1) != Some(&1),
            8 => self.body.get(1) == Some(&0),
            _ => true,
        }
    }

    /// Whether it is a coded keyframe.
    pub(crate) fn is_keyframe(&self) -> bool {
        self.kind == 9 && self.body.first().is_some_and(|b| b >> 4 == 1) && !self.is_header()
    }
}

/// Every tag of a file.
pub(crate) fn read(path: &Path) -> Vec<Tag> {
    let bytes = Bytes::from(std::fs::read(path).unwrap());
    assert_eq!(&bytes[..3], b"FLV", "{} is no FLV file", path.display());
    // File header (9 bytes) and the size of the tag before the first (4).
    let mut at = 13;
    let mut tags = Vec::new();
    while at + 11 <= bytes.len() {
        let head = &bytes[at..at + 11];
        let length = usize::from(head[1]) << 16 | usize::from(head[2]) << 8 | usize::from(head[3]);
        let timestamp = u32::from_be_bytes([head[7], head[4], head[5], head[6]]);
        let body = bytes.slice(at + 11..at + 11 + length);
        tags.push(Tag { kind: head[0] & 0x1f, timestamp, body });
        at += 11 + length + 4;
    }
    tags
}

/// Recordings one after the other, as one broadcast: sound goes on without a hole.
pub(crate) fn joined(recordings: &[Vec<Tag>]) -> Vec<Tag> {
    let (mut all, mut before) = (Vec::new(), 0);
    for tags in recordings {
        all.extend(tags.iter().map(|tag| Tag { timestamp: tag.timestamp + before, ..tag.clone() }));
        // 1,024 samples at 48 kHz per frame.
        let sound = tags.iter().filter(|tag| tag.kind == 8 && !tag.is_header()).count();
        before += u32::try_from(sound * 1024 / 48).unwrap();
    }
    all
}
