//! One publisher: its demuxer and its clocks, and the wait until it is known what it sends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::PackagerConfig;
use super::live::{PlacedAudio, PlacedVideo};
use crate::demux::{AudioConfig, AudioUnit, Demuxer, VideoConfig, VideoUnit};
use crate::timeline::{AudioClock, FrameGrid, FrameRate, Timeline, Track};

/// How long to wait for the second track's sequence header, or for enough frames to measure their rate.
const WAIT_FOR_TRACKS: Duration = Duration::from_millis(500);
/// The same for a track that a process makes first, which a busy machine takes a while to start.
const WAIT_FOR_MADE_TRACK: Duration = Duration::from_secs(3);
/// How long to wait for a first keyframe before audio goes on air alone.
const WAIT_FOR_SYNC: Duration = Duration::from_secs(3);
/// Pictures that must be there to go on air without a frame rate.
const MEASURED_PICTURES: usize = 17;
/// An audio frame is at most some kilobytes; more is no audio.
const MAX_AUDIO_BYTES: usize = 64 * 1024;
/// Composition offsets beyond this are nonsense: no decoder reorders by seconds.
const MAX_COMPOSITION_MS: i32 = 10_000;

/// A placed access unit of either track.
#[derive(Debug)]
pub(super) enum Unit {
    Video(PlacedVideo),
    Audio(PlacedAudio),
}

impl Unit {
    /// Decode time on the publisher's line in ticks of 90 kHz.
    pub(super) fn at(&self) -> i64 {
        match self {
            Self::Video(unit) => unit.dts,
            Self::Audio(unit) => unit.at(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Video(unit) => unit.data.len(),
            Self::Audio(unit) => unit.data.len(),
        }
    }

    fn is_sync_picture(&self) -> bool {
        matches!(self, Self::Video(unit) if unit.sync)
    }
}

/// What a publisher goes on air with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready {
    pub(super) video: bool,
    pub(super) audio: bool,
    /// Time of the first unit on the publisher's line.
    pub(super) first: i64,
    /// When that unit arrived.
    pub(super) seen: Instant,
    /// Since when both that unit and the audio track are here.
    pub(super) sound_since: Instant,
}

/// A publisher.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) demuxer: Demuxer,
    /// When its last unit came.
    pub(super) last_unit: Option<Instant>,
    timeline: Timeline,
    grid: FrameGrid,
    clock: Option<AudioClock>,
    video: Option<Arc<VideoConfig>>,
    audio: Option<Arc<AudioConfig>>,
    /// When that came.
    audio_since: Option<Instant>,
    /// What `onMetaData` announced: video, audio.
    announced: Option<(bool, bool)>,
    /// Whether audio is on its way although nothing of it is here.
    expects_audio: bool,
    nominal: Option<FrameRate>,
    /// When the first configuration came (or the first unit after a silence); the wait counts from there.
    since: Option<Instant>,
    impatient: bool,
    waiting: VecDeque<Unit>,
    waiting_bytes: usize,
    /// Whether a sync picture waits; pictures before one are not kept.
    has_sync: bool,
}

impl Publisher {
    pub(super) fn new(config: &PackagerConfig) -> Self {
        Self {
            demuxer: Demuxer::default(),
            last_unit: None,
            timeline: Timeline::default(),
            grid: FrameGrid::default(),
            clock: None,
            video: None,
            audio: None,
            audio_since: None,
            announced: None,
            expects_audio: false,
            nominal: None,
            since: None,
            impatient: false,
            waiting: VecDeque::with_capacity(config.max_waiting_units.min(64)),
            waiting_bytes: 0,
            has_sync: false,
        }
    }

    pub(super) fn set_video(&mut self, now: Instant, config: Arc<VideoConfig>) {
        if let Some(rate) = config.frame_rate {
            self.set_nominal(rate);
        }
        self.video = Some(config);
        self.since.get_or_insert(now);
    }

    pub(super) fn set_audio(&mut self, now: Instant, config: Arc<AudioConfig>) {
        self.clock = Some(AudioClock::new(config.scale, config.frame_samples));
        self.audio = Some(config);
        self.audio_since = Some(now);
        self.since.get_or_insert(now);
    }

    pub(super) fn expect_audio(&mut self) {
        self.expects_audio = true;
    }

    pub(super) fn set_metadata(&mut self, video: bool, audio: bool, frame_rate: Option<f64>) {
        self.announced = Some((video, audio));
        if let Some(rate) = frame_rate.and_then(FrameRate::from_decimal) {
            self.set_nominal(rate);
        }
    }

    /// The first to name a rate is believed until the timestamps say otherwise.
    fn set_nominal(&mut self, rate: FrameRate) {
        let rate = *self.nominal.get_or_insert(rate);
        self.grid.set_nominal(rate);
    }

    pub(super) fn video(&self) -> Option<Arc<VideoConfig>> {
        self.video.clone()
    }

    pub(super) fn audio(&self) -> Option<Arc<AudioConfig>> {
        self.audio.clone()
    }

    /// The rate the timestamps are on.
    pub(super) fn frame_rate(&self) -> Option<FrameRate> {
        self.grid.rate()
    }

