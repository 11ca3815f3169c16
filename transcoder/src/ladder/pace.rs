//! How many pictures per second come. Sans-IO.

use crate::av::TICKS;

/// Measured over so many pictures.
const PICTURES: u32 = 30;
/// A longer gap between two pictures is a gap, and no frame rate.
const GAP_TICKS: i64 = TICKS as i64;
/// A rate is another when it differs by more than this part.
const TOLERANCE: f64 = 0.05;
/// Pictures per second until it is known better, if the source does not say.
const USUAL: f64 = 30.0;

/// The rate of pictures, from their presentation times.
#[derive(Debug)]
pub(crate) struct Pace {
    per_second: f64,
    last: Option<i64>,
    pictures: u32,
    ticks: i64,
}

impl Pace {
    /// Begins with what the source says.
    pub(crate) fn of(said: Option<f64>) -> Self {
        Self { per_second: said.unwrap_or(USUAL), last: None, pictures: 0, ticks: 0 }
    }

    /// Pictures per second.
    pub(crate) fn per_second(&self) -> f64 {
        self.per_second
    }

    /// A picture is presented. `Some` when the rate is another from here on.
    pub(crate) fn at(&mut self, pts: i64) -> Option<f64> {
        let ticks = self.last.replace(pts).map(|last| pts.saturating_sub(last));
        let ticks = ticks.filter(|ticks| (1..=GAP_TICKS).contains(ticks))?;
        self.pictures += 1;
        self.ticks += ticks;
        if self.pictures < PICTURES {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 30 seconds in ticks")]
        let measured = f64::from(self.pictures) * f64::from(TICKS) / self.ticks as f64;
        (self.pictures, self.ticks) = (0, 0);
        let changed = (measured / self.per_second - 1.0).abs() > TOLERANCE;
        changed.then(|| {
            self.per_second = measured;
            measured
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_measured_where_the_source_says_another_or_none() {
        let mut pace = Pace::of(None);
        let changes: Vec<_> = (0..100).filter_map(|n| pace.at(n * 1_500)).collect();
        assert_eq!(changes, [60.0]);
        let mut said = Pace::of(Some(59.94));
        assert!((0..100).all(|n| said.at(n * 1_500).is_none()));
    }

    #[test]
    fn gaps_and_jumps_are_no_rate() {
        let mut pace = Pace::of(Some(30.0));
        assert!((0..200).all(|n| pace.at(n * 3_000 + n / 10 * 900_000 - n / 50 * 90_000_000).is_none()));
        assert_eq!(pace.at(i64::MAX), None);
        assert_eq!(pace.at(i64::MIN), None);
    }
}
