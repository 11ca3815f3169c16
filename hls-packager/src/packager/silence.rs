//! Silence in place of sound that does not come.
//!
//! A player starts, and goes on, only where every track of a muxed rendition has media. So a track that is on air has
//! samples everywhere: where the sound starts later than the picture, stops, or has a hole, frames of silence take
//! its place. Sound that merely arrives behind its picture is waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use millrace_core::time::Timescale;

use crate::demux::AudioConfig;

/// Sound of which nothing was heard yet starts late when this long after its first picture there is none.
const LATE: Duration = Duration::from_millis(500);
/// Sound that was there stopped when there is none for this long: longer than any encoder holds one track back.
const LOST: Duration = Duration::from_secs(2);
/// How far silence stays behind the picture, in ticks of 90 kHz, so that sound which starts finds its place free.
const BEHIND: i64 = 22_500;
/// Holes up to this, in ticks of 90 kHz, are left to the player: the frame before lasts until the next.
const HOLE: i64 = 9_000;
/// Most that is filled at a time, in ticks of 90 kHz: what lies before is a hole that nobody plays any more.
const MOST: i64 = 5 * 90_000;
/// Sound this far behind its picture, in ticks of 90 kHz, is of no use: players would have to stay as far behind.
const USELESS: i64 = 5 * 90_000;

/// Where the sound of one audio track is, and whether it comes.
#[derive(Debug)]
pub(super) struct Silence {
    config: Arc<AudioConfig>,
    /// Where the newest frame ends, in samples.
    end: i64,
    /// Whether that frame is silence.
    silent: bool,
    /// When sound came last; before the first, when the first picture came.
    last: Instant,
    heard: bool,
    /// Whether the encoder went on to another track.
    over: bool,
}

impl Silence {
    /// A track that goes on air at `start`, in ticks of 90 kHz; `since` is when its first picture came.
    pub(super) fn new(config: Arc<AudioConfig>, start: i64, since: Instant) -> Self {
        let end = config.scale.rescale(start, Timescale::VIDEO);
        Self { config, end, silent: false, last: since, heard: false, over: false }
    }

    /// The track.
    pub(super) fn config(&self) -> &Arc<AudioConfig> {
        &self.config
    }

    /// Decode times, in samples, of the silence that is due now that the picture reaches to `picture`.
    pub(super) fn due(&mut self, now: Instant, picture: i64) -> Vec<i64> {
        if self.over {
            return self.fill(picture);
        }
        let patience = if self.heard { LOST } else { LATE };
        let comes = now.saturating_duration_since(self.last) < patience;
        if comes && picture.saturating_sub(self.end_ticks()) < USELESS {
            return Vec::new();
        }
        self.fill(picture.saturating_sub(BEHIND))
    }

    /// Decode times of the silence up to `at`, in ticks of 90 kHz, where a segment ends: where there is silence
    /// already it reaches as far as the picture, so that renditions end together.
    pub(super) fn segment_end(&mut self, at: i64) -> Vec<i64> {
        if self.silent { self.fill(at) } else { Vec::new() }
    }

    /// Sound came, at `dts` in samples: decode times of the silence that goes before it, or `None` if it is too late
    /// and silence has its place.
    pub(super) fn sound(&mut self, dts: i64, now: Instant) -> Option<Vec<i64>> {
        self.last = now;
        let frame = i64::from(self.config.frame_samples);
        if self.silent && dts.saturating_add(frame / 2) < self.end {
            return None;
        }
        (self.heard, self.over) = (true, false);
        // A hole is one that a player would stumble over.
        let at = Timescale::VIDEO.rescale(dts, self.config.scale);
        let before = if at.saturating_sub(self.end_ticks()) > HOLE { self.fill(at) } else { Vec::new() };
        self.end = dts.saturating_add(frame);
        self.silent = false;
        Some(before)
    }

    /// The encoder went on to a track that is not on air yet: of this one nothing more will come.
    pub(super) fn end(&mut self) {
        self.over = true;
    }

    fn end_ticks(&self) -> i64 {
        Timescale::VIDEO.rescale(self.end, self.config.scale)
    }

