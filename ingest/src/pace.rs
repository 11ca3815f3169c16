//! How long a publisher's socket may be left alone: until the tag is due that the packager waits for.
//!
//! An encoder sends some eighty small tags a second, and three to ten of them complete a part. Reading costs a wake-up
//! and a system call each time, however little came. Tags of a live encoder are due when the least late of the last
//! seconds says so: networks only delay.

use std::time::{Duration, Instant};

use millrace_core::time::RtmpMillis;

/// What is learnt is forgotten after one to two of these: encoders' clocks drift, and routes change.
const WINDOW: Duration = Duration::from_secs(2);
/// A tag that comes this much earlier or later than it was due begins another line: timestamps jumped.
const JUMP: Duration = Duration::from_secs(1);
/// Most bytes that are left to the kernel, by what the publisher sent in the last window. Half of what Linux' smallest
/// receive window announces, so that no publisher ever waits for us.
const LEFT_MAX_BYTES: u32 = 32 << 10;
/// How long after it is due a tag is looked for: a live encoder's are a millisecond or two late, and a look too early
/// costs a pause.
const GRACE: Duration = Duration::from_millis(2);

/// A tag that was there at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    at: Instant,
    timestamp: RtmpMillis,
}

impl Seen {
    /// When a tag is due by this one.
    fn due(self, timestamp: RtmpMillis) -> Option<Instant> {
        let millis = timestamp.since(self.timestamp);
        let away = Duration::from_millis(millis.unsigned_abs().into());
        if millis < 0 { self.at.checked_sub(away) } else { self.at.checked_add(away) }
    }
}

/// What came in one window.
#[derive(Debug, Clone, Copy)]
struct Window {
    began: Instant,
    bytes: u64,
    least_late: Seen,
}

/// How long sockets may rest at most, and when: rests that end because they lasted long enough end together, so that one
/// wake-up serves all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Where the beats are counted from.
    pub origin: Instant,
    /// The shortest rest that is worth it. Beats are this, or this doubled as often as it goes.
    pub least: Duration,
    /// The longest rest.
    pub most: Duration,
}

impl Beat {
    /// The last beat from which `most` has not passed yet.
    fn last_within(self, now: Instant, most: Duration) -> Option<Instant> {
        if self.least.is_zero() || most < self.least {
            return None;
        }
        let doublings = (most.as_nanos() / self.least.as_nanos()).ilog2();
        let step = self.least.checked_mul(1 << doublings.min(16))?;
        let until = now + most;
        let since = until.saturating_duration_since(self.origin);
        let beyond = since.as_nanos() % step.as_nanos();
        until.checked_sub(Duration::from_nanos(u64::try_from(beyond).ok()?))
    }
}

/// When one publisher's tags are due.
#[derive(Debug, Default)]
pub struct Pace {
    before: Option<Window>,
    current: Option<Window>,
}

impl Pace {
    /// Notes a tag of audio or video and its length; `now` is when it was read.
    pub fn tag_came(&mut self, now: Instant, timestamp: RtmpMillis, bytes: usize) {
        let seen = Seen { at: now, timestamp };
        let bytes = bytes as u64;
        let fresh = Window { began: now, bytes, least_late: seen };
        let Some(current) = &mut self.current else {
            self.current = Some(fresh);
            return;
        };
        let due = current.least_late.due(timestamp);
        let off = due.map(|due| now.saturating_duration_since(due).max(due.saturating_duration_since(now)));
        if off.is_none_or(|off| off > JUMP) {
            *self = Self { before: None, current: Some(fresh) };
        } else if now.saturating_duration_since(current.began) >= WINDOW {
            self.before = self.current.replace(fresh);
        } else {
            current.bytes += bytes;
            if due.is_some_and(|due| now < due) {
                current.least_late = seen;
            }
        }
    }

