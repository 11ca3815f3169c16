//! What the server and the program that transcodes say to each other over a pipe. Sans-IO.
//!
//! The transcoder (`millrace-transcoder`) is a process of its own, so that a codec that crashes, hangs or eats memory costs
//! what it was making and nothing else. It reads orders from its standard input and writes reports to its standard output;
//! its standard error is for people. Both ends are of one version: they are installed together.
//!
//! ```text
//!  0        4
//! ├────────┼──────────────────┤
//!  length   message            length: u32, big endian, of the message alone
//! ```
//!
//! Messages are serde values in the encoding of `postcard`. It does one of three jobs, named by its only argument:
//!
//! | Job | One process for | Orders | Reports |
//! |---|---|---|---|
//! | `ladder` | a broadcast | [`LadderOrder`] | [`LadderReport`] |
//! | `stills` | all broadcasts of a server | [`StillOrder`] | [`StillReport`] |
//! | `sound` | a broadcast | [`SoundOrder`] | [`SoundReport`] |
//!
//! Times are ticks of 90 kHz on a line of the server's choice; the transcoder hands them back as they came. It ends when its
//! standard input does.

use bytes::{Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Longest message: a picture may be as large as the largest RTMP message (8 MiB), and raw pictures are never sent.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;
/// Bytes of a message's length.
const LENGTH_BYTES: usize = 4;

/// A message that cannot be sent or read. The pipe is of no use after it.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Longer than [`MAX_MESSAGE_BYTES`].
    #[error("a message of {bytes} bytes, at most {MAX_MESSAGE_BYTES} are allowed")]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// Not what was expected.
    #[error("a message that is none")]
    Malformed(#[source] postcard::Error),
}

/// Appends a message to `out`.
///
/// # Errors
/// [`WireError`]; `out` is as it was.
pub fn write<T: Serialize>(message: &T, out: &mut Vec<u8>) -> Result<(), WireError> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    let written = postcard::to_io(message, &mut *out).map(|_| ()).map_err(WireError::Malformed);
    let bytes = out.len() - start - LENGTH_BYTES;
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= MAX_MESSAGE_BYTES);
    match (written, length) {
        (Ok(()), Some(length)) => {
            out[start..start + LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
            Ok(())
        }
        (written, _) => {
            out.truncate(start);
            written.and(Err(WireError::TooLong { bytes }))
        }
    }
}

/// Puts messages together from what a pipe hands out. Memory is that of the bytes that came, not of a length announced.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: BytesMut,
}

impl Reader {
    /// Takes the pipe's next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole message.
    ///
    /// # Errors
    /// [`WireError`]: nothing that follows can be read.
    pub fn message<T: DeserializeOwned>(&mut self) -> Result<Option<T>, WireError> {
        let Some(length) = self.buffer.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let bytes = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if bytes > MAX_MESSAGE_BYTES {
            return Err(WireError::TooLong { bytes });
        }
        if self.buffer.len() < LENGTH_BYTES + bytes {
            return Ok(None);
        }
        let message = self.buffer.split_to(LENGTH_BYTES + bytes);
        postcard::from_bytes(&message[LENGTH_BYTES..]).map(Some).map_err(WireError::Malformed)
    }
}

/// Number of a rung: the server's, below 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RungId(pub u8);

/// Which encoder makes a rung.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VideoEncoder {
    /// x264, on the processor.
    #[default]
    X264,
    /// NVIDIA's.
    Nvenc,
    /// That of a graphics card by VA-API.
    Vaapi,
    /// Intel's Quick Sync Video.
    Qsv,
}

/// A rung that is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rung {
    /// Its number.
    pub id: RungId,
    /// Width and height of its pictures in pixels, both even.
    pub size: (u16, u16),
    /// One of so many pictures is encoded: 1 is every one, 2 halves the frame rate. At least 1.
    pub every: u8,
    /// Bits per second that it should have, and that it must not exceed over a second.
    pub bitrate: u32,
    /// The encoder.
    pub encoder: VideoEncoder,
    /// The encoder's preset, such as `veryfast`; empty for what suits live pictures.
    pub preset: String,
}

/// What a ladder is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LadderOrder {
    /// The pictures that follow need this `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1).
    Configure(Bytes),
    /// From the next picture with `cut` on, in the order of presentation, these rungs are made and no others.
    Rungs(Vec<Rung>),
    /// This rung is made no more, at once: the machine is too slow for it. A later [`Self::Rungs`] may have it again.
    Stop(RungId),
    /// The next picture in decode order, as AVC with lengths of the size that the record says.
    Picture {
        /// Presentation time.
        pts: i64,
        /// Whether it decodes alone.
        sync: bool,
        /// Whether every rung needs a picture that decodes alone here. `sync` pictures that begin no segment have none.
        cut: bool,
        /// The access unit.
        data: Bytes,
    },
    /// The first picture of each rung that is presented at this time or later decodes alone.
    Key {
        /// Presentation time.
        pts: i64,
        /// Whether it is a cut, as that of a picture is: where what begins with it in the order of decoding is not what does in the
        /// order of presentation.
        cut: bool,
    },
}

