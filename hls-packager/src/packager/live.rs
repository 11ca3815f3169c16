//! A publisher that is live: access units in, parts out.
//!
//! The video leads where there is one. A part ends as soon as the last frame that fits has arrived, its end being
//! predicted from the frame grid; the audio that has arrived goes with it. Samples follow each other without a hole
//! in decode time: where a prediction was wrong, or a part's bound clipped a frame, the next sample begins where the
//! part ended and its composition offset makes up for it, so that presentation times are always the true ones.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use millrace_core::time::Timescale;

use super::audio_part::{AudioPart, AudioSample, audio_run};
use super::program::{Program, Segment};
use super::publisher::Ready;
use super::silence::Silence;
use super::{PackagerConfig, Watched};
use crate::cmaf::fragment::{Run, Sample, write_fragment};
use crate::cmaf::init::write_init;
use crate::cmaf::{AUDIO_TRACK, VIDEO_TRACK};
use crate::demux::{AudioConfig, VideoConfig};
use crate::model::{Output, Tapped};

/// Without a picture for this long while sound goes on, the broadcast goes on as audio only.
const VIDEO_LOST: Duration = Duration::from_secs(5);
/// How late media is read at most while nobody watches. Video that is late only because of that is waited for.
const UNWATCHED_LATENESS: Duration = Duration::from_millis(150);
/// How long nothing is wanted, in ticks of 90 kHz, while nobody watches: longer than any part that is worth waiting for.
const NOT_SOON: i64 = 10 * 90_000;
/// Most audio frames of a track that waits for a sync sample to go on air with: those that came before the picture
/// they belong to.
const MAX_COMING: usize = 256;

/// A picture on the publisher's line, in ticks of 90 kHz.
#[derive(Debug, Clone)]
pub(super) struct PlacedVideo {
    pub(super) dts: i64,
    pub(super) pts: i64,
    /// Predicted.
    pub(super) duration: i64,
    pub(super) sync: bool,
    pub(super) data: Bytes,
    pub(super) config: Arc<VideoConfig>,
    pub(super) arrived: Instant,
}

/// An audio frame on the publisher's line.
#[derive(Debug, Clone)]
pub(super) struct PlacedAudio {
    /// In samples.
    pub(super) dts: i64,
    pub(super) data: Bytes,
    pub(super) config: Arc<AudioConfig>,
    pub(super) arrived: Instant,
}

impl PlacedAudio {
    /// Decode time in ticks of 90 kHz.
    pub(super) fn at(&self) -> i64 {
        Timescale::VIDEO.rescale(self.dts, self.config.scale)
    }
}

/// Which tracks are on air.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tracks {
    pub(super) video: Option<Arc<VideoConfig>>,
    pub(super) audio: Option<Arc<AudioConfig>>,
}

impl Tracks {
    fn inits(&self) -> Vec<Option<Bytes>> {
        let main = write_init(self.video.as_deref(), self.audio.as_deref());
        vec![Some(main), self.audio.as_deref().map(|audio| write_init(None, Some(audio)))]
    }

    fn tap(&self, tapped: bool, out: &mut VecDeque<Output>) {
        if tapped {
            let (video, audio) = (self.video.clone(), self.audio.clone());
            out.push_back(Output::Tapped(Tapped::Tracks { video, audio }));
        }
    }
}

/// An audio frame at `dts` samples of the program's line.
fn audio_sample(dts: i64, config: &AudioConfig, data: Bytes, arrived: Instant) -> AudioSample {
    let samples = config.frame_samples;
    let at = |dts| Timescale::VIDEO.rescale(dts, config.scale);
    AudioSample { dts, at: at(dts), end: at(dts.saturating_add(samples.into())), samples, data, arrived }
}

/// The open part of the main rendition while video leads.
#[derive(Debug, Default)]
struct VideoPart {
    samples: Vec<Sample>,
    first_dts: i64,
    last_dts: i64,
    /// Where the last frame is predicted to end.
    end: i64,
    bytes: usize,
    arrived: Option<Instant>,
}

/// Where the newest picture is on the program's line, and how long it is predicted to last.
#[derive(Debug, Clone, Copy)]
struct Newest {
    at: i64,
    duration: i64,
}

