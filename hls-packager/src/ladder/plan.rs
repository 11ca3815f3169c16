//! What the source is, and what its rungs are therefore.

use std::sync::Arc;

use bytes::Bytes;
use millrace_core::transcode::Rung;

use super::config::{LadderConfig, RungConfig};
use super::lane::Lane;
use crate::cmaf::init::write_init;
use crate::demux::{AudioConfig, VideoConfig};
use crate::model::RenditionInfo;

/// A rung is made with every second picture, or third, where the source has more than its rate by this factor.
const RATE_TOLERANCE: f64 = 1.1;
/// Least bits per second of a rung: with fewer it would be no picture.
const LEAST_BITRATE: u32 = 50_000;
/// A rung has at most so much of what is above it: with more nobody would gain by it.
const OF_ABOVE: f64 = 0.9;
/// Bits that look alike grow with the pixels per second to this power: larger pictures are coded with fewer bits per pixel.
const EXPONENT: f64 = 0.75;
/// Where the encoder does not say what it sends: least bits per pixel that a source is taken to have. A picture that stands still
/// at the start says nothing of one that moves.
const LEAST_BITS_PER_PIXEL: f64 = 0.02;
/// Frames per second of a source whose rate is not known.
const USUAL_RATE: f64 = 30.0;
/// Bits that are measured count when they are more than what was known by this factor: encoders begin anew then.
const MORE: f64 = 4.0 / 3.0;

/// The source as it is now.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// What is said of the first rendition.
    info: Option<RenditionInfo>,
    video: Option<Arc<VideoConfig>>,
    audio: Option<Arc<AudioConfig>>,
    /// The init segment of the first rendition.
    pub(super) init: Bytes,
    /// Bits per second of the video that the encoder says it sends, and those that it said of the tracks on air.
    announced: Option<u32>,
    announced_of_tracks: Option<u32>,
    /// Bits per second of the video, as far as they are known.
    bits: Option<u32>,
}

impl Source {
    pub(super) fn set_info(&mut self, info: Option<&RenditionInfo>) {
        self.info = info.cloned();
    }

    pub(super) fn set_tracks(&mut self, video: Option<Arc<VideoConfig>>, audio: Option<Arc<AudioConfig>>) {
        let before = self.size();
        (self.video, self.audio) = (video, audio);
        if self.announced != self.announced_of_tracks || self.size() != before {
            (self.announced_of_tracks, self.bits) = (self.announced, self.announced);
        }
    }

    /// What the encoder says that it sends, for the next tracks.
    pub(super) fn announce(&mut self, bits: Option<u32>) {
        self.announced = bits;
    }

    /// So many bits per second were measured of a segment. Whether that changes what is known.
    pub(super) fn measure(&mut self, bits: u32) -> bool {
        let Some((wide, high)) = self.size() else { return false };
        let rate = self.info.as_ref().and_then(|info| info.frame_rate).unwrap_or(USUAL_RATE);
        let least = f64::from(wide) * f64::from(high) * rate * LEAST_BITS_PER_PIXEL;
        let bits = if self.announced_of_tracks.is_some() { bits } else { bits.max(least as u32) };
        let is_more = self.bits.is_none_or(|known| f64::from(bits) > f64::from(known) * MORE);
        if is_more {
            self.bits = Some(bits);
        }
        is_more
    }

