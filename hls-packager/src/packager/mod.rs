//! The media side as one value: FLV tags and the publisher's life in, [`crate::model::Output`]s out.
//!
//! Contract: after each `handle_*`, poll [`Packager::poll_output`] until `None`, then sleep until
//! [`Packager::poll_timeout`] or the next input, whichever comes first.
//!
//! ```text
//! FlvTag ─ Demuxer ─> unit ─ Timeline, FrameGrid, AudioClock ─> placed unit ─ Live ─> parts ─ Program ─> Output
//! ```
//!
//! A publisher *waits* until it is known which tracks it has and its first sync sample is here, then it is *live*
//! ([`live`]), then *away*, while the program ([`program`]) appends gaps.

mod audio_part;
mod error;
mod lane;
mod live;
mod program;
mod publisher;
mod silence;
mod wall;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use millrace_core::event::StreamHealth;
use millrace_core::flv::FlvTag;
use millrace_core::time::RtmpMillis;

pub use error::PackagerError;
use live::{Live, Tracks};
use program::Program;
use publisher::{Publisher, Unit};
use wall::WallLine;

use crate::demux::Demuxed;
use crate::health::Health;
use crate::model::{Opened, Output, RenditionInfo, Tapped};
use crate::segmenter::{PartBounds, target_duration};
use crate::timeline::FrameRate;

/// How long a live publisher may send nothing before gaps are appended; when it goes on, that is a discontinuity.
/// Less than stock hls.js takes to give up on a blocked request (10 s).
const SILENCE: Duration = Duration::from_secs(5);

/// Settings and limits of the media side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackagerConfig {
    /// Length of a part that is wanted; the part target is this, fitted to whole frames. Default 333 ms, 100 ms to
    /// 2 s. Lower means less delay and more requests.
    pub part_target: Duration,
    /// `EXT-X-TARGETDURATION` in whole seconds unless the keyframe interval of the last broadcast asks for more.
    /// Default 4, 1 to 12.
    pub target_duration: u32,
    /// Most bytes of video in one part before it is cut whatever its duration. Default 8 MiB.
    pub max_part_bytes: usize,
    /// Most samples of one track in one part before it is cut whatever its duration. Default 512.
    pub max_part_samples: usize,
    /// Most bytes that wait for a publisher's start (both sequence headers, first keyframe). Default 16 MiB.
    pub max_waiting_bytes: usize,
    /// Most access units that wait, before the start or for the other track. Default 2048.
    pub max_waiting_units: usize,
    /// Whether a ladder is told of the media: [`Output::Tapped`]. Default false.
    pub tap: bool,
}

impl Default for PackagerConfig {
    fn default() -> Self {
        Self {
            part_target: Duration::from_millis(333),
            target_duration: 4,
            max_part_bytes: 8 << 20,
            max_part_samples: 512,
            max_waiting_bytes: 16 << 20,
            max_waiting_units: 2048,
            tap: false,
        }
    }
}

/// What a broadcast's packager must be told at its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackagerStart {
    /// The monotonic clock now.
    pub now: Instant,
    /// The wall clock at the same moment, for `EXT-X-PROGRAM-DATE-TIME`.
    pub wall: Timestamp,
    /// Keyframe interval that the channel's last broadcast had: [`Packager::keyframe_interval`] at its end.
    pub last_keyframe_interval: Option<Duration>,
}

/// A picture that decodes alone, for who makes a still picture of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyframe {
    /// `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1).
    pub record: Bytes,
    /// The access unit, with lengths as the record says.
    pub data: Bytes,
}

/// Of which renditions viewers wait for the next part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watched {
    /// The main one.
    pub main: bool,
    /// The one of audio alone.
    pub audio: bool,
}

/// Packages one broadcast.
#[derive(Debug)]
pub struct Packager {
    config: PackagerConfig,
    start: PackagerStart,
    target_duration: u32,
    /// `None` until it is known what the broadcast consists of.
    program: Option<Program>,
    publisher: Option<Publisher>,
    live: Option<Live>,
    /// Timestamp of the current publisher's newest picture.
    newest_picture: Option<RtmpMillis>,
    watched: Watched,
    /// Whether the next keyframe is kept, and the one that was.
    keyframe_wanted: bool,
    keyframe: Option<Keyframe>,
    ended: bool,
    /// The latest instant that was seen.
    now: Instant,
    health: Health,
    renditions: Vec<RenditionInfo>,
    outputs: VecDeque<Output>,
    demuxed: Vec<Demuxed>,
}

