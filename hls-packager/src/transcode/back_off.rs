//! When a process that ended is started again. Sans-IO.

use std::time::{Duration, Instant};

/// First pause.
const FIRST: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST: Duration = Duration::from_secs(60);
/// A process that lived so long is forgiven what was before.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);

/// Pauses of 1 s, 2 s, 4 s and so on up to a minute between two lives of a process; after a life of a minute they begin
/// anew.
#[derive(Debug, Clone, Copy, Default)]
pub struct BackOff {
    began: Option<Instant>,
    failures: u32,
}

impl BackOff {
    /// The process was started.
    pub fn started(&mut self, now: Instant) {
        self.began = Some(now);
    }

    /// The process ended, or could not be started. Answers when to start the next one.
    pub fn ended(&mut self, now: Instant) -> Instant {
        if self.began.take().is_some_and(|began| now.saturating_duration_since(began) >= FORGIVEN_AFTER) {
            self.failures = 0;
        }
        let pause = FIRST.saturating_mul(1 << self.failures.min(6)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        now + pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn pauses_double_up_to_a_minute_and_a_minute_of_life_is_forgiven() {
        let (mut back_off, mut now) = (BackOff::default(), Instant::now());
        let mut pause = |life: Duration| {
            back_off.started(now);
            now += life;
            let next = back_off.ended(now);
            let pause = next - now;
            now = next;
            pause.as_secs()
        };
        let short = Duration::from_secs(59);
        let pauses: Vec<_> = (0..8).map(|_| pause(short)).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(pause(Duration::from_secs(60)), 1);
        assert_eq!(pause(short), 2);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn what_cannot_be_started_is_no_life() {
        let (mut back_off, now) = (BackOff::default(), Instant::now());
        back_off.started(now);
        let now = back_off.ended(now);
        let later = now + FORGIVEN_AFTER * 2;
        assert_eq!(back_off.ended(later) - later, Duration::from_secs(2));
        for _ in 0..100 {
            assert!(back_off.ended(now) - now <= LONGEST);
        }
    }
}
