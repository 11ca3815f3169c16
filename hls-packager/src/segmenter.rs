//! Where parts and segments end: the arithmetic of RFC 8216bis §4.4.3.1, §4.4.3.7 and §4.4.4.9, in ticks of 90 kHz.

use std::time::Duration;

use millrace_core::time::Timescale;

const SECOND: i64 = Timescale::VIDEO.ticks_per_second() as i64;
const MILLISECOND: i64 = SECOND / 1000;
/// A sync sample this long after the segment's start begins the next: one second, less the jitter of timestamps.
const MIN_SEGMENT: i64 = SECOND * 9 / 10;
/// Length of a segment without video: every sample is a sync sample.
const AUDIO_SEGMENT: i64 = 2 * SECOND;
/// A segment rounds to the target duration while it is less than half a second longer. Used only when a sync sample
/// is expected within it.
const ROUNDING: i64 = SECOND * 2 / 5;
/// The largest value of `EXT-X-TARGETDURATION`.
const MAX_TARGET_DURATION: u32 = 12;

/// Bounds of a rendition's parts. Fixed for the life of the playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartBounds {
    target_ms: u32,
}

impl PartBounds {
    /// Bounds that fit whole frames: the number of frames nearest to `wanted`, rounded up to a millisecond with at
    /// least half a millisecond to spare for encoders whose clock is not quite nominal. Frames last `numerator /
    /// denominator` seconds; without one, or when a single frame lasts over a second, the wish itself.
    pub(crate) fn fitted(wanted: Duration, frame: Option<(u32, u32)>) -> Self {
        let wanted_ns = wanted.as_nanos().clamp(20_000_000, 5_000_000_000);
        let length_ns = frame
            .filter(|(numerator, denominator)| *numerator > 0 && numerator <= denominator)
            .map(|(numerator, denominator)| {
                let (numerator, denominator) =
                    (u128::from(numerator) * 1_000_000_000, u128::from(denominator));
                let frames = ((wanted_ns * denominator + numerator / 2) / numerator).max(1);
                (frames * numerator).div_ceil(denominator)
            });
        let target_ns = length_ns.map_or(wanted_ns, |length| length + 500_000);
        Self { target_ms: u32::try_from(target_ns.div_ceil(1_000_000)).unwrap_or(u32::MAX) }
    }

    /// `PART-TARGET`.
    pub(crate) fn target(self) -> Duration {
        Duration::from_millis(self.target_ms.into())
    }

    /// The longest a part may be.
    pub(crate) fn longest(self) -> i64 {
        i64::from(self.target_ms) * MILLISECOND
    }

    /// The shortest a part may be that is neither independent, nor a gap, nor the last before one of a segment.
    pub(crate) fn shortest(self) -> i64 {
        (self.longest() * 85 + 99) / 100
    }

    /// Where a part that began at `start` ends after a sample that ends at `sample_end`, or `None` if another one of
    /// `next` ticks still fits in. The end is that of the sample, unless that breaks a bound (variable frame rate):
    /// then the sample is stretched or clipped to it.
    pub(crate) fn end(self, start: i64, sample_end: i64, next: i64) -> Option<i64> {
        (sample_end.saturating_add(next) > start + self.longest()).then(|| self.clamp(start, sample_end))
    }

    /// `end` within the bounds of a part that began at `start`.
    pub(crate) fn clamp(self, start: i64, end: i64) -> i64 {
        end.clamp(start + self.shortest(), start + self.longest())
    }
}

/// `EXT-X-TARGETDURATION`: the configured one, or more if the channel's keyframes come less often.
pub(crate) fn target_duration(configured: u32, keyframe_interval: Option<Duration>) -> u32 {
    let configured = configured.clamp(1, MAX_TARGET_DURATION);
    let needed = keyframe_interval.map_or(0, |interval| {
        u32::try_from(interval.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).min(MAX_TARGET_DURATION)
    });
    configured.max(needed)
}

/// When segments end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentBounds {
    target: i64,
}

impl SegmentBounds {
    /// Bounds for a target duration in seconds.
    pub(crate) fn new(target_duration: u32) -> Self {
        Self { target: i64::from(target_duration) * SECOND }
    }

    /// Whether a sync sample at `at` begins the next segment. A segment that has no independent start yields to the
    /// first sync sample, however short it is: that is where a viewer can join.
    pub(crate) fn ends_at_sync(self, start: i64, independent: bool, at: i64) -> bool {
        !independent || at - start >= MIN_SEGMENT
    }