impl Packager {
    /// A packager that has seen nothing yet.
    #[must_use]
    pub fn new(config: PackagerConfig, start: PackagerStart) -> Self {
        Self {
            target_duration: target_duration(config.target_duration, start.last_keyframe_interval),
            config,
            start,
            program: None,
            publisher: None,
            live: None,
            newest_picture: None,
            watched: Watched { main: true, audio: true },
            keyframe_wanted: false,
            keyframe: None,
            ended: false,
            now: start.now,
            health: Health::new(start.now),
            renditions: Vec::new(),
            outputs: VecDeque::new(),
            demuxed: Vec::new(),
        }
    }

    /// A publisher begins: the first, one that came back, or one that takes over.
    pub fn handle_publisher_joined(&mut self, now: Instant) {
        self.advance(now);
        self.leave(now, now);
        self.health.publisher_joined();
        self.newest_picture = None;
        self.publisher = (!self.ended).then(|| Publisher::new(&self.config));
    }

    /// The current publisher has sound that is made into something else first: its sequence header comes later than an encoder's.
    pub fn expect_audio(&mut self) {
        if let Some(publisher) = &mut self.publisher {
            publisher.expect_audio();
        }
    }

    /// Takes one tag of the current publisher. `arrived` is when its last byte was read.
    ///
    /// # Errors
    /// This publisher must be refused; the text says why and what to do. The packager ignores its further tags.
    pub fn handle_tag(&mut self, now: Instant, arrived: Instant, tag: FlvTag) -> Result<(), PackagerError> {
        self.advance(now);
        let Some(publisher) = &mut self.publisher else { return Ok(()) };
        let mut demuxed = std::mem::take(&mut self.demuxed);
        let result = publisher.demuxer.demux(&tag, &mut demuxed);
        for found in demuxed.drain(..) {
            self.handle_demuxed(now, arrived, found);
        }
        self.demuxed = demuxed;
        if let Err(error) = result {
            self.leave(now, now);
            self.publisher = None;
            return Err(error.into());
        }
        self.try_begin(now);
        Ok(())
    }

    fn handle_demuxed(&mut self, now: Instant, arrived: Instant, found: Demuxed) {
        let Some(publisher) = &mut self.publisher else { return };
        match found {
            Demuxed::VideoConfig(config) => publisher.set_video(now, config),
            Demuxed::AudioConfig(config) => publisher.set_audio(now, config),
            Demuxed::Metadata { video, audio, frame_rate, video_bits } => {
                publisher.set_metadata(video, audio, frame_rate);
                self.announce_bits(video_bits);
            }
            Demuxed::UnknownTrack => self.health.counts.unknown_tracks += 1,
            Demuxed::BrokenUnit(kind) => {
                self.health.counts.broken_units += 1;
                if kind == millrace_core::flv::TagKind::Video {
                    publisher.lose_sync();
                    if let Some(live) = &mut self.live {
                        live.lose_sync();
                    }
                }
            }
            Demuxed::Video(unit) => {
                self.newest_picture = Some(unit.timestamp);
                let (bytes, composition_ms, sync) = (unit.data.len(), unit.composition_ms, unit.sync);
                if self.keyframe_wanted
                    && sync
                    && let Some(config) = publisher.video()
                {
                    let (_, record) = &config.decoder_config;
                    self.keyframe = Some(Keyframe { record: record.clone(), data: unit.data.clone() });
                }
                let Some((placed, jumped)) = publisher.place_video(unit, arrived) else { return };
                self.health.counts.timestamp_jumps += u64::from(jumped);
                self.health.video(now, bytes, placed.dts, composition_ms, sync);
                self.handle_unit(now, Unit::Video(placed));
            }
            Demuxed::Audio(unit) => {
                let bytes = unit.data.len();
                let Some((placed, jumped)) = publisher.place_audio(unit, arrived) else { return };
                self.health.counts.timestamp_jumps += u64::from(jumped);
                self.health.audio(now, bytes);
                self.handle_unit(now, Unit::Audio(placed));
            }
        }
    }

    /// The ladder hears what the encoder says of the bits that it sends.
    fn announce_bits(&mut self, video_bits: Option<u32>) {
        if self.config.tap {
            self.outputs.push_back(Output::Tapped(Tapped::Announced { video_bits }));
        }
    }

