//! The audio clock: frames follow each other without a gap, counted in samples; timestamps only correct it.

use millrace_core::time::Timescale;

/// Smoothed distance between timestamps and the count at which the count is corrected, in milliseconds. Together
/// with the rounding of timestamps this keeps sound and picture within 20 ms.
const MAX_DRIFT_MS: i64 = 8;
/// Distance of one timestamp at which there really is a hole (or an overlap) in the audio, in milliseconds.
const HOLE_MS: i64 = 100;
/// Weight of one timestamp in the smoothed distance: 1 / 32, most of a second of frames.
const SMOOTHING: i64 = 32;
/// Fixed-point scale of the smoothed distance.
const FRACTION: i64 = 256;

/// Counts the samples of one audio track.
#[derive(Debug)]
pub(crate) struct AudioClock {
    scale: Timescale,
    frame: i64,
    next: Option<i64>,
    drift: i64,
}

impl AudioClock {
    /// A clock for frames of `frame` samples.
    pub(crate) fn new(scale: Timescale, frame: u32) -> Self {
        Self { scale, frame: frame.into(), next: None, drift: 0 }
    }

    /// Forgets where it was; the next frame is placed by its timestamp.
    pub(crate) fn reset(&mut self) {
        (self.next, self.drift) = (None, 0);
    }

    /// Places the next frame, whose timestamp says `ticks` of 90 kHz: its decode time in samples.
    pub(crate) fn place(&mut self, ticks: i64) -> i64 {
        let said = self.scale.rescale(ticks, Timescale::VIDEO);
        let at = match self.next {
            None => said,
            Some(next) => {
                let distance = said.saturating_sub(next);
                let correction = if distance.saturating_abs() > self.scale.from_millis(HOLE_MS) {
                    self.drift = 0;
                    distance
                } else {
                    self.drift += (distance * FRACTION - self.drift) / SMOOTHING;
                    if self.drift.abs() > self.scale.from_millis(MAX_DRIFT_MS) * FRACTION {
                        let correction = self.drift / FRACTION;
                        self.drift = 0;
                        correction
                    } else {
                        0
                    }
                };
                // Never before, nor at, the frame before this one.
                next.saturating_add(correction.max(1 - self.frame))
            }
        };
        self.next = Some(at.saturating_add(self.frame));
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(rate: u32) -> Timescale {
        Timescale::new(rate).unwrap()
    }

    #[test]
    fn rounded_timestamps_give_frames_without_gaps() {
        for rate in [44_100, 48_000, 22_050] {
            let mut clock = AudioClock::new(scale(rate), 1024);
            for n in 0..100_000i64 {
                let millis = n * 1024 * 1000 / i64::from(rate);
                assert_eq!(clock.place(millis * 90), n * 1024);
            }
        }
    }

    #[test]
    fn sound_stays_within_20_ms_of_its_timestamps_over_days() {
        // The sound card runs 80 ppm fast against the clock of the timestamps: 7 s in a day.
        let mut clock = AudioClock::new(scale(48_000), 1024);
        let frames_of_three_days = 3 * 86_400 * 48_000 / 1024;
        let mut corrections = 0;
        let mut last = -1024;
        for n in 0..frames_of_three_days {
            let millis = n * 1024 * 1000 / 48_000 * 999_920 / 1_000_000;
            let placed = clock.place(millis * 90);
            let off = placed - millis * 48;
            assert!(off.abs() <= 20 * 48, "{off} samples off after {n} frames");
            assert!(placed > last);
            corrections += i64::from(placed != last + 1024);
            last = placed;
        }
        // Corrections of 8 ms, not a constant tremble.
        assert!(corrections <= 3 * 86_400 * 80 / 1_000_000 * 1000 / 7, "{corrections} corrections");
    }

    #[test]
    fn jitter_is_ignored_and_a_hole_is_not() {
        let mut clock = AudioClock::new(scale(48_000), 1024);
        let mut last = clock.place(0);
        for n in 1..1000i64 {
            let jitter = (n * 7919 % 31) - 15;
            let placed = clock.place((n * 1024 / 48 + jitter) * 90);
            assert_eq!(placed, last + 1024);
            last = placed;
        }
        let hole = clock.place((1000 * 1024 / 48 + 500) * 90);
        assert_eq!(hole, (1000 * 1024 / 48 + 500) * 48);
        // Back by more than a frame: monotonic all the same.
        assert_eq!(clock.place(0), hole + 1);
    }
}