    /// Whether a segment must end at `at`, where a part of up to `part` ticks is about to begin without a sync
    /// sample. `next_sync` is where one is expected.
    pub(crate) fn ends_without_sync(self, start: i64, at: i64, part: i64, next_sync: Option<i64>) -> bool {
        let within = next_sync.is_some_and(|sync| sync >= at && sync <= start + self.target + ROUNDING);
        at > start && !within && at + part > start + self.target
    }

    /// Where a part ends at the latest, whether it is full or not, so that the segment still rounds to the target.
    pub(crate) fn latest_end(self, start: i64) -> i64 {
        start + self.target + ROUNDING
    }

    /// Length of a segment without video.
    pub(crate) fn audio(self) -> i64 {
        self.target.min(AUDIO_SEGMENT)
    }

    /// Length of a gap segment.
    pub(crate) fn gap(self) -> i64 {
        self.target.min(2 * SECOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::FrameRate;

    const WISHES: [u64; 3] = [200, 333, 1000];

    #[test]
    fn part_targets_fit_whole_frames_of_every_rate() {
        for (numerator, denominator) in [
            (24_000, 1001),
            (24, 1),
            (25, 1),
            (30_000, 1001),
            (30, 1),
            (48, 1),
            (50, 1),
            (60_000, 1001),
            (60, 1),
            (17, 1),
        ] {
            let rate = FrameRate::new(numerator, denominator).unwrap();
            for wanted in WISHES {
                let bounds =
                    PartBounds::fitted(Duration::from_millis(wanted), Some((denominator, numerator)));
                let (mut start, mut frame) = (0, 0);
                for _ in 0..100 {
                    let end = loop {
                        frame += 1;
                        let (end, next) = (rate.ticks(frame), rate.ticks(frame + 1) - rate.ticks(frame));
                        if let Some(at) = bounds.end(start, end, next) {
                            assert_eq!(at, end, "{rate:?} {wanted}: a part is not whole frames");
                            break at;
                        }
                    };
                    assert!(end - start <= bounds.longest() && end - start >= bounds.shortest());
                    start = end;
                }
                let target = bounds.target().as_millis();
                assert!(target.abs_diff(wanted.into()) <= 31, "{rate:?}: {target} ms for {wanted}");
            }
        }
    }

    #[test]
    fn known_part_targets() {
        let target =
            |wanted, frame| PartBounds::fitted(Duration::from_millis(wanted), frame).target().as_millis();
        assert_eq!(target(333, Some((1, 30))), 334);
        assert_eq!(target(333, Some((1001, 30_000))), 335);
        assert_eq!(target(200, Some((1, 60))), 201);
        assert_eq!(target(333, Some((1, 2))), 501);
        assert_eq!(target(333, Some((5, 2))), 333);
        assert_eq!(target(333, None), 333);
        // 16 AAC frames of 48 kHz.
        assert_eq!(target(333, Some((1024, 48_000))), 342);
    }

    #[test]
    fn target_duration_grows_with_the_keyframe_interval_and_never_shrinks() {
        assert_eq!(target_duration(4, None), 4);
        assert_eq!(target_duration(4, Some(Duration::from_secs(2))), 4);
        assert_eq!(target_duration(4, Some(Duration::from_millis(8333))), 9);
        assert_eq!(target_duration(4, Some(Duration::from_secs(300))), 12);
        assert_eq!(target_duration(0, None), 1);
    }

    #[test]
    fn segments_end_where_viewers_can_join() {
        let bounds = SegmentBounds::new(4);
        assert!(!bounds.ends_at_sync(0, true, SECOND / 2));
        assert!(bounds.ends_at_sync(0, true, SECOND));
        assert!(bounds.ends_at_sync(0, false, SECOND / 30));
    }

    #[test]
    fn segments_end_in_time_without_a_sync_sample() {
        let bounds = SegmentBounds::new(4);
        let part = SECOND / 3;
        assert!(!bounds.ends_without_sync(0, 11 * part, part, None));
        assert!(bounds.ends_without_sync(0, 12 * part, part, None));
        // A keyframe every 250 frames of 60 fps: 4.17 s still rounds to 4.
        assert!(!bounds.ends_without_sync(0, 12 * part, part, Some(375_000)));
        assert!(bounds.ends_without_sync(0, 12 * part, part, Some(5 * SECOND)));
        assert!(bounds.ends_without_sync(0, 13 * part, part, Some(375_000)));
    }
}