/// What is live.
#[derive(Debug)]
pub(super) struct Live {
    /// From the publisher's line to the program's.
    shift: i64,
    tracks: Tracks,
    part: VideoPart,
    /// Where the last published video sample ends.
    video_end: Option<i64>,
    /// Beyond any video frame that has arrived: audio before it belongs to the running segment.
    horizon: i64,
    /// Audio for the muxed rendition, and the same for the audio-only one.
    muxed: VecDeque<AudioSample>,
    alone: VecDeque<AudioSample>,
    /// Open parts: of the main rendition while audio leads, and of the audio-only one.
    main_audio: AudioPart,
    alone_audio: AudioPart,
    audio_run: Vec<Sample>,
    /// Fills the holes of the audio track that is on air with the video.
    silence: Option<Silence>,
    /// Frames of the audio track that goes on air at the next sync sample.
    coming: VecDeque<PlacedAudio>,
    need_sync: bool,
    /// The segment cannot take another part.
    full: bool,
    stalled: bool,
    /// How much later than it arrived media may be read.
    lateness: Duration,
    last_published: Instant,
    last_video: Instant,
    last_sync: Option<i64>,
    next_sync: Option<i64>,
    /// The newest picture.
    newest: Option<Newest>,
    /// How long an audio frame lasts.
    sound: Option<i64>,
    max_bytes: usize,
    max_samples: usize,
    max_units: usize,
    tap: bool,
}

impl Live {
    /// Goes live where the program's line ends, with what the publisher is ready with.
    pub(super) fn begin(
        tracks: Tracks,
        ready: &Ready,
        now: Instant,
        config: &PackagerConfig,
        program: &mut Program,
        out: &mut VecDeque<Output>,
    ) -> Self {
        tracks.tap(config.tap, out);
        program.start_segment(Some(ready.seen), true, Some(tracks.inits()), out);
        let start = program.end();
        let silence = tracks.audio.clone().map(|audio| Silence::new(audio, start, ready.sound_since));
        Self {
            shift: program.end().saturating_sub(ready.first),
            tracks,
            part: VideoPart::default(),
            video_end: None,
            horizon: i64::MIN,
            muxed: VecDeque::new(),
            alone: VecDeque::new(),
            main_audio: AudioPart::default(),
            alone_audio: AudioPart::default(),
            audio_run: Vec::new(),
            silence,
            coming: VecDeque::new(),
            need_sync: true,
            full: false,
            stalled: false,
            lateness: Duration::ZERO,
            last_published: now,
            last_video: now,
            last_sync: None,
            next_sync: None,
            newest: None,
            sound: None,
            max_bytes: config.max_part_bytes,
            max_samples: config.max_part_samples,
            max_units: config.max_waiting_units,
            tap: config.tap,
        }
    }

    /// What is on air.
    pub(super) fn tracks(&self) -> &Tracks {
        &self.tracks
    }

    /// An access unit was lost: pictures are dropped until the next sync sample.
    pub(super) fn lose_sync(&mut self) {
        self.need_sync = true;
    }

