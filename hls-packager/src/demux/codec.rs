//! The registry of codecs: what a message may name, and which of them we package.
//!
//! To package another codec: give it a file beside `avc.rs` that turns its configuration into a
//! [`super::VideoConfig`] or [`super::AudioConfig`], and an arm in [`super::Demuxer`].

/// A video codec an encoder may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VideoCodec {
    /// H.264.
    Avc,
    /// H.265.
    Hevc,
    /// H.266.
    Vvc,
    /// AV1.
    Av1,
    /// VP8.
    Vp8,
    /// VP9.
    Vp9,
    /// A legacy codec id.
    Legacy(u8),
    /// A FourCC we do not know.
    Unknown([u8; 4]),
}

impl VideoCodec {
    /// From the low nibble of a legacy video tag (FLV §E.4.3.1; 12 to 14 are later use by encoders).
    pub(crate) fn from_legacy(id: u8) -> Self {
        match id {
            7 => Self::Avc,
            12 => Self::Hevc,
            13 => Self::Av1,
            14 => Self::Vvc,
            other => Self::Legacy(other),
        }
    }

    /// From an Enhanced RTMP FourCC.
    pub(crate) fn from_four_cc(four_cc: [u8; 4]) -> Self {
        match &four_cc {
            b"avc1" => Self::Avc,
            b"hvc1" => Self::Hevc,
            b"vvc1" => Self::Vvc,
            b"av01" => Self::Av1,
            b"vp08" => Self::Vp8,
            b"vp09" => Self::Vp9,
            _ => Self::Unknown(four_cc),
        }
    }

    /// Whether its coded frames carry a composition time.
    pub(crate) fn has_composition_time(self) -> bool {
        matches!(self, Self::Avc | Self::Hevc | Self::Vvc)
    }

    /// The name for the streamer.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Avc => "H.264 video".into(),
            Self::Hevc => "HEVC video".into(),
            Self::Vvc => "VVC video".into(),
            Self::Av1 => "AV1 video".into(),
            Self::Vp8 => "VP8 video".into(),
            Self::Vp9 => "VP9 video".into(),
            Self::Legacy(1) => "JPEG video".into(),
            Self::Legacy(2) => "Sorenson H.263 video".into(),
            Self::Legacy(3 | 6) => "Screen video".into(),
            Self::Legacy(4 | 5) => "VP6 video".into(),
            Self::Legacy(id) => format!("video codec {id}"),
            Self::Unknown(four_cc) => format!("video codec \"{}\"", four_cc.escape_ascii()),
        }
    }
}

/// An audio codec an encoder may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AudioCodec {
    /// AAC.
    Aac,
    /// MPEG-1 audio layer III.
    Mp3,
    /// Speex.
    Speex,
    /// Opus.
    Opus,
    /// FLAC.
    Flac,
    /// AC-3.
    Ac3,
    /// E-AC-3.
    Eac3,
    /// A legacy sound format.
    Legacy(u8),
    /// A FourCC we do not know.
    Unknown([u8; 4]),
}

impl AudioCodec {
    /// From the high nibble of a legacy audio tag (FLV §E.4.2.1).
    pub(crate) fn from_legacy(format: u8) -> Self {
        match format {
            10 => Self::Aac,
            2 | 14 => Self::Mp3,
            11 => Self::Speex,
            other => Self::Legacy(other),
        }
    }

    /// From an Enhanced RTMP FourCC.
    pub(crate) fn from_four_cc(four_cc: [u8; 4]) -> Self {
        match &four_cc {
            b"mp4a" => Self::Aac,
            b".mp3" => Self::Mp3,
            b"Opus" => Self::Opus,
            b"fLaC" => Self::Flac,
            b"ac-3" => Self::Ac3,
            b"ec-3" => Self::Eac3,
            _ => Self::Unknown(four_cc),
        }
    }

    /// The name for the streamer.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Aac => "AAC audio".into(),
            Self::Mp3 => "MP3 audio".into(),
            Self::Speex => "Speex audio".into(),
            Self::Opus => "Opus audio".into(),
            Self::Flac => "FLAC audio".into(),
            Self::Ac3 => "AC-3 audio".into(),
            Self::Eac3 => "E-AC-3 audio".into(),
            Self::Legacy(0 | 3) => "PCM audio".into(),
            Self::Legacy(1) => "ADPCM audio".into(),
            Self::Legacy(4..=6) => "Nellymoser audio".into(),
            Self::Legacy(7 | 8) => "G.711 audio".into(),
            Self::Legacy(format) => format!("audio codec {format}"),
            Self::Unknown(four_cc) => format!("audio codec \"{}\"", four_cc.escape_ascii()),
        }
    }
}