/// What a ladder answers. Per rung, pictures come in the order of their presentation times and without reordering:
/// decode times are presentation times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LadderReport {
    /// The pictures of this rung that follow need this `AVCDecoderConfigurationRecord`. Comes before the first picture,
    /// which decodes alone.
    Opened {
        /// Which rung.
        rung: RungId,
        /// The record.
        record: Bytes,
    },
    /// A picture of a rung, as AVC with lengths of four bytes and without parameter sets.
    Picture {
        /// Which rung.
        rung: RungId,
        /// Presentation time, of a picture that was sent.
        pts: i64,
        /// Whether it decodes alone.
        sync: bool,
        /// The access unit.
        data: Bytes,
    },
    /// All rungs have all that they will have of pictures that are presented up to here.
    Done {
        /// Presentation time of the last of them.
        pts: i64,
    },
    /// Something could not be decoded; pictures are missing.
    Unreadable {
        /// How many messages of the decoder since the last report.
        count: u32,
    },
    /// A rung cannot be made: its encoder does not open, or fails. It is not tried again until [`LadderOrder::Rungs`] has it
    /// anew.
    Failed {
        /// Which rung.
        rung: RungId,
        /// Why, for the log.
        reason: String,
    },
}

/// A format of a still picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StillFormat {
    /// JPEG, baseline.
    Jpeg,
    /// WebP, lossy.
    Webp,
    /// Raw RGB, three bytes a pixel, rows from above without padding: for sprites.
    Rgb,
}

/// A picture to be made of a keyframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StillSize {
    /// Its format.
    pub format: StillFormat,
    /// Fits into this many pixels, aspect kept, never larger than the source.
    pub within: (u16, u16),
    /// Quality of lossy formats, 1 to 100.
    pub quality: u8,
}

/// What is asked of the stills job: orders are answered one after the other, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StillOrder {
    /// Pictures of a keyframe.
    Keyframe {
        /// Handed back with the answer.
        id: u64,
        /// `AVCDecoderConfigurationRecord`.
        record: Bytes,
        /// The access unit, a sync sample.
        data: Bytes,
        /// What to make.
        sizes: Vec<StillSize>,
    },
    /// One picture of many.
    Sprite {
        /// Handed back with the answer.
        id: u64,
        /// Raw RGB tiles of one size, in reading order.
        tiles: Vec<Bytes>,
        /// Width and height of a tile.
        tile: (u16, u16),
        /// Tiles in a row.
        columns: u16,
        /// The formats to make, each `(format, quality)`; not `Rgb`.
        formats: Vec<(StillFormat, u8)>,
    },
}

/// How a picture looks, for what watches over black and frozen ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Mean luma, 0 (black) to 255.
    pub luma: u8,
    /// Luma that nineteen of twenty pixels are at or below.
    pub luma_p95: u8,
    /// Mean luma in 8 by 8 fields, in reading order: two pictures with (nearly) the same are the same.
    pub fields: [[u8; 8]; 8],
}

/// A picture that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Still {
    /// Its format.
    pub format: StillFormat,
    /// Width and height in pixels.
    pub size: (u16, u16),
    /// The file, or raw RGB.
    pub data: Bytes,
}

/// The answer to a [`StillOrder`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StillReport {
    /// Of the order.
    pub id: u64,
    /// The pictures in the order asked for, or why there are none.
    pub stills: Result<Vec<Still>, String>,
    /// How the keyframe looks; `None` for sprites and failures.
    pub look: Option<Look>,
}

/// What the sound job is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SoundOrder {
    /// A frame of MP3.
    Mp3 {
        /// Presentation time.
        pts: i64,
        /// The frame with its header (ISO/IEC 11172-3 §2.4.1.3).
        data: Bytes,
    },
}

/// What the sound job answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SoundReport {
    /// The frames that follow need this `AudioSpecificConfig` (ISO/IEC 14496-3 §1.6.2.1): AAC-LC.
    Opened(Bytes),
    /// A frame of AAC without header, 1024 samples.
    Aac {
        /// Presentation time of its first sample, encoder delay taken out.
        pts: i64,
        /// The frame.
        data: Bytes,
    },
    /// It cannot be decoded or encoded.
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn picture(bytes: usize) -> LadderOrder {
        LadderOrder::Picture { pts: -7, sync: true, cut: false, data: vec![5; bytes].into() }
    }

    #[test]
    fn what_is_too_long_is_not_written_and_not_waited_for() {
        let mut out = vec![1, 2];
        assert!(matches!(write(&picture(MAX_MESSAGE_BYTES), &mut out), Err(WireError::TooLong { .. })));
        assert_eq!(out, [1, 2]);
        let mut reader = Reader::default();
        reader.push(&u32::MAX.to_be_bytes());
        assert!(matches!(reader.message::<LadderOrder>(), Err(WireError::TooLong { .. })));
    }

    #[test]
    fn what_is_none_is_said_to_be_none() {
        let mut reader = Reader::default();
        reader.push(&[0, 0, 0, 2, 0xff, 0xff]);
        assert!(matches!(reader.message::<LadderOrder>(), Err(WireError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in_however_the_pipe_cuts_them(
            sizes in prop::collection::vec(0usize..2_000, 0..6), cuts in prop::collection::vec(1usize..700, 1..20),
        ) {
            let sent: Vec<_> = sizes.iter().map(|size| picture(*size)).collect();
            let mut bytes = Vec::new();
            sent.iter().for_each(|message| write(message, &mut bytes).unwrap());
            let (mut reader, mut came, mut at) = (Reader::default(), Vec::new(), 0);
            for cut in cuts.iter().cycle() {
                let end = (at + cut).min(bytes.len());
                reader.push(&bytes[at..end]);
                while let Some(message) = reader.message::<LadderOrder>().unwrap() {
                    came.push(message);
                }
                at = end;
                if at == bytes.len() {
                    break;
                }
            }
            prop_assert_eq!(came, sent);
        }

        #[test]
        fn nothing_that_a_pipe_hands_out_is_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut reader = Reader::default();
            reader.push(&bytes);
            while let Ok(Some(_)) = reader.message::<LadderReport>() {}
        }
    }
}