    /// Takes a picture. `audio` is the audio track as the publisher sends it now; it goes on air at a sync sample.
    pub(super) fn push_video(
        &mut self,
        unit: PlacedVideo,
        audio: Option<&Arc<AudioConfig>>,
        now: Instant,
        program: &mut Program,
        out: &mut VecDeque<Output>,
    ) {
        self.last_video = now;
        if self.need_sync && !unit.sync {
            return;
        }
        let dts = unit.dts.saturating_add(self.shift);
        let pts = unit.pts.saturating_add(self.shift);
        if unit.sync {
            self.need_sync = false;
            let tracks = Tracks { video: Some(Arc::clone(&unit.config)), audio: audio.cloned() };
            if tracks != self.tracks {
                self.close_before(dts, now, program, out);
                self.restart(tracks, unit.arrived, program, out);
                self.push_coming(dts, now, program);
            } else if program
                .segment()
                .is_some_and(|s| program.segments.ends_at_sync(s.start, s.independent, dts) && dts > s.start)
            {
                self.close_before(dts, now, program, out);
                self.end_segment(program, out);
                program.start_segment(Some(unit.arrived), true, None, out);
            }
            self.next_sync = self.last_sync.map(|last| dts.saturating_add(dts.saturating_sub(last)));
            self.last_sync = Some(dts);
        }
        self.stalled = false;
        self.close_holes(dts, now, program, out);
        if self.part.samples.is_empty() {
            self.bound_segment(unit.sync, unit.arrived, program, out);
        }
        self.append(dts, pts, &unit, program);
        if self.tap {
            let dts = self.part.last_dts;
            out.push_back(Output::Tapped(Tapped::Picture {
                dts,
                pts,
                sync: unit.sync,
                data: unit.data.clone(),
            }));
        }
        self.newest = Some(Newest { at: dts, duration: unit.duration });
        if let Some(silence) = &mut self.silence {
            let frames = silence.due(now, self.part.end);
            self.push_silence(&frames, now, program);
        }
        self.horizon = self.horizon.max(self.part.end);
        let latest = program.segment().map_or(i64::MAX, |s| program.segments.latest_end(s.start));
        let end = if self.part.end.saturating_add(unit.duration) > latest {
            self.full = true;
            Some(self.part.end)
        } else if self.part.samples.len() >= self.max_samples || self.part.bytes >= self.max_bytes {
            Some(program.main.bounds.clamp(program.main.at, self.part.end))
        } else {
            program.main.bounds.end(program.main.at, self.part.end, unit.duration)
        };
        if let Some(end) = end {
            self.close(end, now, program, out);
        }
        self.drain_alone(program, out);
    }

    /// Ends parts until a frame at `dts` falls into the open one: frames are missing, or come later than thought.
    fn close_holes(&mut self, dts: i64, now: Instant, program: &mut Program, out: &mut VecDeque<Output>) {
        loop {
            let next = if self.part.samples.is_empty() { dts } else { dts.max(self.part.last_dts + 1) };
            if next < program.main.latest() {
                return;
            }
            if self.part.samples.is_empty() {
                self.bound_segment(false, now, program, out);
            }
            self.close(program.main.latest(), now, program, out);
        }
    }

    /// Begins a new segment where the open part begins, if the running one would become too long.
    fn bound_segment(
        &mut self,
        sync: bool,
        seen: Instant,
        program: &mut Program,
        out: &mut VecDeque<Output>,
    ) {
        let part = program.main.bounds.longest();
        let ends =
            |s: Segment| program.segments.ends_without_sync(s.start, program.end(), part, self.next_sync);
        if self.full || program.segment().is_some_and(ends) {
            self.end_segment(program, out);
            program.start_segment(Some(seen), sync, None, out);
        }
    }

    /// Adds a frame to the open part.
    fn append(&mut self, dts: i64, pts: i64, unit: &PlacedVideo, program: &mut Program) {
        let part = &mut self.part;
        let earliest = program.main.last_video.saturating_add(1);
        let at = match part.samples.last_mut() {
            Some(previous) => {
                let at = dts.max(earliest);
                previous.duration = u32::try_from(at - part.last_dts).unwrap_or(u32::MAX);
                at
            }
            None => {
                let at = self.video_end.unwrap_or_else(|| dts.max(program.main.at)).max(earliest);
                part.first_dts = at;
                at
            }
        };
        part.last_dts = at;
        program.main.last_video = at;
        part.end = dts.saturating_add(unit.duration).max(at + 1);
        part.bytes += unit.data.len();
        part.arrived = Some(unit.arrived);
        let composition = pts.saturating_sub(at).clamp(i32::MIN.into(), i32::MAX.into());
        part.samples.push(Sample {
            duration: 0,
            composition: i32::try_from(composition).expect("clamped"),
            sync: unit.sync,
            data: unit.data.clone(),
        });
    }

