//! The timeline of one publisher: 32-bit milliseconds of two tracks become one line in ticks of 90 kHz that never
//! wraps and never jumps.
//!
//! A jump of the timestamps (an encoder whose clock was set, a playlist of files sent in a row) is taken out: the
//! track goes on one frame after where it was, and the other track follows by the same distance, so that sound
//! stays with picture. Viewers notice nothing; the streamer gets a warning.

mod audio;
mod grid;
mod rate;

pub(crate) use audio::AudioClock;
pub(crate) use grid::FrameGrid;
pub use rate::FrameRate;

use std::time::{Duration, Instant};

use millrace_core::time::{MillisUnwrapper, RtmpMillis, Timescale};

/// The line's timescale.
pub(crate) const VIDEO_SCALE: Timescale = Timescale::VIDEO;
const SECOND: i64 = Timescale::VIDEO.ticks_per_second() as i64;
/// Steps forward beyond this are jumps, unless the other track or the wall clock agrees with them.
const MAX_FORWARD: i64 = 3 * SECOND;
/// Steps back beyond this are jumps.
const MAX_BACK: i64 = SECOND;
/// How far two tracks may be apart and still agree.
const NEAR: i64 = SECOND;
/// How far apart two tracks may start.
const MAX_START_OFFSET: i64 = 10 * SECOND;

/// Which track.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Track {
    Video,
    Audio,
}

#[derive(Debug, Clone, Copy, Default)]
struct TrackState {
    offset: i64,
    last: Option<(i64, Instant)>,
}

/// A place on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Ticks of 90 kHz; the publisher's first timestamp keeps its value.
    pub(crate) at: i64,
    /// How far the track's timestamps were moved just now, because they jumped.
    pub(crate) moved: i64,
    /// Whether this is the first track to jump, worth a warning.
    pub(crate) jumped: bool,
}

/// The line of one publisher.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    unwrapper: MillisUnwrapper,
    video: TrackState,
    audio: TrackState,
    /// The offset that the last jump made; the other track adopts it when it jumps too.
    newest: i64,
}

impl Timeline {
    /// Places a timestamp. `step` is the duration of the track's frame before, where this one goes after a jump.
    pub(crate) fn place(
        &mut self,
        track: Track,
        timestamp: RtmpMillis,
        nanos: u32,
        step: i64,
        arrived: Instant,
    ) -> Place {
        let millis = self.unwrapper.unwrap(timestamp);
        let raw = millis.saturating_mul(90).saturating_add(i64::from(nanos) * 9 / 100_000);
        let (state, other) = match track {
            Track::Video => (&mut self.video, &self.audio),
            Track::Audio => (&mut self.audio, &self.video),
        };
        let near_other =
            |at: i64| other.last.is_some_and(|(other, _)| at.abs_diff(other) <= NEAR.unsigned_abs());
        let before = state.offset;
        let mut jumped = false;
        match state.last {
            None => {
                state.offset = self.newest;
                if let Some((other, _)) = other.last
                    && raw.saturating_add(state.offset).abs_diff(other) > MAX_START_OFFSET.unsigned_abs()
                {
                    state.offset = other.saturating_sub(raw);
                    jumped = true;
                }
            }
            Some((last, last_arrived)) => {
                let elapsed = ticks(arrived.saturating_duration_since(last_arrived));
                let fits = |at: i64| {
                    let step = at.saturating_sub(last);
                    (-MAX_BACK..=MAX_FORWARD).contains(&step)
                        || step > 0 && (near_other(at) || step <= elapsed.saturating_add(NEAR))
                };
                if !fits(raw.saturating_add(state.offset)) {
                    if state.offset != self.newest && fits(raw.saturating_add(self.newest)) {
                        state.offset = self.newest;
                    } else {
                        state.offset = last.saturating_add(step).saturating_sub(raw);
                        self.newest = state.offset;
                        jumped = true;
                    }
                }
            }
        }
        let at = raw.saturating_add(state.offset);
        let moved = if state.last.is_some() { state.offset.saturating_sub(before) } else { 0 };
        state.last = Some((at, arrived));
        Place { at, moved, jumped }
    }
}

/// A duration in ticks of 90 kHz, rounded down.
pub(crate) fn ticks(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos() * 9 / 100_000).unwrap_or(i64::MAX)
}