    /// As many whole frames as fit before `until`, in ticks of 90 kHz.
    fn fill(&mut self, until: i64) -> Vec<i64> {
        let scale = self.config.scale;
        let earliest = scale.rescale(until.saturating_sub(MOST), Timescale::VIDEO);
        self.end = self.end.max(earliest);
        let until = scale.rescale(until, Timescale::VIDEO);
        let frame = i64::from(self.config.frame_samples);
        let mut frames = Vec::new();
        while self.end.saturating_add(frame) <= until {
            frames.push(self.end);
            self.end += frame;
            self.silent = true;
        }
        frames
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demux::aac::parse_config;

    const FRAME: i64 = 1024;
    const SECOND: i64 = 48_000;
    const TICKS: i64 = 90_000;

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn track() -> (Silence, Instant) {
        let now = Instant::now();
        let config = parse_config(&bytes::Bytes::from_static(&[0x11, 0x90])).unwrap();
        (Silence::new(Arc::new(config), 0, now), now)
    }

    fn frames(to: i64) -> Vec<i64> {
        (0..to / FRAME).map(|n| n * FRAME).collect()
    }

    #[test]
    fn sound_that_starts_late_finds_its_place_free() {
        let (mut track, now) = track();
        assert!(track.due(now + LATE / 2, TICKS / 4).is_empty(), "it may come yet");
        let filled = track.due(now + LATE, TICKS / 2);
        assert_eq!(filled, frames(SECOND / 4));
        // The rest comes with the first sound, and that is not cut.
        let rest = track.sound(SECOND / 2, now + LATE).unwrap();
        assert_eq!([filled, rest].concat(), frames(SECOND / 2));
        assert!(track.due(now + LATE + LOST / 2, 2 * TICKS).is_empty());
    }

    #[test]
    fn silence_reaches_to_the_end_of_a_segment() {
        let (mut track, now) = track();
        assert!(track.segment_end(TICKS).is_empty(), "nothing is missed yet");
        let filled = track.due(now + LATE, TICKS);
        assert_eq!([filled, track.segment_end(TICKS)].concat(), frames(SECOND));
        assert_eq!(track.sound(SECOND, now + LATE), Some(Vec::new()));
        assert!(track.segment_end(2 * TICKS).is_empty(), "the sound is on its way");
    }

    #[test]
    fn sound_that_stops_is_missed_only_after_a_while() {
        let (mut track, now) = track();
        assert_eq!(track.sound(0, now), Some(Vec::new()));
        assert!(track.due(now + LOST - LATE / 2, 2 * TICKS).is_empty());
        let first = track.due(now + LOST, 2 * TICKS);
        assert_eq!((first[0], first.last()), (FRAME, Some(&(FRAME * (7 * SECOND / 4 / FRAME - 1)))));
        // It comes back where silence has been put: what is covered is dropped, the rest is not.
        let end = first.last().unwrap() + FRAME;
        assert_eq!(track.sound(end - FRAME, now + LOST), None);
        assert_eq!(track.sound(end - FRAME / 3, now + LOST), Some(Vec::new()));
        assert_eq!(track.sound(end - FRAME / 3 + FRAME, now + LOST), Some(Vec::new()));
    }

    #[test]
    fn jitter_is_left_alone_and_a_hole_is_filled() {
        let (mut track, now) = track();
        assert_eq!(track.sound(0, now), Some(Vec::new()));
        assert_eq!(track.sound(FRAME + SECOND / 11, now), Some(Vec::new()));
        let end = 2 * FRAME + SECOND / 11;
        let hole = track.sound(end + SECOND, now).unwrap();
        assert_eq!(hole, (0..SECOND / FRAME).map(|n| end + n * FRAME).collect::<Vec<_>>());
    }

    #[test]
    fn a_track_that_is_over_is_filled_up_to_the_picture_at_once() {
        let (mut track, now) = track();
        assert_eq!(track.sound(0, now), Some(Vec::new()));
        track.end();
        assert_eq!(track.due(now, FRAME * 3 * TICKS / SECOND), [FRAME, 2 * FRAME]);
        assert_eq!(track.sound(3 * FRAME, now), Some(Vec::new()));
        assert!(track.due(now, TICKS).is_empty(), "not over after all");
    }

    #[test]
    fn what_is_filled_at_a_time_is_bounded() {
        let (mut track, now) = track();
        let filled = track.due(now + LATE, 1_000_000 * TICKS);
        assert_eq!(filled.len(), usize::try_from(MOST / TICKS * SECOND / FRAME).unwrap());
        assert!(track.due(now + LATE, i64::MIN).is_empty());
    }

    #[test]
    fn sound_that_stays_far_behind_is_given_up() {
        let (mut track, now) = track();
        assert_eq!(track.sound(0, now), Some(Vec::new()));
        assert!(track.due(now, USELESS).is_empty());
        assert!(!track.due(now, USELESS + FRAME * TICKS / SECOND).is_empty());
        assert_eq!(track.sound(FRAME, now), None);
    }
}