    /// A placed unit goes live, or waits for that.
    fn handle_unit(&mut self, now: Instant, unit: Unit) {
        let Some(publisher) = &mut self.publisher else { return };
        publisher.last_unit = Some(now);
        let (Some(live), Some(program)) = (&mut self.live, &mut self.program) else {
            publisher.wait(unit, &self.config);
            return;
        };
        // What the multivariant playlist declares changes with the tracks, at a sync sample or between audio frames,
        // or when the frame rate turns out to be another.
        let tracks = live.tracks().clone();
        let sync = matches!(&unit, Unit::Video(unit) if unit.sync);
        match unit {
            Unit::Video(unit) => {
                let audio = publisher.audio();
                live.push_video(unit, audio.as_ref(), now, program, &mut self.outputs);
            }
            Unit::Audio(unit) => live.push_audio(unit, now, program, &mut self.outputs),
        }
        if sync || tracks != *live.tracks() {
            self.announce_renditions();
        }
    }

    /// Makes the waiting publisher live, if it is ready.
    fn try_begin(&mut self, now: Instant) {
        if self.live.is_some() {
            return;
        }
        let Some(publisher) = &mut self.publisher else { return };
        let Some(ready) = publisher.ready(now, self.program.is_some()) else { return };
        let tracks = Tracks {
            video: publisher.video().filter(|_| ready.video),
            audio: publisher.audio().filter(|_| ready.audio),
        };
        let queue = publisher.take_waiting();
        if self.program.is_none() {
            self.open(&tracks);
        }
        let Some(program) = &mut self.program else { return };
        let live = Live::begin(tracks, &ready, now, &self.config, program, &mut self.outputs);
        self.live = Some(live);
        self.announce_renditions();
        for unit in queue {
            // Sound from before the first picture has no place.
            if unit.at() >= ready.first {
                self.handle_unit(now, unit);
            }
        }
    }

    /// Fixes the renditions and their bounds for the life of the playlists.
    fn open(&mut self, tracks: &Tracks) {
        let wanted = self.config.part_target;
        let rate = self.publisher.as_ref().and_then(Publisher::frame_rate);
        let audio_frame =
            tracks.audio.as_ref().map(|audio| (audio.frame_samples, audio.scale.ticks_per_second()));
        let audio_bounds = audio_frame.map(|frame| PartBounds::fitted(wanted, Some(frame)));
        let (main, audio) = match (&tracks.video, audio_bounds) {
            (None, Some(bounds)) => (bounds, None),
            (_, audio) => (PartBounds::fitted(wanted, rate.map(FrameRate::frame_seconds)), audio),
        };
        let wall = WallLine::new(self.start.now, self.start.wall);
        self.program = Some(Program::new(main, audio, self.target_duration, wall));
        self.renditions = self.rendition_infos(tracks);
        let renditions = self.renditions.clone();
        self.outputs.push_back(Output::Opened(Opened {
            target_duration: self.target_duration,
            renditions,
            rungs: 0,
        }));
    }

    fn rendition_infos(&self, tracks: &Tracks) -> Vec<RenditionInfo> {
        let Some(program) = &self.program else { return Vec::new() };
        let video = tracks.video.as_deref();
        let audio = tracks.audio.as_deref();
        let main = RenditionInfo {
            name: "main",
            part_target: program.main.bounds.target(),
            codecs: video
                .map(|v| v.codec.clone())
                .into_iter()
                .chain(audio.map(|a| a.codec.clone()))
                .collect(),
            resolution: video.map(|video| (video.width, video.height)),
            frame_rate: video
                .and(self.publisher.as_ref())
                .and_then(Publisher::frame_rate)
                .map(FrameRate::as_f64),
            nominal: None,
            listed: true,
        };
        let alone = program.audio.as_ref().map(|lane| RenditionInfo {
            name: "audio",
            part_target: lane.bounds.target(),
            // A publisher without audio leaves what was said before.
            codecs: match (audio, self.renditions.get(1)) {
                (Some(audio), _) => vec![audio.codec.clone()],
                (None, Some(known)) => known.codecs.clone(),
                (None, None) => Vec::new(),
            },
            resolution: None,
            frame_rate: None,
            nominal: None,
            listed: true,
        });
        std::iter::once(main).chain(alone).collect()
    }

    /// Says so when what the multivariant playlist declares has changed.
    fn announce_renditions(&mut self) {
        let Some(live) = &self.live else { return };
        let renditions = self.rendition_infos(live.tracks());
        if renditions != self.renditions {
            self.renditions.clone_from(&renditions);
            self.outputs.push_back(Output::Renditions(renditions));
        }
    }

    /// The publisher is gone; gaps are appended in real time until one joins or the broadcast ends.
    pub fn handle_publisher_left(&mut self, now: Instant) {
        self.advance(now);
        self.begin_late(now);
        self.leave(now, now);
        self.publisher = None;
    }

