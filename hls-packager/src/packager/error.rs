//! Why a publisher is refused, in words for the person at the encoder.

use crate::demux::DemuxError;
use crate::demux::aac::AacConfigError;
use crate::demux::avc::AvcConfigError;

/// This publisher cannot be packaged. The text is for the streamer: it names what was found and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PackagerError {
    /// A video codec we do not package.
    #[error("{codec} is not supported yet: choose H.264 in OBS under Settings > Output")]
    VideoCodec {
        /// `HEVC video`.
        codec: String,
    },
    /// MP3, and nothing that makes AAC of it.
    #[error(
        "MP3 audio needs millrace-transcoder, which this server does not have: choose AAC in OBS under Settings > Output"
    )]
    Mp3,
    /// An audio codec we do not package.
    #[error("{codec} is not supported yet: choose AAC in OBS under Settings > Output")]
    AudioCodec {
        /// `Opus audio`.
        codec: String,
    },
    /// The video's codec configuration is not valid.
    #[error(
        "the encoder sent an H.264 configuration that cannot be used ({source}): restart it, or choose another encoder"
    )]
    VideoConfiguration {
        /// What was found.
        source: AvcConfigError,
    },
    /// The audio's codec configuration is not valid.
    #[error(
        "the encoder sent an AAC configuration that cannot be used ({source}): choose AAC with 1 to 8 channels"
    )]
    AudioConfiguration {
        /// What was found.
        source: AacConfigError,
    },
}

impl From<DemuxError> for PackagerError {
    fn from(error: DemuxError) -> Self {
        match error {
            DemuxError::Codec { codec, video: true } => Self::VideoCodec { codec },
            DemuxError::Codec { codec, video: false } => Self::AudioCodec { codec },
            DemuxError::Mp3 => Self::Mp3,
            DemuxError::Avc(source) => Self::VideoConfiguration { source },
            DemuxError::Aac(source) => Self::AudioConfiguration { source },
        }
    }
}
