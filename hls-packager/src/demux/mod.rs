//! FLV tags to codec configurations and access units. One file per codec; which bytes mean what is known here and
//! nowhere else.
//!
//! | Specification | Where |
//! |---|---|
//! | Adobe Video File Format Specification 10.1, annex E; Enhanced RTMP v2 | [`header`] |
//! | ISO/IEC 14496-15 §5.3 (AVC in length-prefixed form), ITU-T H.264 annex E | [`avc`] |
//! | ISO/IEC 14496-3 §1.6 (`AudioSpecificConfig`) | [`aac`] |

pub mod aac;
pub mod avc;
mod codec;
mod header;
mod metadata;

use std::sync::Arc;

use bytes::Bytes;
use millrace_core::flv::{FlvTag, TagKind};
use millrace_core::time::{RtmpMillis, Timescale};

use crate::timeline::FrameRate;
use aac::AacConfigError;
use avc::{Avc, AvcConfigError};
use codec::{AudioCodec, VideoCodec};
use header::{HeaderError, Packet, PacketKind};

/// A video track's configuration, whatever its codec.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoConfig {
    /// RFC 6381, `avc1.64001f`.
    pub codec: String,
    /// Pixels, after cropping.
    pub width: u32,
    /// Pixels, after cropping.
    pub height: u32,
    /// What the bitstream says of its frame rate.
    pub frame_rate: Option<FrameRate>,
    /// Frames that may precede another in decoding and follow it in output, if the bitstream says.
    pub reorder_frames: Option<u32>,
    /// Type of the sample entry.
    pub sample_entry: [u8; 4],
    /// The sample entry's configuration box: type and payload.
    pub decoder_config: ([u8; 4], Bytes),
}

/// An audio track's configuration, whatever its codec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioConfig {
    /// RFC 6381, `mp4a.40.2`.
    pub codec: String,
    /// Samples per second of the core coder; the track's timescale.
    pub scale: Timescale,
    /// Channels.
    pub channels: u8,
    /// Samples per access unit.
    pub frame_samples: u32,
    /// An access unit of silence.
    pub silence: Bytes,
    /// Type of the sample entry.
    pub sample_entry: [u8; 4],
    /// The sample entry's configuration box: type and payload.
    pub decoder_config: ([u8; 4], Bytes),
}

/// What a tag turned out to hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Demuxed {
    /// The video's configuration, first or changed.
    VideoConfig(Arc<VideoConfig>),
    /// The audio's configuration, first or changed.
    AudioConfig(Arc<AudioConfig>),
    /// A coded picture.
    Video(VideoUnit),
    /// A coded audio frame.
    Audio(AudioUnit),
    /// `onMetaData`: which tracks to expect, the nominal frame rate, and the bits of the video.
    Metadata {
        /// A video track will come.
        video: bool,
        /// An audio track will come.
        audio: bool,
        /// Frames per second.
        frame_rate: Option<f64>,
        /// Bits per second of the video.
        video_bits: Option<u32>,
    },
    /// A track other than the default one was skipped.
    UnknownTrack,
    /// An access unit was dropped; decoding resumes at the next sync sample.
    BrokenUnit(TagKind),
}

/// A coded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoUnit {
    /// Decode time.
    pub timestamp: RtmpMillis,
    /// Nanoseconds on top of it, below a millisecond.
    pub nanos: u32,
    /// Composition offset in milliseconds.
    pub composition_ms: i32,
    /// Whether it decodes alone.
    pub sync: bool,
    /// The sample as it goes into `mdat`.
    pub data: Bytes,
}

/// A coded audio frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioUnit {
    /// Its time.
    pub timestamp: RtmpMillis,
    /// Nanoseconds on top of it, below a millisecond.
    pub nanos: u32,
    /// The sample as it goes into `mdat`.
    pub data: Bytes,
}