    /// Publishes the open part of the main rendition, which then ends at `end` (or as near as its bounds allow):
    /// its video samples, and the audio before that point. Without either it is a gap part.
    fn close(&mut self, end: i64, now: Instant, program: &mut Program, out: &mut VecDeque<Output>) {
        let latest = program.segment().map_or(i64::MAX, |s| program.segments.latest_end(s.start));
        let lane = &mut program.main;
        let mut end = end.min(lane.latest()).max(lane.at + 1);
        if end >= latest {
            (end, self.full) = (latest.max(lane.at + 1), true);
        }
        let part = &mut self.part;
        if let Some(last) = part.samples.last_mut() {
            // Contiguous with the next part; the sample itself may have been squeezed in just before the end.
            let until = end.max(part.last_dts + 1);
            last.duration = u32::try_from(until - part.last_dts).unwrap_or(u32::MAX);
            self.video_end = Some(until);
        }
        let waiting = self.muxed.iter().take_while(|frame| frame.at < end).count();
        let audio = audio_run(self.muxed.drain(..waiting), &mut lane.last_audio, &mut self.audio_run);
        let arrived = part.arrived.take().max(audio.map(|(_, arrived)| arrived));
        if part.samples.is_empty() && audio.is_none() {
            lane.gap(end, out);
        } else {
            let video = Run {
                track: VIDEO_TRACK,
                decode_time: u64::try_from(part.first_dts).unwrap_or(0),
                samples: &part.samples,
            };
            if self.tap && !part.samples.is_empty() {
                let audio = audio.map(|(decode_time, _)| (decode_time, self.audio_run.clone()));
                let (span, last_picture) = ((lane.at, end), part.last_dts);
                out.push_back(Output::Tapped(Tapped::Part { span, last_picture, audio }));
            }
            let decode_time = audio.map_or(0, |(decode_time, _)| decode_time);
            let audio = Run { track: AUDIO_TRACK, decode_time, samples: &self.audio_run };
            let independent = part.samples.first().is_some_and(|sample| sample.sync);
            let body = write_fragment(lane.next_fragment(), &[video, audio]);
            lane.publish(end, independent, body, arrived, out);
        }
        part.samples.clear();
        self.audio_run.clear();
        part.bytes = 0;
        self.horizon = self.horizon.max(program.main.at);
        self.last_published = now;
    }

    /// Publishes what belongs before `at`, where a segment is about to begin.
    fn close_before(&mut self, at: i64, now: Instant, program: &mut Program, out: &mut VecDeque<Output>) {
        if self.tracks.video.is_none() {
            return;
        }
        self.close_holes(at, now, program, out);
        let missing = at - program.main.at > program.main.bounds.longest() / 2;
        if !self.part.samples.is_empty() || missing {
            if self.part.samples.is_empty() {
                self.bound_segment(false, now, program, out);
            }
            self.close(
                at.max(self.part.last_dts.saturating_add(1).min(program.main.latest())),
                now,
                program,
                out,
            );
        }
    }

    /// Takes an audio frame. While video leads, a track of another configuration than the one on air goes on air at
    /// the next sync sample: a player that is handed another init segment shows no picture before that.
    pub(super) fn push_audio(
        &mut self,
        unit: PlacedAudio,
        now: Instant,
        program: &mut Program,
        out: &mut VecDeque<Output>,
    ) {
        if self.tracks.video.is_some()
            && self.stalled
            && now.saturating_duration_since(self.last_video) > VIDEO_LOST
        {
            self.flush(now, program, out);
            let tracks = Tracks { video: None, audio: Some(Arc::clone(&unit.config)) };
            self.restart(tracks, unit.arrived, program, out);
            self.need_sync = true;
        }
        if self.tracks.audio.as_ref() != Some(&unit.config) {
            if self.tracks.video.is_some() {
                self.push_before_air(unit);
                return;
            }
            self.main_audio.flush(&mut program.main, out);
            let tracks = Tracks { video: None, audio: Some(Arc::clone(&unit.config)) };
            self.restart(tracks, unit.arrived, program, out);
        }
        let frame = self.on_line(unit);
        self.sound = Some(frame.end - frame.at);
        if self.tracks.video.is_none() {
            if let Some(silence) = &mut self.silence {
                // Gap parts are its silence.
                let _ = silence.sound(frame.dts, now);
            }
            self.push_leading_audio(frame, program, out);
            self.last_published = now;
            return;
        }
        self.push_sound(frame, now, program);
        self.handle_timeout(now, program, out);
        self.drain_alone(program, out);
    }

    /// A frame on the program's line.
    fn on_line(&self, unit: PlacedAudio) -> AudioSample {
        let scale = unit.config.scale;
        let dts = unit.dts.saturating_add(scale.rescale(self.shift, Timescale::VIDEO));
        audio_sample(dts, &unit.config, unit.data, unit.arrived)
    }