    /// Frames per second, also of a variable rate.
    pub(super) fn measured_frame_rate(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "a frame duration")]
        let variable = || self.grid.duration().map(|ticks| 90_000.0 / ticks.max(1) as f64);
        self.frame_rate().map(FrameRate::as_f64).or_else(variable)
    }

    /// Puts a picture on the publisher's line; also whether its timestamps jumped.
    pub(super) fn place_video(&mut self, unit: VideoUnit, arrived: Instant) -> Option<(PlacedVideo, bool)> {
        let config = Arc::clone(self.video.as_ref()?);
        self.since.get_or_insert(arrived);
        let step = self.grid.duration().unwrap_or(3_000);
        let place = self.timeline.place(Track::Video, unit.timestamp, unit.nanos, step, arrived);
        if place.moved != 0 {
            self.grid.restart();
        }
        let placed = self.grid.place(place.at);
        let composition = i64::from(unit.composition_ms.clamp(-MAX_COMPOSITION_MS, MAX_COMPOSITION_MS)) * 90;
        let pts = placed.dts.saturating_add(self.grid.snap_offset(composition));
        let placed = PlacedVideo {
            dts: placed.dts,
            pts,
            duration: placed.duration,
            sync: unit.sync,
            data: unit.data,
            config,
            arrived,
        };
        Some((placed, place.jumped))
    }

    /// Puts an audio frame on the publisher's line; also whether its timestamps jumped.
    pub(super) fn place_audio(&mut self, unit: AudioUnit, arrived: Instant) -> Option<(PlacedAudio, bool)> {
        if unit.data.len() > MAX_AUDIO_BYTES {
            return None;
        }
        let config = Arc::clone(self.audio.as_ref()?);
        self.since.get_or_insert(arrived);
        let clock = self.clock.as_mut()?;
        let step = crate::timeline::VIDEO_SCALE.rescale(config.frame_samples.into(), config.scale);
        let place = self.timeline.place(Track::Audio, unit.timestamp, unit.nanos, step, arrived);
        let dts = clock.place(place.at);
        Some((PlacedAudio { dts, data: unit.data, config, arrived }, place.jumped))
    }

    /// A picture was lost before going on air.
    pub(super) fn lose_sync(&mut self) {
        if self.has_sync {
            self.take_waiting();
        }
    }

    /// Nothing came for long; what comes next is placed anew.
    pub(super) fn fell_silent(&mut self) {
        self.grid.restart();
        self.since = None;
        if let Some(clock) = &mut self.clock {
            clock.reset();
        }
    }

    /// Keeps a unit until the publisher goes on air. When too much waits, all of it is dropped and the wait goes on.
    pub(super) fn wait(&mut self, unit: Unit, limits: &PackagerConfig) {
        let full = self.waiting.len() >= limits.max_waiting_units
            || self.waiting_bytes.saturating_add(unit.bytes()) > limits.max_waiting_bytes;
        if full {
            self.take_waiting();
        }
        let sync = unit.is_sync_picture();
        if matches!(unit, Unit::Video(_)) && !sync && !self.has_sync {
            return;
        }
        self.has_sync |= sync;
        self.waiting_bytes += unit.bytes();
        self.waiting.push_back(unit);
    }

    /// What waits.
    pub(super) fn take_waiting(&mut self) -> VecDeque<Unit> {
        (self.waiting_bytes, self.has_sync) = (0, false);
        std::mem::take(&mut self.waiting)
    }

    /// Goes on air with what there is.
    pub(super) fn stop_waiting(&mut self) {
        self.impatient = true;
    }

    /// Whether it is time to go on air, and with what. A program that is open already needs no frame rate.
    pub(super) fn ready(&self, now: Instant, open: bool) -> Option<Ready> {
        let waited = now.saturating_duration_since(self.since?);
        let audio_is_made = self.expects_audio && self.audio.is_none();
        let patience = if audio_is_made { WAIT_FOR_MADE_TRACK } else { WAIT_FOR_TRACKS };
        let late = self.impatient || waited >= patience;
        let (video_announced, audio_announced) = self.announced.unwrap_or((true, true));
        let has_audio = self.audio.is_some() || !(audio_announced || audio_is_made);
        let complete = (self.video.is_some() || !video_announced) && has_audio;
        if !complete && !late {
            return None;
        }
        let first_picture = self.waiting.iter().find(|unit| unit.is_sync_picture());
        if let Some(Unit::Video(picture)) = first_picture {
            let pictures = || self.waiting.iter().filter(|unit| matches!(unit, Unit::Video(_))).count();
            let measured = open || late || self.frame_rate().is_some() || pictures() >= MEASURED_PICTURES;
            let audio = self.audio.is_some();
            return measured.then_some(Ready {
                video: true,
                audio,
                first: picture.dts,
                seen: picture.arrived,
                sound_since: self.audio_since.map_or(picture.arrived, |since| since.max(picture.arrived)),
            });
        }
        if self.video.is_some() && !self.impatient && waited < WAIT_FOR_SYNC {
            return None;
        }
        let first = self.waiting.front()?;
        match first {
            Unit::Audio(unit) => {
                let (first, seen) = (unit.at(), unit.arrived);
                Some(Ready { video: false, audio: true, first, seen, sound_since: seen })
            }
            Unit::Video(_) => None,
        }
    }

    /// When [`Self::ready`] may change its mind without another unit.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let since = self.since?;
        [WAIT_FOR_TRACKS, WAIT_FOR_SYNC, WAIT_FOR_MADE_TRACK]
            .into_iter()
            .map(|wait| since + wait)
            .find(|due| *due > now)
    }
}
