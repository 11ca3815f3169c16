//! What the media side (demux, timeline, segmenter, CMAF) hands to the delivery side (window, playlists, origin).
//!
//! The media side knows codecs and time and nothing of numbers; the delivery side knows numbers and bytes and
//! nothing of media. Between them flow [`Output`]s, in order, per broadcast:
//!
//! ```text
//! Opened → { SegmentStarted → Part+ → SegmentEnded }+ → Ended
//! ```
//!
//! Renditions are aligned: each `SegmentStarted` and `SegmentEnded` concerns all of them at once, so the same media
//! sequence number means the same stretch of time in every playlist.
//!
//! Between both stands the ladder ([`crate::ladder`]), where the owner wants one. It adds renditions that are made of the
//! first one, the *rungs*. They have the same segments and parts at the same times, but later: a rung's segments have outputs
//! of their own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::cmaf::fragment::Sample;
use crate::demux::{AudioConfig, VideoConfig};

/// Index of a rendition within a broadcast: a position in [`Opened::renditions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RenditionId(pub usize);

/// One output of the media side.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// The renditions and their fixed bounds are known; comes first and once.
    Opened(Opened),
    /// A segment begins in every rendition.
    SegmentStarted(SegmentStarted),
    /// The next part of the running segment of one rendition.
    Part(Part),
    /// The running segment of every rendition is complete. Its duration is the sum of its parts' durations.
    SegmentEnded,
    /// A segment begins in one rung.
    RungStarted(RungStarted),
    /// The running segment of this rung is complete.
    RungEnded(RenditionId),
    /// What the ladder must know of the media. It is for nobody behind it.
    Tapped(Tapped),
    /// Codec parameters or measured bit rates that the multivariant playlist declares have changed.
    Renditions(Vec<RenditionInfo>),
    /// The broadcast is over.
    Ended,
}

/// What never changes during the life of the playlists (Apple's player gives up otherwise).
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// `EXT-X-TARGETDURATION`, whole seconds (RFC 8216bis §4.4.3.1).
    pub target_duration: u32,
    /// The renditions: those of the source, then the rungs.
    pub renditions: Vec<RenditionInfo>,
    /// How many of them, the last ones, are rungs.
    pub rungs: usize,
}

/// What the playlists say of one rendition.
#[derive(Debug, Clone, PartialEq)]
pub struct RenditionInfo {
    /// Path segment of the rendition: `main`, `audio`; `[a-z0-9]+`.
    pub name: &'static str,
    /// `PART-TARGET`, an upper bound of every part of this rendition (RFC 8216bis §4.4.3.7). Fixed from
    /// [`Opened`] on.
    pub part_target: Duration,
    /// RFC 6381 codec strings, video first.
    pub codecs: Vec<String>,
    /// Width and height in pixels.
    pub resolution: Option<(u32, u32)>,
    /// Frames per second.
    pub frame_rate: Option<f64>,
    /// Of a rung, the most bits per second it is made with, whether or not it is made right now. `None` for what is
    /// measured.
    pub nominal: Option<u64>,
    /// Whether the multivariant playlist names it. What it does not name can be fetched all the same.
    pub listed: bool,
}

/// A segment begins.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentStarted {
    /// Wall-clock time of its first sample.
    pub program_date_time: Timestamp,
    /// Whether `EXT-X-DISCONTINUITY` stands before it.
    pub discontinuity: bool,
    /// Whether the segment is a gap: nothing can be fetched, every part is a gap.
    pub gap: bool,
    /// The init segment of each rendition (indexed by [`RenditionId`]) that this segment and the following ones
    /// need, if it changed. `Some` for every rendition on the first segment with media.
    pub init: Vec<Option<Bytes>>,
}

/// A segment begins in a rung.
#[derive(Debug, Clone, PartialEq)]
pub struct RungStarted {
    /// The rung.
    pub rendition: RenditionId,
    /// Wall-clock time of its first sample.
    pub program_date_time: Timestamp,
    /// Whether `EXT-X-DISCONTINUITY` stands before it.
    pub discontinuity: bool,
    /// Whether the segment is a gap.
    pub gap: bool,
    /// The init segment that it needs, if it is another than before. `Some` on the first segment.
    pub init: Option<Bytes>,
}

/// What the ladder must know of the source's media. A picture comes before the output of the part that holds it, and after
/// that of the segment that it begins.
#[derive(Debug, Clone, PartialEq)]
pub enum Tapped {
    /// What the encoder says that it sends. It counts from the next tracks on.
    Announced {
        /// Bits per second of the video; `None` if it does not say.
        video_bits: Option<u32>,
    },
    /// What the pictures and frames that follow are made of.
    Tracks {
        /// The video.
        video: Option<Arc<VideoConfig>>,
        /// The audio.
        audio: Option<Arc<AudioConfig>>,
    },
    /// The publisher is gone, or silent: the next picture comes after the next tracks, or not at all.
    Left,
    /// A picture, in decode order.
    Picture {
        /// Decode time on the line, in ticks of 90 kHz.
        dts: i64,
        /// Presentation time on the line, in ticks of 90 kHz.
        pts: i64,
        /// Whether it decodes alone.
        sync: bool,
        /// The access unit.
        data: Bytes,
    },
    /// What is in the part of the first rendition that comes next. Without it, that part has no video.
    Part {
        /// From and to on the line, in ticks of 90 kHz.
        span: (i64, i64),
        /// Decode time of its last picture on the line.
        last_picture: i64,
        /// Its audio: decode time of the first sample in ticks of its track, and the samples.
        audio: Option<(u64, Vec<Sample>)>,
    },
}

/// A CMAF chunk, published before its segment ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The rendition.
    pub rendition: RenditionId,
    /// Duration for `EXT-X-PART`; at most the rendition's part target. Exact (ticks / timescale), so that a sum of
    /// parts does not drift; printed rounded to microseconds.
    pub duration: Duration,
    /// Whether it begins with a sync sample of the video, or has no video: `INDEPENDENT=YES`.
    pub independent: bool,
    /// `moof` + `mdat`; empty for a gap part.
    pub body: Bytes,
    /// When the last byte of its last tag was read from the socket; `None` for gap parts and rungs. For the latency
    /// histogram.
    pub arrived: Option<std::time::Instant>,
    /// Whether the body is another rendition's: the ladder hands out the source while it makes no pictures of its own.
    pub shared: bool,
}