    /// Hands sound to both renditions, behind the silence that goes before it. Sound that is late and has had its
    /// place taken by silence is dropped.
    fn push_sound(&mut self, frame: AudioSample, now: Instant, program: &Program) {
        if let Some(silence) = &mut self.silence {
            let Some(before) = silence.sound(frame.dts, now) else { return };
            self.push_silence(&before, now, program);
        }
        if program.audio.is_some() {
            self.alone.push_back(frame.clone());
        }
        self.muxed.push_back(frame);
    }

    /// Hands frames of silence at these decode times to both renditions.
    fn push_silence(&mut self, frames: &[i64], now: Instant, program: &Program) {
        let Some(config) = self.silence.as_ref().map(|silence| Arc::clone(silence.config())) else { return };
        for dts in frames {
            let frame = audio_sample(*dts, &config, config.silence.clone(), now);
            // A rendition of its own may have a gap there already.
            if program.audio.as_ref().is_some_and(|lane| frame.at >= lane.at) {
                self.alone.push_back(frame.clone());
            }
            self.muxed.push_back(frame);
        }
    }

    /// Keeps a frame of a track that is not on air yet.
    fn push_before_air(&mut self, unit: PlacedAudio) {
        if self.coming.front().is_some_and(|first| first.config != unit.config) {
            self.coming.clear();
        }
        if let Some(silence) = &mut self.silence {
            silence.end();
        }
        if self.coming.len() == MAX_COMING {
            self.coming.pop_front();
        }
        self.coming.push_back(unit);
    }

    /// Another track went on air at `at`: what came of it for the time from there on is its beginning.
    fn push_coming(&mut self, at: i64, now: Instant, program: &Program) {
        for unit in std::mem::take(&mut self.coming) {
            let config = Arc::clone(&unit.config);
            let frame = self.on_line(unit);
            if frame.at >= at && self.tracks.audio.as_ref() == Some(&config) {
                self.push_sound(frame, now, program);
            }
        }
    }

    fn push_leading_audio(&mut self, frame: AudioSample, program: &mut Program, out: &mut VecDeque<Output>) {
        while frame.at >= program.main.latest() {
            let end = program.main.latest();
            self.bound_audio_segment(end, frame.arrived, program, out);
            self.main_audio.end(end, &mut program.main, out);
        }
        self.bound_audio_segment(frame.at, frame.arrived, program, out);
        if program.audio.is_some() {
            self.alone.push_back(frame.clone());
            self.drain_alone_until(i64::MAX, program, out);
        }
        self.main_audio.push(frame, self.max_samples, &mut program.main, out);
    }

    /// Begins a new segment when the running one would reach beyond its length at `until`.
    fn bound_audio_segment(
        &mut self,
        until: i64,
        seen: Instant,
        program: &mut Program,
        out: &mut VecDeque<Output>,
    ) {
        let length = program.segments.audio();
        if program.segment().is_some_and(|segment| until - segment.start >= length) {
            self.main_audio.flush(&mut program.main, out);
            self.end_segment(program, out);
            program.start_segment(Some(seen), true, None, out);
        }
    }

    /// Hands the audio-only rendition the audio that is known to belong to the running segment.
    fn drain_alone(&mut self, program: &mut Program, out: &mut VecDeque<Output>) {
        self.drain_alone_until(self.horizon, program, out);
    }

    /// The same, up to a place on the line. Audio that was late may not fit into the segment; it stays for the next.
    fn drain_alone_until(&mut self, end: i64, program: &mut Program, out: &mut VecDeque<Output>) {
        let Some(lane) = &mut program.audio else { return };
        while lane.has_room(program.segments) {
            match self.alone.front() {
                Some(frame) if frame.at >= end => return,
                // The frames there are last until the bound; where there are none, there is a gap.
                Some(frame) if frame.at >= lane.latest() => self.alone_audio.end(lane.latest(), lane, out),
                _ => {
                    let Some(frame) = self.alone.pop_front() else { return };
                    self.alone_audio.push(frame, self.max_samples, lane, out);
                }
            }
        }
    }

