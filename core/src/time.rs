//! Media time: RTMP's wrapping milliseconds, and ticks of a timescale.

/// A timestamp as RTMP and FLV carry it: milliseconds modulo 2^32 (49.7 days).
///
/// Has no order of its own: [`MillisUnwrapper`] puts it on a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RtmpMillis(pub u32);

impl RtmpMillis {
    /// The signed distance in milliseconds from `earlier` to `self`, in `-2^31 ..= 2^31 - 1`.
    #[must_use]
    pub fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }
}

/// Turns wrapping timestamps into milliseconds that do not wrap, each placed at the shortest distance from the
/// one before. The first keeps its value.
#[derive(Debug, Clone, Copy, Default)]
pub struct MillisUnwrapper {
    last: Option<(RtmpMillis, i64)>,
}

impl MillisUnwrapper {
    /// Places the next timestamp.
    pub fn unwrap(&mut self, next: RtmpMillis) -> i64 {
        let at = match self.last {
            None => i64::from(next.0),
            Some((previous, at)) => at.saturating_add(i64::from(next.since(previous))),
        };
        self.last = Some((next, at));
        at
    }
}

/// Ticks per second of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timescale(std::num::NonZeroU32);

impl Timescale {
    /// 90 kHz, the timescale of video tracks: 23.976, 25, 29.97, 30, 50, 59.94 and 60 frames per second have whole
    /// frame durations in it.
    pub const VIDEO: Self = match Self::new(90_000) {
        Some(scale) => scale,
        None => unreachable!(),
    };

    /// A timescale, or `None` for zero.
    #[must_use]
    pub const fn new(ticks_per_second: u32) -> Option<Self> {
        match std::num::NonZeroU32::new(ticks_per_second) {
            Some(ticks) => Some(Self(ticks)),
            None => None,
        }
    }

    /// Ticks per second.
    #[must_use]
    pub const fn ticks_per_second(self) -> u32 {
        self.0.get()
    }

    /// `ticks` of this scale in seconds, for text and statistics.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "2^53 ticks of 90 kHz are 3,000 years")]
    pub fn seconds(self, ticks: i64) -> f64 {
        ticks as f64 / f64::from(self.0.get())
    }

    /// `ticks` of `from` in this scale, rounded to nearest (halves away from zero), saturating.
    #[must_use]
    pub fn rescale(self, ticks: i64, from: Self) -> i64 {
        let wide = i128::from(ticks) * i128::from(self.0.get());
        let divisor = i128::from(from.0.get());
        let half = divisor / 2;
        let rounded = if wide >= 0 { (wide + half) / divisor } else { (wide - half) / divisor };
        i64::try_from(rounded).unwrap_or(if rounded > 0 { i64::MAX } else { i64::MIN })
    }

    /// Milliseconds in ticks of this scale, rounded to nearest.
    #[must_use]
    pub fn from_millis(self, millis: i64) -> i64 {
        self.rescale(millis, Self(const { std::num::NonZeroU32::new(1000).expect("not zero") }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn timestamps_go_on_over_the_wrap_and_jump_both_ways() {
        let mut line = MillisUnwrapper::default();
        assert_eq!(line.unwrap(RtmpMillis(u32::MAX - 10)), i64::from(u32::MAX) - 10);
        assert_eq!(line.unwrap(RtmpMillis(12)), i64::from(u32::MAX) + 13);
        assert_eq!(line.unwrap(RtmpMillis(u32::MAX)), i64::from(u32::MAX));
    }

    #[test]
    fn common_frame_rates_are_whole_ticks() {
        assert_eq!(Timescale::VIDEO.rescale(1001, Timescale::new(24_000).unwrap()), 3754); // 3753.75
        assert_eq!(Timescale::VIDEO.rescale(1001, Timescale::new(30_000).unwrap()), 3003);
        assert_eq!(Timescale::VIDEO.from_millis(-1), -90);
    }

    proptest! {
        #[test]
        fn unwrapping_keeps_every_distance_below_2_to_31(start: u32, steps in prop::collection::vec(any::<i32>(), 0..50)) {
            let mut line = MillisUnwrapper::default();
            let mut at = line.unwrap(RtmpMillis(start));
            let mut raw = start;
            for step in steps {
                raw = raw.wrapping_add_signed(step);
                let next = line.unwrap(RtmpMillis(raw));
                prop_assert_eq!(next - at, i64::from(step));
                at = next;
            }
        }

        #[test]
        fn rescaling_there_and_back_is_within_one_tick(ticks in -1_000_000_000_000i64..1_000_000_000_000, rate in 8_000u32..192_000) {
            let audio = Timescale::new(rate).unwrap();
            let there = Timescale::VIDEO.rescale(ticks, audio);
            let back = audio.rescale(there, Timescale::VIDEO);
            prop_assert!((back - ticks).abs() <= i64::from(90_000 / rate) + 1);
        }
    }
}