    /// Until when nothing has to be read, if that is in the future: the tag `wanted` is due then, or it is the last beat
    /// before as much time has passed as may, or as much waits as may.
    #[must_use]
    pub fn rest(&self, now: Instant, wanted: RtmpMillis, beat: Beat) -> Option<Instant> {
        let (before, current) = (self.before?, self.current?);
        let due = before.least_late.due(wanted)?.min(current.least_late.due(wanted)?);
        let window = current.began.saturating_duration_since(before.began);
        let bytes = u32::try_from(before.bytes.max(1)).unwrap_or(u32::MAX);
        let by_bytes = window.saturating_mul(LEFT_MAX_BYTES) / bytes;
        let until = (due + GRACE).min(beat.last_within(now, beat.most.min(by_bytes))?);
        (until > now).then_some(until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rests of 10 ms to 100 ms, all ending at multiples of 80 ms, or of less where they are shorter.
    fn beat(origin: Instant) -> Beat {
        Beat { origin, least: ms(10), most: ms(100) }
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn start() -> Instant {
        Instant::now()
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Five seconds of tags of so many bytes, one each 10 ms from timestamp `first` on, late by what `late` says.
    fn paced(start: Instant, first: u32, bytes: usize, late: impl Fn(u32) -> u64) -> Pace {
        let mut pace = Pace::default();
        for tag in 0..500 {
            let at = start + ms(u64::from(tag) * 10 + late(tag));
            pace.tag_came(at, RtmpMillis(first.wrapping_add(tag * 10)), bytes);
        }
        pace
    }

    #[test]
    fn the_socket_rests_until_the_wanted_tag_is_due_or_the_last_beat() {
        let start = start();
        // Read every 40 ms, so late by up to 30; over the wrap of the timestamps.
        let pace = paced(start, u32::MAX - 1000, 100, |tag| u64::from(3 - tag % 4) * 10);
        // 40 ms after a beat, so the next is in 40 and the one after is too late.
        let (now, newest) = (start + ms(5_080), (u32::MAX - 1000).wrapping_add(5_080));
        let beat = beat(start + ms(5_040));
        for (ahead, wanted) in [(20, Some(22)), (38, Some(40)), (39, Some(40)), (99, Some(40)), (0, Some(2))]
        {
            let at = RtmpMillis(newest.wrapping_add(ahead));
            assert_eq!(pace.rest(now, at, beat), wanted.map(|wait| now + ms(wait)), "{ahead}");
        }
        // Overdue.
        assert_eq!(pace.rest(now, RtmpMillis(newest.wrapping_sub(500)), beat), None);
        // A thread with one publisher never waits.
        let never = Beat { least: Duration::ZERO, most: Duration::ZERO, ..beat };
        assert_eq!(pace.rest(now, RtmpMillis(newest.wrapping_add(50)), never), None);
    }

    #[test]
    fn beats_are_shared_and_never_later_than_allowed() {
        let start = start();
        let beat = beat(start);
        for now in (0..500).map(|n| start + ms(n * 7 + 3)) {
            for (most, step) in [(100, 80), (80, 80), (79, 40), (39, 20), (10, 10)] {
                let until = beat.last_within(now, ms(most)).unwrap();
                assert!(until > now && until <= now + ms(most));
                assert_eq!(until.duration_since(start).as_millis() % step, 0);
            }
            assert_eq!(beat.last_within(now, ms(9)), None);
        }
    }

    #[test]
    fn a_publisher_of_many_bytes_is_read_more_often() {
        let start = start();
        let now = start + ms(5_000);
        for (bytes, wanted) in [(100, Some(80)), (4 << 10, Some(80)), (16 << 10, Some(20)), (64 << 10, None)]
        {
            let pace = paced(start, 0, bytes, |_| 0);
            let rest = pace.rest(now, RtmpMillis(9_000), beat(now));
            assert_eq!(rest, wanted.map(|wait| now + ms(wait)), "{bytes}");
        }
    }

    #[test]
    fn nothing_is_foreseen_before_a_window_was_seen_nor_after_a_jump() {
        let start = start();
        let mut pace = Pace::default();
        for tag in 0..100 {
            pace.tag_came(start + ms(tag * 10), RtmpMillis(u32::try_from(tag).unwrap() * 10), 100);
        }
        assert_eq!(pace.rest(start + ms(1_000), RtmpMillis(1_050), beat(start)), None);
        for jump in [5_000, 3_599_000, u32::MAX - 7_000] {
            let mut pace = paced(start, 0, 100, |_| 0);
            let now = start + ms(5_000);
            assert!(pace.rest(now, RtmpMillis(5_050), beat(now)).is_some());
            pace.tag_came(now, RtmpMillis(jump.wrapping_add(5_000)), 100);
            assert_eq!(pace.rest(now, RtmpMillis(jump.wrapping_add(5_050)), beat(now)), None, "{jump}");
        }
    }

    #[test]
    fn a_line_that_became_slower_is_learnt() {
        let start = start();
        // 200 ms more from the third second on.
        let mut later = paced(start, 0, 100, |tag| if tag < 150 { 0 } else { 200 });
        for tag in 500..1_000u32 {
            later.tag_came(start + ms(u64::from(tag) * 10 + 200), RtmpMillis(tag * 10), 100);
        }
        let now = start + ms(10_200);
        assert_eq!(later.rest(now, RtmpMillis(10_050), beat(now)), Some(now + ms(52)));
    }
}