    /// The broadcast is over. Further input is ignored.
    pub fn handle_end(&mut self, now: Instant) {
        self.advance(now);
        if self.ended {
            return;
        }
        self.begin_late(now);
        self.leave(now, now);
        self.publisher = None;
        if let Some(program) = &mut self.program {
            program.end_segment(&mut self.outputs);
        }
        self.ended = true;
        self.outputs.push_back(Output::Ended);
    }

    /// A publisher that was too short to be sure of its tracks is packaged with those it has.
    fn begin_late(&mut self, now: Instant) {
        if let Some(publisher) = &mut self.publisher {
            publisher.stop_waiting();
        }
        self.try_begin(now);
    }

    /// Flushes what is live; the line stands still since `since`.
    fn leave(&mut self, now: Instant, since: Instant) {
        let Some(program) = &mut self.program else { return };
        if let Some(mut live) = self.live.take() {
            live.flush(now, program, &mut self.outputs);
            if self.config.tap {
                self.outputs.push_back(Output::Tapped(Tapped::Left));
            }
            program.leave(since, &mut self.outputs);
        }
    }

    /// Does what is due by now.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.try_begin(now);
    }

    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.ended {
            return;
        }
        if let Some(since) =
            self.silent_since().filter(|since| now.saturating_duration_since(*since) >= SILENCE)
        {
            self.leave(now, since);
            if let Some(publisher) = &mut self.publisher {
                publisher.fell_silent();
            }
        }
        let Some(program) = &mut self.program else { return };
        match &mut self.live {
            Some(live) => live.handle_timeout(now, program, &mut self.outputs),
            None => program.append_gaps(now, &mut self.outputs),
        }
    }

    /// Since when a live publisher has sent nothing.
    fn silent_since(&self) -> Option<Instant> {
        self.live.as_ref().and(self.publisher.as_ref()).and_then(|publisher| publisher.last_unit)
    }

    /// When [`Self::handle_timeout`] is due next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.ended {
            return None;
        }
        let program = self.program.as_ref();
        let due = match &self.live {
            Some(live) => {
                let stall = program.and_then(|program| live.poll_timeout(program));
                [stall, self.silent_since().map(|since| since + SILENCE)]
            }
            None => {
                let wait = self.publisher.as_ref().and_then(|publisher| publisher.poll_timeout(self.now));
                [wait, program.and_then(Program::gap_due)]
            }
        };
        due.into_iter().flatten().min()
    }

    /// Viewers wait for the next part of these renditions; of all, until it is said.
    pub fn handle_watched(&mut self, watched: Watched) {
        self.watched = watched;
        if let Some(live) = &mut self.live {
            live.set_watched(watched);
        }
    }

    /// The timestamp of the publisher's next tag that is expected to complete a part somebody waits for: those before it
    /// change nothing that a viewer could see, and may come late and together. `None`: not to be foreseen, each tag
    /// matters.
    #[must_use]
    pub fn wanted(&self) -> Option<RtmpMillis> {
        let (live, program) = (self.live.as_ref()?, self.program.as_ref()?);
        let millis = i32::try_from(live.until_wanted(self.watched, program)?.div_euclid(90)).ok()?;
        Some(RtmpMillis(self.newest_picture?.0.wrapping_add_signed(millis)))
    }

    /// Keeps every keyframe from now on until the next one comes, for [`Self::take_keyframe`].
    pub fn want_keyframe(&mut self) {
        self.keyframe_wanted = true;
    }

    /// The newest keyframe since [`Self::want_keyframe`]. No more are kept then.
    pub fn take_keyframe(&mut self) -> Option<Keyframe> {
        let keyframe = self.keyframe.take()?;
        self.keyframe_wanted = false;
        Some(keyframe)
    }

    /// The next output.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What is measured of the broadcast.
    #[must_use]
    pub fn health(&self, now: Instant) -> StreamHealth {
        let publisher = self.publisher.as_ref();
        let video = publisher.and_then(Publisher::video);
        let audio = publisher.and_then(Publisher::audio);
        let frame_rate = publisher.and_then(Publisher::measured_frame_rate);
        let bound = self.config.target_duration;
        self.health.report(now, video.as_deref(), frame_rate, audio.as_deref(), bound)
    }

    /// The largest of the last keyframe intervals, for the next broadcast of this channel.
    #[must_use]
    pub fn keyframe_interval(&self) -> Option<Duration> {
        self.health.keyframe_interval()
    }
}

#[cfg(test)]
pub(crate) mod tests;
