//! Measured bit rates for `BANDWIDTH` and `AVERAGE-BANDWIDTH` (RFC 8216bis §4.4.6.2).

use std::collections::VecDeque;
use std::time::Duration;

use super::segment::Segment;

/// Bit rates for the multivariant playlist, in bits per second, never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Upper bound of the peak so far.
    pub peak: u64,
    /// Average so far; at most the peak.
    pub average: u64,
}

/// What is announced before anything was measured.
const UNKNOWN: u64 = 128_000;

/// Measures one rendition over its whole broadcast. Gaps do not count.
#[derive(Debug)]
pub(super) struct RateMeter {
    target: Duration,
    /// Newest segments, together longer than the longest run that counts.
    recent: VecDeque<(Duration, u64)>,
    peak: u64,
    bytes: u64,
    duration: Duration,
}

impl RateMeter {
    pub(super) fn new(target_duration: u32) -> Self {
        let target = Duration::from_secs(u64::from(target_duration));
        Self { target, recent: VecDeque::new(), peak: 0, bytes: 0, duration: Duration::ZERO }
    }

    /// Counts a complete segment, unless it is another rendition's. The peak is the largest rate of any run of segments of 0.5 to 1.5 target
    /// durations; all runs that end here are looked at.
    pub(super) fn segment(&mut self, segment: &Segment) {
        if segment.is_gap() || segment.is_shared() || segment.duration.is_zero() {
            self.recent.clear();
            return;
        }
        let bytes = segment.bytes();
        self.bytes = self.bytes.saturating_add(bytes);
        self.duration = self.duration.saturating_add(segment.duration);
        self.recent.push_back((segment.duration, bytes));
        let (mut duration, mut bytes) = (Duration::ZERO, 0u64);
        let mut counted = 0;
        for (of, size) in self.recent.iter().rev() {
            duration += *of;
            bytes += size;
            if duration > self.target * 3 / 2 {
                break;
            }
            counted += 1;
            if duration >= self.target / 2 {
                self.peak = self.peak.max(bits_per_second(bytes, duration));
            }
        }
        self.recent.drain(..self.recent.len() - counted);
    }

    /// The rates so far, of complete segments. Until half a target duration of them is measured the open one counts
    /// too, generously: it begins with a keyframe, and players ask only once.
    pub(super) fn rate(&self, open: Option<&Segment>) -> Rate {
        let (peak, average) = if self.peak > 0 {
            (self.peak, bits_per_second(self.bytes, self.duration))
        } else {
            let open = open.filter(|open| !open.is_shared());
            let (bytes, duration) = open.map_or((0, Duration::ZERO), |open| (open.bytes(), open.duration));
            let so_far = bits_per_second(self.bytes.saturating_add(bytes), self.duration + duration);
            (so_far.saturating_mul(3) / 2, so_far)
        };
        // A tenth above what was seen: the next segment may be a little larger.
        let peak = if peak == 0 { UNKNOWN } else { peak.saturating_add(peak / 10) };
        let average = if average == 0 { UNKNOWN } else { average };
        Rate { peak, average: average.min(peak) }
    }
}

fn bits_per_second(bytes: u64, duration: Duration) -> u64 {
    let bits = u128::from(bytes) * 8 * 1_000_000_000;
    bits.checked_div(duration.as_nanos()).map_or(0, |rate| u64::try_from(rate).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::SegmentPart;
    use bytes::Bytes;

    fn segment(millis: u64, bytes: usize) -> Segment {
        let mut segment = Segment::new(1, jiff::Timestamp::UNIX_EPOCH, 0);
        let body = Some(Bytes::from(vec![0; bytes]));
        segment.push(SegmentPart {
            duration: Duration::from_millis(millis),
            independent: true,
            body,
            arrived: None,
            shared: false,
        });
        segment
    }

    #[test]
    fn a_short_segment_counts_only_together_with_its_neighbour() {
        let mut meter = RateMeter::new(4);
        meter.segment(&segment(4000, 4000)); // 8 kbit/s
        meter.segment(&segment(100, 4000)); // 320 kbit/s alone, 15.6 kbit/s with the one before
        assert_eq!(meter.rate(None).peak, 15_609 + 1_560);
        assert_eq!(meter.rate(None).average, 15_609);
    }

    #[test]
    fn the_first_part_makes_a_generous_guess_and_silence_none_of_zero() {
        let meter = RateMeter::new(4);
        assert_eq!(meter.rate(Some(&segment(500, 1000))), Rate { peak: 26_400, average: 16_000 });
        assert_eq!(meter.rate(None), Rate { peak: UNKNOWN, average: UNKNOWN });
    }

    #[test]
    fn the_peak_stays_and_gaps_do_not_count() {
        let mut meter = RateMeter::new(4);
        meter.segment(&segment(2000, 20_000));
        let mut gap = segment(2000, 1);
        gap.gap = true;
        meter.segment(&gap);
        for _ in 0..100 {
            meter.segment(&segment(2000, 2_000));
        }
        assert_eq!(meter.rate(None).peak, 88_000);
        assert!(meter.rate(None).average < 9_000);
    }
}