    /// Bits per second of each of these rungs, those with most lines first; `None` for one that is not made, because it would
    /// not be less than what is above it.
    pub(super) fn bitrates<'a>(&self, rungs: impl Iterator<Item = &'a RungConfig>) -> Vec<Option<u32>> {
        let mut above = self.bits;
        let bitrate = |rung: &RungConfig| {
            let size = self.is_below(rung.height).then(|| self.rung_size(rung.height)).flatten()?;
            let alike =
                self.bits.map_or(f64::MAX, |bits| f64::from(bits) * self.share(size, rung).powf(EXPONENT));
            let most = above.map_or(f64::MAX, |above| f64::from(above) * OF_ABOVE);
            let bits = f64::from(rung.bitrate).min(alike).max(LEAST_BITRATE.into()).min(most) as u32;
            (bits >= LEAST_BITRATE).then(|| *above.insert(bits))
        };
        rungs.map(bitrate).collect()
    }

    /// How many pixels per second a rung of this size has for each of the source's.
    fn share(&self, (wide, high): (u16, u16), rung: &RungConfig) -> f64 {
        let (of_wide, of_high) = self.size().unwrap_or_default();
        let pixels = |wide: u32, high: u32| f64::from(wide.max(1)) * f64::from(high.max(1));
        pixels(wide.into(), high.into())
            / pixels(of_wide, of_high)
            / f64::from(self.every(rung.max_frame_rate))
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

    /// What the transcoder is asked for, if this rung is made.
    pub(super) fn rung(&self, lane: &Lane, config: &LadderConfig) -> Option<Rung> {
        Some(Rung {
            id: lane.id,
            bitrate: lane.bitrate?,
            size: self.rung_size(lane.rung.height)?,
            every: self.every(lane.rung.max_frame_rate),
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
        let bitrate = lane.bitrate.unwrap_or(lane.rung.bitrate);
        let resolution = self.rung_size(lane.rung.height).map(|(wide, high)| (wide.into(), high.into()));
        let rate = self.info.as_ref().and_then(|info| info.frame_rate);
        let frame_rate = rate.map(|rate| rate / f64::from(self.every(lane.rung.max_frame_rate)));
        let video = lane.video.as_ref().map(|video| video.codec.clone());
        let video = video.unwrap_or_else(|| {
            let (wide, high) = resolution.unwrap_or((0, 0));
            format!("avc1.6400{:02x}", level(wide, high, frame_rate.unwrap_or(USUAL_RATE), bitrate))
        });
        let sound = self.audio.as_ref().map(|audio| audio.codec.clone());
        // What the sound needs, and boxes: the same in every rung.
        let nominal = u64::from(bitrate) + if sound.is_some() { SOUND } else { 0 };
        RenditionInfo {
            name: lane.name(),
            part_target: self.info.as_ref().map(|info| info.part_target).unwrap_or_default(),
            codecs: std::iter::once(video).chain(sound).collect(),
            resolution,
            frame_rate,
            nominal: Some(nominal),
            listed: offered && lane.bitrate.is_some() && !lane.failed && !lane.is_shed(),
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
    use millrace_core::transcode::RungId;
    use proptest::prelude::*;

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

    fn source_of((wide, high): (u32, u32), frame_rate: Option<f64>, bits: Option<u32>) -> Source {
        let info = RenditionInfo {
            name: "main",
            part_target: std::time::Duration::from_millis(333),
            codecs: Vec::new(),
            resolution: Some((wide, high)),
            frame_rate,
            nominal: None,
            listed: true,
        };
        Source { info: Some(info), bits, ..Source::default() }
    }

    fn rung(height: u16, bitrate: u32, max_frame_rate: u8) -> RungConfig {
        RungConfig { height, bitrate, max_frame_rate }
    }

    #[test]
    fn a_rung_has_fewer_bits_than_the_source_and_than_what_is_above_it() {
        let usual = LadderConfig::default().rungs;
        let bitrates = |source: &Source, rungs: &[RungConfig]| source.bitrates(rungs.iter());
        let hd = |bits| source_of((1280, 720), Some(30.0), bits);
        assert_eq!(bitrates(&hd(Some(4_000_000)), &usual), [None, None, Some(1_400_000), Some(800_000)]);
        // 853 x 480 of 1280 x 720: 0.445 of the pixels, 0.545 of the bits. 360p: 0.25 and 0.354.
        assert_eq!(bitrates(&hd(Some(1_000_000)), &usual), [None, None, Some(544_649), Some(353_553)]);
        assert_eq!(
            bitrates(&hd(None), &usual),
            [None, None, Some(1_400_000), Some(800_000)],
            "as configured"
        );
        // With every second picture it has half as many pixels a second.
        let fast = source_of((1280, 720), Some(60.0), Some(1_000_000));
        assert_eq!(bitrates(&fast, &usual)[2..], [Some(323_850), Some(210_224)]);
        // Those that stand upright are no different.
        let upright = source_of((720, 1280), Some(30.0), Some(1_000_000));
        assert_eq!(bitrates(&upright, &usual)[2..], [Some(544_649), Some(353_553)]);
        // Settings that have more bits for fewer lines, and a source that has next to none.
        let strange = [rung(480, 500_000, 60), rung(360, 2_000_000, 60), rung(144, 2_000_000, 60)];
        let falling = [Some(500_000), Some(450_000), Some(357_770)];
        assert_eq!(bitrates(&hd(Some(4_000_000)), &strange), falling);
        assert_eq!(bitrates(&hd(Some(60_000)), &strange), [Some(50_000), None, None]);
        assert_eq!(bitrates(&hd(Some(55_000)), &strange), [None; 3]);
    }

    #[test]
    fn what_is_measured_counts_where_nothing_is_said_or_far_more_is_sent() {
        let mut silent = source_of((1280, 720), Some(30.0), None);
        assert!(silent.measure(1_000));
        assert_eq!(silent.bits, Some(552_960), "a picture that stands still says nothing of one that moves");
        assert!(!silent.measure(700_000), "encoders do not begin anew for a little");
        assert!(silent.measure(3_000_000) && !silent.measure(2_000_000));
        assert_eq!(silent.bits, Some(3_000_000));

        let mut telling = source_of((1280, 720), Some(30.0), None);
        telling.announce(Some(2_000_000));
        assert_eq!(telling.bits, None, "of the tracks that come");
        telling.set_tracks(None, None);
        assert!(!telling.measure(10_000) && !telling.measure(2_500_000));
        assert_eq!(telling.bits, Some(2_000_000));
        assert!(telling.measure(9_000_000));
        telling.set_tracks(None, None);
        assert_eq!(telling.bits, Some(9_000_000), "the same encoder comes back");
        telling.announce(None);
        telling.set_tracks(None, None);
        assert_eq!(telling.bits, None, "another one");
    }

    proptest! {
        #[test]
        fn whatever_the_source_and_the_settings_bits_decrease_down_the_ladder(
            size in (2..5_000u32, 2..5_000u32),
            frame_rate in prop::option::of(1.0..300.0f64),
            announced in prop::option::of(10_000..500_000_000u32),
            measured in prop::collection::vec(any::<u32>(), 0..4),
            rungs in prop::collection::vec((0..9usize, 100_000..50_000_000u32, 1..=120u8), 0..6),
        ) {
            let heights = [2160, 1440, 1080, 720, 540, 480, 360, 240, 144];
            let mut rungs: Vec<_> =
                rungs.into_iter().map(|(at, bits, rate)| rung(heights[at], bits, rate)).collect();
            rungs.sort_by_key(|rung| std::cmp::Reverse(rung.height));
            rungs.dedup_by_key(|rung| rung.height);
            let mut source = source_of(size, frame_rate, announced);
            for bits in measured {
                source.measure(bits);
            }
            let bitrates = source.bitrates(rungs.iter());
            let mut above = None;
            for (index, (rung, bitrate)) in rungs.iter().zip(bitrates).enumerate() {
                let mut lane = Lane::new(rung.clone(), RungId(index as u8));
                lane.bitrate = bitrate;
                let info = source.describe(&lane, true);
                let asked = source.rung(&lane, &LadderConfig::default());
                prop_assert_eq!(info.listed, asked.is_some(), "what is listed can be made");
                let Some(Rung { bitrate, size: (wide, high), every, .. }) = asked else { continue };
                prop_assert!((LEAST_BITRATE..=rung.bitrate).contains(&bitrate));
                prop_assert_eq!(info.nominal, Some(u64::from(bitrate)), "what is announced is what is asked for");
                prop_assert!(above.is_none_or(|above| bitrate < above), "{bitrate} below {above:?}");
                if let Some(bits) = source.bits {
                    prop_assert!(bitrate < bits);
                    let pixels = f64::from(wide) * f64::from(high) / f64::from(size.0) / f64::from(size.1);
                    let alike = f64::from(bits) * (pixels / f64::from(every)).powf(EXPONENT);
                    prop_assert!(f64::from(bitrate) <= alike + 1.0 || bitrate == LEAST_BITRATE);
                }
                above = Some(bitrate);
            }
        }
    }

    #[test]
    fn sizes_are_even_and_keep_the_aspect_of_pictures_that_lie_and_that_stand() {
        let source = |wide, high| source_of((wide, high), Some(59.94), None);
        assert_eq!(source(1920, 1080).rung_size(480), Some((854, 480)));
        assert_eq!(source(1080, 1920).rung_size(480), Some((480, 854)));
        assert_eq!(source(1440, 1080).rung_size(720), Some((960, 720)));
        assert!(source(1920, 1080).is_below(720) && !source(1920, 1080).is_below(1080));
        assert!(!source(720, 1280).is_below(720) && source(720, 1280).is_below(480));
        assert_eq!((source(2, 2).every(60), source(2, 2).every(30), source(2, 2).every(15)), (1, 2, 4));
    }
}
