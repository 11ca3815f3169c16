//! What the source is, and what its rungs are therefore.

use std::sync::Arc;

use bytes::Bytes;
use millrace_core::transcode::Rung;

use super::config::LadderConfig;
use super::lane::Lane;
use crate::cmaf::init::write_init;
use crate::demux::{AudioConfig, VideoConfig};
use crate::model::RenditionInfo;

/// A rung is made with every second picture, or third, where the source has more than its rate by this factor.
const RATE_TOLERANCE: f64 = 1.1;

/// The source as it is now.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// What is said of the first rendition.
    info: Option<RenditionInfo>,
    video: Option<Arc<VideoConfig>>,
    audio: Option<Arc<AudioConfig>>,
    /// The init segment of the first rendition.
    pub(super) init: Bytes,
}

impl Source {
    pub(super) fn set_info(&mut self, info: Option<&RenditionInfo>) {
        self.info = info.cloned();
    }

    pub(super) fn set_tracks(&mut self, video: Option<Arc<VideoConfig>>, audio: Option<Arc<AudioConfig>>) {
        (self.video, self.audio) = (video, audio);
    }

    /// What its pictures are decoded with; `None` if there are none, or if they are of a codec that is not transcoded.
    pub(super) fn record(&self) -> Option<Bytes> {
        self.video
            .as_ref()
            .filter(|video| &video.decoder_config.0 == b"avcC")
            .map(|v| v.decoder_config.1.clone())
    }

    /// Width and height.
    fn size(&self) -> Option<(u32, u32)> {
        self.video.as_ref().map(|video| (video.width, video.height)).or(self.info.as_ref()?.resolution)
    }

    /// Whether a rung of this height is less than the source. Of a picture that stands upright the width counts.
    pub(super) fn is_below(&self, height: u16) -> bool {
        self.size().is_some_and(|(wide, high)| u32::from(height) < wide.min(high))
    }

    /// Size of the pictures of a rung of this height: even, aspect kept.
    fn rung_size(&self, height: u16) -> Option<(u16, u16)> {
        let (wide, high) = self.size()?;
        let short = u32::from(height) & !1;
        let long = |long: u32, of: u32| {
            let half = (u64::from(long) * u64::from(short) + u64::from(of)) / (u64::from(of) * 2);
            u16::try_from(half * 2).ok()
        };
        let short = u16::try_from(short).ok()?;
        if wide >= high { Some((long(wide, high)?, short)) } else { Some((short, long(high, wide)?)) }
    }

    /// One of so many pictures.
    fn every(&self, most: u8) -> u8 {
        let rate = self.info.as_ref().and_then(|info| info.frame_rate).unwrap_or_default();
        let fits = |every: &u8| rate / f64::from(*every) <= f64::from(most) * RATE_TOLERANCE;
        (1..=8).find(fits).unwrap_or(8)
    }

    /// What the transcoder is asked for, if this rung is less than the source.
    pub(super) fn rung(&self, lane: &Lane, config: &LadderConfig) -> Option<Rung> {
        let size = self.is_below(lane.rung.height).then(|| self.rung_size(lane.rung.height)).flatten()?;
        Some(Rung {
            id: lane.id,
            size,
            every: self.every(lane.rung.max_frame_rate),
            bitrate: lane.rung.bitrate,
            encoder: config.encoder,
            preset: config.preset.clone(),
        })
    }

    /// The init segment of a rung whose pictures need `video`.
    pub(super) fn init_of(&self, video: &VideoConfig) -> Bytes {
        write_init(Some(video), self.audio.as_deref())
    }

