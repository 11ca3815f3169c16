//! Sans-IO: how fast something may come (GCRA: a burst, then one per interval).

/// So many at once, and then one for each interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rate {
    /// Milliseconds for each; 0: no limit.
    pub(crate) interval_ms: i64,
    /// At once.
    pub(crate) burst: u32,
}

impl Rate {
    /// `count` within `seconds`, all of them at once if need be.
    pub(crate) fn per(count: u32, seconds: u32) -> Self {
        let interval_ms = i64::from(seconds) * 1000 / i64::from(count.max(1));
        Self { interval_ms, burst: count.max(1) }
    }
}

/// What came so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Meter {
    /// When all that came would be used up at the rate, in milliseconds.
    used_up_at: i64,
}

impl Meter {
    /// Takes one at `now_ms`.
    ///
    /// # Errors
    /// Too soon: milliseconds until the next one may come.
    pub(crate) fn take(&mut self, rate: Rate, now_ms: i64) -> Result<(), i64> {
        let allowance = rate.interval_ms.saturating_mul(i64::from(rate.burst));
        let used_up_at = self.used_up_at.max(now_ms).saturating_add(rate.interval_ms);
        let wait = used_up_at.saturating_sub(allowance).saturating_sub(now_ms);
        if wait > 0 {
            return Err(wait);
        }
        self.used_up_at = used_up_at;
        Ok(())
    }

    /// Whether it is as good as new.
    pub(crate) fn is_rested(&self, now_ms: i64) -> bool {
        self.used_up_at <= now_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_for_each_interval() {
        let rate = Rate::per(3, 6);
        let mut meter = Meter::default();
        let mut taken = Vec::new();
        for now in (0..10_000).step_by(500) {
            if meter.take(rate, now).is_ok() {
                taken.push(now);
            }
        }
        assert_eq!(taken, [0, 500, 1000, 2000, 4000, 6000, 8000]);
    }

    #[test]
    fn it_says_how_long_to_wait_and_that_is_enough() {
        let rate = Rate::per(2, 10);
        let mut meter = Meter::default();
        meter.take(rate, 0).unwrap();
        meter.take(rate, 0).unwrap();
        let wait = meter.take(rate, 100).unwrap_err();
        assert_eq!(meter.take(rate, 100 + wait - 1), Err(1));
        assert_eq!(meter.take(rate, 100 + wait), Ok(()));
        assert!(!meter.is_rested(9_000) && meter.is_rested(20_000));
    }

    #[test]
    fn no_interval_is_no_limit() {
        let mut meter = Meter::default();
        let rate = Rate { interval_ms: 0, burst: 1 };
        assert!((0..1000).all(|_| meter.take(rate, 5).is_ok()));
    }
}