/// Ticks of 90 kHz as a duration, rounded to nanoseconds so that the sum of neighbours is exact.
pub(crate) fn span(from: i64, to: i64) -> Duration {
    let nanos = |at: i64| i128::from(at) * 100_000 / 9;
    Duration::from_nanos(u64::try_from(nanos(to) - nanos(from)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: i64 = 3000;

    struct Tracks {
        line: Timeline,
        now: Instant,
    }

    impl Tracks {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        fn new() -> Self {
            Self { line: Timeline::default(), now: Instant::now() }
        }

        /// Both tracks at `millis`, then 33 ms pass: where video and audio were placed.
        fn both(&mut self, millis: u32) -> (i64, i64, bool) {
            let video = self.line.place(Track::Video, RtmpMillis(millis), 0, STEP, self.now);
            let audio = self.line.place(Track::Audio, RtmpMillis(millis.wrapping_add(7)), 0, 1920, self.now);
            self.now += Duration::from_millis(33);
            (video.at, audio.at, video.jumped || audio.jumped)
        }
    }

    #[test]
    fn the_wrap_goes_unnoticed() {
        let mut tracks = Tracks::new();
        let start = u32::MAX - 500;
        let (first, ..) = tracks.both(start);
        for n in 1..60 {
            let (video, audio, jumped) = tracks.both(start.wrapping_add(33 * n));
            assert_eq!(
                (video, audio, jumped),
                (first + 2970 * i64::from(n), first + 2970 * i64::from(n) + 630, false)
            );
        }
    }

    #[test]
    fn jumps_are_taken_out_and_sound_stays_with_picture() {
        for jump in [-3_600_000i32, -20_000, -1_500, 4_000, 20_000, 86_400_000] {
            let mut tracks = Tracks::new();
            let mut last = 0;
            for n in 0..30 {
                last = tracks.both(5_000_000 + 33 * n).0;
            }
            let start = (5_000_000u32 + 33 * 30).wrapping_add_signed(jump);
            let (video, audio, jumped) = tracks.both(start);
            assert!(jumped, "{jump}");
            assert_eq!(video, last + STEP, "{jump}");
            assert_eq!(audio - video, 630, "{jump}");
            let (video, audio, jumped) = tracks.both(start + 33);
            assert_eq!((video, audio - video, jumped), (last + STEP + 2970, 630, false), "{jump}");
        }
    }

    #[test]
    fn a_pause_that_the_wall_clock_saw_is_no_jump() {
        let mut tracks = Tracks::new();
        let (first, ..) = tracks.both(1000);
        tracks.now += Duration::from_secs(8);
        assert_eq!(tracks.both(9033), (first + 8033 * 90, first + 8033 * 90 + 630, false));
    }

    #[test]
    fn a_track_that_fell_behind_catches_up_with_the_other() {
        let mut tracks = Tracks::new();
        tracks.both(1000);
        let now = tracks.now;
        for n in 0..300u32 {
            tracks.line.place(Track::Audio, RtmpMillis(1028 + 21 * n), 0, 1920, now);
        }
        let place = tracks.line.place(Track::Video, RtmpMillis(7300), 0, STEP, now);
        assert_eq!((place.at, place.jumped), (7300 * 90, false));
    }

    #[test]
    fn tracks_may_start_seconds_apart_but_not_hours() {
        let now = Tracks::new().now;
        let mut line = Timeline::default();
        line.place(Track::Audio, RtmpMillis(0), 0, 1920, now);
        assert_eq!(line.place(Track::Video, RtmpMillis(4000), 0, STEP, now).at, 4000 * 90);
        let mut line = Timeline::default();
        line.place(Track::Audio, RtmpMillis(0), 0, 1920, now);
        let place = line.place(Track::Video, RtmpMillis(7_200_000), 0, STEP, now);
        assert_eq!((place.at, place.jumped), (0, true));
    }

    #[test]
    fn spans_add_up_exactly() {
        let parts: Duration = (0..1000).map(|n| span(30_030 * n, 30_030 * (n + 1))).sum();
        assert_eq!(parts, span(0, 30_030_000));
        assert_eq!(span(0, 18_000), Duration::from_millis(200));
    }
}