    /// What the multivariant playlist says of a rung.
    pub(super) fn describe(&self, lane: &Lane, offered: bool) -> RenditionInfo {
        let below = self.is_below(lane.rung.height);
        let resolution = self.rung_size(lane.rung.height).map(|(wide, high)| (wide.into(), high.into()));
        let rate = self.info.as_ref().and_then(|info| info.frame_rate);
        let frame_rate = rate.map(|rate| rate / f64::from(self.every(lane.rung.max_frame_rate)));
        let video = lane.video.as_ref().map(|video| video.codec.clone());
        let video = video.unwrap_or_else(|| {
            let (wide, high) = resolution.unwrap_or((0, 0));
            format!("avc1.6400{:02x}", level(wide, high, frame_rate.unwrap_or(30.0), lane.rung.bitrate))
        });
        let sound = self.audio.as_ref().map(|audio| audio.codec.clone());
        // What the sound needs, and boxes: the same in every rung.
        let nominal = u64::from(lane.rung.bitrate) + if sound.is_some() { SOUND } else { 0 };
        RenditionInfo {
            name: lane.name(),
            part_target: self.info.as_ref().map(|info| info.part_target).unwrap_or_default(),
            codecs: std::iter::once(video).chain(sound).collect(),
            resolution,
            frame_rate,
            nominal: Some(nominal),
            listed: offered && below && !lane.failed && !lane.is_shed(),
        }
    }
}

/// Bits per second that the sound of a broadcast has at most, in what is announced of a rung.
const SOUND: u64 = 192_000;

/// Levels of H.264: `level_idc`, most macroblocks a second, most macroblocks of a picture, most bits per second of the High
/// profile (ITU-T H.264 table A-1 and §A.3.3).
const LEVELS: [(u8, u32, u32, u32); 12] = [
    (21, 19_800, 792, 5_000_000),
    (22, 20_250, 1_620, 5_000_000),
    (30, 40_500, 1_620, 12_500_000),
    (31, 108_000, 3_600, 17_500_000),
    (32, 216_000, 5_120, 25_000_000),
    (40, 245_760, 8_192, 25_000_000),
    (42, 522_240, 8_704, 62_500_000),
    (50, 589_824, 22_080, 168_750_000),
    (51, 983_040, 36_864, 300_000_000),
    (52, 2_073_600, 36_864, 300_000_000),
    (61, 8_355_840, 139_264, 600_000_000),
    (62, 16_711_680, 139_264, 1_000_000_000),
];

/// The least level that such pictures have. It is announced before the encoder says which it is.
fn level(wide: u32, high: u32, frame_rate: f64, bitrate: u32) -> u8 {
    let blocks = wide.div_ceil(16) * high.div_ceil(16);
    let fits = |&(_, second, picture, bits): &(u8, u32, u32, u32)| {
        blocks <= picture && f64::from(blocks) * frame_rate <= f64::from(second) && bitrate <= bits
    };
    LEVELS.into_iter().find(fits).map_or(62, |(level, ..)| level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_is_the_least_that_will_do() {
        assert_eq!(level(1920, 1080, 60.0, 6_000_000), 42);
        assert_eq!(level(1920, 1080, 30.0, 5_000_000), 40);
        assert_eq!(level(1280, 720, 30.0, 2_800_000), 31);
        assert_eq!(level(854, 480, 30.0, 1_400_000), 31);
        assert_eq!(level(640, 360, 30.0, 800_000), 30);
        assert_eq!(level(u32::MAX / 100, 16, 1.0, 1), 62);
    }

    #[test]
    fn sizes_are_even_and_keep_the_aspect_of_pictures_that_lie_and_that_stand() {
        let source = |wide, high| {
            let info = RenditionInfo {
                name: "main",
                part_target: std::time::Duration::from_millis(333),
                codecs: Vec::new(),
                resolution: Some((wide, high)),
                frame_rate: Some(59.94),
                nominal: None,
                listed: true,
            };
            Source { info: Some(info), ..Source::default() }
        };
        assert_eq!(source(1920, 1080).rung_size(480), Some((854, 480)));
        assert_eq!(source(1080, 1920).rung_size(480), Some((480, 854)));
        assert_eq!(source(1440, 1080).rung_size(720), Some((960, 720)));
        assert!(source(1920, 1080).is_below(720) && !source(1920, 1080).is_below(1080));
        assert!(!source(720, 1280).is_below(720) && source(720, 1280).is_below(480));
        assert_eq!((source(2, 2).every(60), source(2, 2).every(30), source(2, 2).every(15)), (1, 2, 4));
    }
}