/// This publisher's media cannot be packaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DemuxError {
    /// A codec on the default track that we do not package.
    #[error("{codec} is not packaged")]
    Codec {
        /// Name for the streamer: `HEVC video`.
        codec: String,
        /// Whether it is the video.
        video: bool,
    },
    /// MP3 on the default track: what is packaged is made of it elsewhere ([`mp3_frames`]).
    #[error("MP3 audio is not packaged")]
    Mp3,
    /// The video's configuration is not valid.
    #[error("H.264 configuration")]
    Avc(#[from] AvcConfigError),
    /// The audio's configuration is not valid.
    #[error("AAC configuration")]
    Aac(#[from] AacConfigError),
}

/// The demuxer of one publisher.
#[derive(Debug, Default)]
pub struct Demuxer {
    video: Option<(Avc, Arc<VideoConfig>)>,
    audio: Option<Arc<AudioConfig>>,
}

impl Demuxer {
    /// Reads one tag and appends what it holds to `out`.
    ///
    /// # Errors
    /// [`DemuxError`]: the default track cannot be packaged. A broken frame, an unknown track or an unknown tag is
    /// never an error.
    pub fn demux(&mut self, tag: &FlvTag, out: &mut Vec<Demuxed>) -> Result<(), DemuxError> {
        match tag.kind {
            TagKind::Video => self.video(tag, out),
            TagKind::Audio => self.audio(tag, out),
            TagKind::Script => {
                if let Some(found) = metadata::parse(&tag.body) {
                    out.push(Demuxed::Metadata {
                        video: found.video,
                        audio: found.audio,
                        frame_rate: found.frame_rate,
                        video_bits: found.video_bits,
                    });
                }
                Ok(())
            }
        }
    }

    fn video(&mut self, tag: &FlvTag, out: &mut Vec<Demuxed>) -> Result<(), DemuxError> {
        for packet in default_track(header::parse_video(&tag.body), TagKind::Video, out) {
            match (packet.codec, packet.kind) {
                (_, PacketKind::Other) => {}
                (VideoCodec::Avc, PacketKind::Configuration) => {
                    self.set_video(Avc::parse(&packet.data)?, out)?
                }
                (VideoCodec::Avc, PacketKind::Frame) => {
                    let Some((avc, _)) = &self.video else { continue };
                    let Ok((unit, changed)) = avc.read_unit(&packet.data) else {
                        out.push(Demuxed::BrokenUnit(TagKind::Video));
                        continue;
                    };
                    if let Some(changed) = changed
                        && self.set_video(changed, out).is_err()
                    {
                        out.push(Demuxed::BrokenUnit(TagKind::Video));
                        continue;
                    }
                    out.extend(unit.map(|unit| {
                        Demuxed::Video(VideoUnit {
                            timestamp: tag.timestamp,
                            nanos: packet.nanos,
                            composition_ms: packet.composition_ms,
                            sync: unit.sync,
                            data: unit.data,
                        })
                    }));
                }
                (codec, _) => return Err(DemuxError::Codec { codec: codec.name(), video: true }),
            }
        }
        Ok(())
    }

    /// Takes over a configuration and announces it if it differs: encoders repeat theirs.
    fn set_video(&mut self, avc: Avc, out: &mut Vec<Demuxed>) -> Result<(), DemuxError> {
        if self.video.as_ref().is_some_and(|(known, _)| *known == avc) {
            return Ok(());
        }
        let config = Arc::new(avc.config()?);
        if self.video.as_ref().is_none_or(|(_, known)| *known != config) {
            out.push(Demuxed::VideoConfig(Arc::clone(&config)));
        }
        self.video = Some((avc, config));
        Ok(())
    }

    fn audio(&mut self, tag: &FlvTag, out: &mut Vec<Demuxed>) -> Result<(), DemuxError> {
        for packet in default_track(header::parse_audio(&tag.body), TagKind::Audio, out) {
            match (packet.codec, packet.kind) {
                (_, PacketKind::Other) => {}
                (AudioCodec::Aac, PacketKind::Configuration) => {
                    let config = aac::parse_config(&packet.data)?;
                    if self.audio.as_deref() != Some(&config) {
                        let config = Arc::new(config);
                        out.push(Demuxed::AudioConfig(Arc::clone(&config)));
                        self.audio = Some(config);
                    }
                }
                (AudioCodec::Aac, PacketKind::Frame) => {
                    if self.audio.is_some() && !packet.data.is_empty() {
                        out.push(Demuxed::Audio(AudioUnit {
                            timestamp: tag.timestamp,
                            nanos: packet.nanos,
                            data: packet.data,
                        }));
                    }
                }
                (AudioCodec::Mp3, _) => return Err(DemuxError::Mp3),
                (codec, _) => return Err(DemuxError::Codec { codec: codec.name(), video: false }),
            }
        }
        Ok(())
    }
}

/// The frames of a tag whose default track is MP3. `None` for every other tag.
pub(crate) fn mp3_frames(tag: &FlvTag) -> Option<Vec<Bytes>> {
    // Most sound is AAC, and this is asked of every tag.
    if tag.kind != TagKind::Audio || !header::may_be_mp3(*tag.body.first()?) {
        return None;
    }
    let packets = header::parse_audio(&tag.body).ok()?;
    let of_track = packets.into_iter().filter(|packet| packet.track == 0);
    let mut mp3 = of_track.filter(|packet| packet.codec == AudioCodec::Mp3).peekable();
    mp3.peek()?;
    Some(mp3.filter(|packet| packet.kind == PacketKind::Frame).map(|packet| packet.data).collect())
}

/// The default track's packets of a message. Other tracks are told in `out`, and so is a message that cannot be read.
fn default_track<C>(
    parsed: Result<Vec<Packet<C>>, HeaderError>,
    kind: TagKind,
    out: &mut Vec<Demuxed>,
) -> Vec<Packet<C>> {
    let Ok(mut packets) = parsed else {
        out.push(Demuxed::BrokenUnit(kind));
        return Vec::new();
    };
    packets.retain(|packet| {
        let known = packet.track == 0;
        if !known {
            out.push(Demuxed::UnknownTrack);
        }
        known
    });
    packets
}
