//! The wall clock of the line: `EXT-X-PROGRAM-DATE-TIME`.
//!
//! An encoder's clock drifts against ours by seconds a day. The date of a segment is what the media says, moved
//! gently towards when it really arrived: the least late of the last segments counts, because networks only delay.

use std::collections::VecDeque;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

use crate::timeline::span;

/// Segments whose lateness is remembered.
const REMEMBERED: usize = 8;
/// Drift that is left alone.
const TOLERATED: SignedDuration = SignedDuration::from_millis(100);
/// Most that one segment's date is moved.
const STEP: SignedDuration = SignedDuration::from_millis(20);

/// Maps the line to the wall clock.
#[derive(Debug)]
pub(super) struct WallLine {
    start: (Instant, Timestamp),
    anchor: Option<(i64, Timestamp)>,
    lateness: VecDeque<SignedDuration>,
}

impl WallLine {
    pub(super) fn new(now: Instant, wall: Timestamp) -> Self {
        Self { start: (now, wall), anchor: None, lateness: VecDeque::new() }
    }

    /// The date of the place `at`, where a segment begins whose first media was seen at `seen`. With `anew` the
    /// date is when it was seen (a discontinuity), unless the line is already beyond that.
    pub(super) fn date(&mut self, at: i64, seen: Option<Instant>, anew: bool) -> Timestamp {
        let seen = seen.map(|seen| add(self.start.1, signed(self.start.0, seen)));
        let Some((from, date)) = self.anchor else {
            let date = seen.unwrap_or(self.start.1);
            self.anchor = Some((at, date));
            return date;
        };
        let mut expected =
            add(date, SignedDuration::try_from(span(from, at)).unwrap_or(SignedDuration::ZERO));
        if let Some(seen) = seen {
            let late = seen.duration_since(expected);
            if anew {
                expected = add(expected, late.max(SignedDuration::ZERO));
                self.lateness.clear();
            } else {
                if self.lateness.len() == REMEMBERED {
                    self.lateness.pop_front();
                }
                self.lateness.push_back(late);
                let least = self.lateness.iter().copied().min().unwrap_or(late);
                if self.lateness.len() == REMEMBERED && least.abs() > TOLERATED {
                    let step = least.clamp(-STEP, STEP);
                    expected = add(expected, step);
                    for late in &mut self.lateness {
                        *late = late.saturating_sub(step);
                    }
                }
            }
        }
        self.anchor = Some((at, expected));
        expected
    }
}

fn signed(from: Instant, to: Instant) -> SignedDuration {
    let ahead = SignedDuration::try_from(to.saturating_duration_since(from)).unwrap_or(SignedDuration::MAX);
    let behind = SignedDuration::try_from(from.saturating_duration_since(to)).unwrap_or(SignedDuration::MAX);
    ahead.saturating_sub(behind)
}

fn add(date: Timestamp, by: SignedDuration) -> Timestamp {
    date.checked_add(by).unwrap_or(date)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn dates_follow_a_drifting_encoder_gently() {
        let now = Instant::now();
        let wall: Timestamp = "2026-11-21T03:00:00Z".parse().unwrap();
        let mut line = WallLine::new(now, wall);
        let mut last = line.date(900_000, Some(now), true);
        assert_eq!(last, wall);
        for n in 1..=43_200i64 {
            // 2 s segments of a clock 50 ppm slow: a day late by 4.3 s.
            let seen = now + Duration::from_micros(2_000_100 * u64::try_from(n).unwrap());
            let date = line.date(900_000 + 180_000 * n, Some(seen), false);
            let step = date.duration_since(last).as_millis();
            assert!((1980..=2020).contains(&step), "{step}");
            let off =
                seen.duration_since(now).as_millis().cast_signed() - date.duration_since(wall).as_millis();
            assert!(off.abs() <= 150, "{off} ms off");
            last = date;
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn a_discontinuity_is_dated_when_it_was_seen_but_never_before_the_line() {
        let now = Instant::now();
        let wall: Timestamp = "2026-11-21T03:00:00Z".parse().unwrap();
        let mut line = WallLine::new(now, wall);
        line.date(0, Some(now), true);
        let later = line.date(90_000, Some(now + Duration::from_secs(5)), true);
        assert_eq!(later.duration_since(wall), SignedDuration::from_secs(5));
        let ahead = line.date(180_000, Some(now), true);
        assert_eq!(ahead.duration_since(wall), SignedDuration::from_secs(6));
    }
}