    /// Ends the running segment where the main rendition's last part ended.
    fn end_segment(&mut self, program: &mut Program, out: &mut VecDeque<Output>) {
        if let Some(silence) = &mut self.silence {
            let frames = silence.segment_end(program.end());
            self.push_silence(&frames, self.last_video, program);
        }
        self.drain_alone_until(program.end(), program, out);
        if let Some(lane) = &mut program.audio {
            self.alone_audio.flush(lane, out);
        }
        self.full = false;
        program.end_segment(out);
    }

    /// Goes on with other tracks behind a discontinuity.
    fn restart(&mut self, tracks: Tracks, seen: Instant, program: &mut Program, out: &mut VecDeque<Output>) {
        self.main_audio.flush(&mut program.main, out);
        self.end_segment(program, out);
        if tracks.audio != self.tracks.audio {
            self.muxed.clear();
            self.alone.clear();
        }
        let other_audio = tracks.audio != self.tracks.audio;
        self.tracks = tracks;
        self.video_end = None;
        self.tracks.tap(self.tap, out);
        program.start_segment(Some(seen), true, Some(self.tracks.inits()), out);
        if other_audio {
            let start = program.end();
            self.silence = self.tracks.audio.clone().map(|audio| Silence::new(audio, start, seen));
        }
    }

    /// When the audio goes on alone because the video is late: a quarter of a part target after a part was due.
    fn stall_due(&self, program: &Program) -> Option<Instant> {
        let latest = program.main.latest();
        self.muxed.back().filter(|frame| frame.end >= latest)?;
        let target = program.main.bounds.target();
        let patience = target + target / 4 + self.lateness;
        Some(if self.stalled { self.last_published } else { self.last_published + patience })
    }

    /// Whether anybody waits for what comes: else nobody hurries to read it.
    pub(super) fn set_watched(&mut self, watched: Watched) {
        let hurry = watched.main || watched.audio;
        self.lateness = if hurry { Duration::ZERO } else { UNWATCHED_LATENESS };
    }

    /// How long after the newest picture the next unit is expected that ends a part of a rendition that is watched, in
    /// ticks of 90 kHz. `None` where that cannot be told; not positive where it should be here by now.
    pub(super) fn until_wanted(&self, watched: Watched, program: &Program) -> Option<i64> {
        let foreseeable = self.tracks.video.is_some() && !self.need_sync && !self.stalled;
        let newest = self.newest.filter(|_| foreseeable)?;
        let picture = Some(program.main.last_start(newest.duration)).filter(|_| watched.main);
        // A segment ends where the keyframe arrives.
        let sync = self.next_sync.filter(|at| *at > newest.at && (watched.main || watched.audio));
        let sound = program.audio.as_ref().zip(self.sound).map(|(lane, frame)| lane.last_start(frame));
        let wanted = [picture, sync, sound.filter(|_| watched.audio)].into_iter().flatten().min();
        Some(wanted.map_or(NOT_SOON, |at| at.saturating_sub(newest.at)))
    }

    /// When [`Self::handle_timeout`] is due.
    pub(super) fn poll_timeout(&self, program: &Program) -> Option<Instant> {
        self.stall_due(program)
    }

    /// Publishes parts without the video that should be in them when it is late and the audio is there.
    pub(super) fn handle_timeout(&mut self, now: Instant, program: &mut Program, out: &mut VecDeque<Output>) {
        while self.muxed.len() > self.max_units || self.stall_due(program).is_some_and(|due| due <= now) {
            self.stalled = true;
            if self.part.samples.is_empty() {
                self.bound_segment(false, now, program, out);
            }
            self.close(program.main.latest(), now, program, out);
        }
        self.drain_alone(program, out);
    }

    /// Publishes everything that waits and ends the segment.
    pub(super) fn flush(&mut self, now: Instant, program: &mut Program, out: &mut VecDeque<Output>) {
        self.main_audio.flush(&mut program.main, out);
        while !self.part.samples.is_empty() || !self.muxed.is_empty() {
            let mut end = self.muxed.back().map_or(i64::MIN, |frame| frame.end);
            if self.part.samples.is_empty() {
                self.bound_segment(false, now, program, out);
            } else {
                end = end.max(self.part.end);
            }
            self.close(end, now, program, out);
        }
        self.horizon = i64::MAX;
        self.drain_alone(program, out);
        self.end_segment(program, out);
    }
}
