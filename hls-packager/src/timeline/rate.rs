//! A frame rate as an exact fraction.

use millrace_core::time::Timescale;

/// Frames per second, `numerator / denominator` in lowest terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRate {
    numerator: u32,
    denominator: u32,
}

/// Rates that encoders offer by name, in ascending order.
pub(crate) const COMMON: [FrameRate; 19] = {
    const fn rate(numerator: u32, denominator: u32) -> FrameRate {
        FrameRate { numerator, denominator }
    }
    [
        rate(5, 1),
        rate(10, 1),
        rate(12, 1),
        rate(25, 2),
        rate(15_000, 1001),
        rate(15, 1),
        rate(20, 1),
        rate(24_000, 1001),
        rate(24, 1),
        rate(25, 1),
        rate(30_000, 1001),
        rate(30, 1),
        rate(48, 1),
        rate(50, 1),
        rate(60_000, 1001),
        rate(60, 1),
        rate(90, 1),
        rate(120, 1),
        rate(144, 1),
    ]
};

impl FrameRate {
    /// Slowest rate that is believed.
    const MIN: f64 = 0.5;
    /// Fastest rate that is believed: an encoder that states its time base instead of a rate says 1000 or 90000.
    const MAX: f64 = 300.0;

    /// A rate, or `None` when it is not one of live video.
    #[must_use]
    pub fn new(numerator: u32, denominator: u32) -> Option<Self> {
        if denominator == 0
            || !(Self::MIN..=Self::MAX).contains(&(f64::from(numerator) / f64::from(denominator)))
        {
            return None;
        }
        let divisor = greatest_common_divisor(numerator, denominator);
        Some(Self { numerator: numerator / divisor, denominator: denominator / divisor })
    }

    /// The rate someone wrote as a decimal: a common one when it is within 0.02 %, else to a thousandth.
    #[must_use]
    pub fn from_decimal(rate: f64) -> Option<Self> {
        if !(Self::MIN..=Self::MAX).contains(&rate) {
            return None;
        }
        let near = COMMON.into_iter().find(|common| (common.as_f64() / rate - 1.0).abs() < 0.0002);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 300,000")]
        near.or_else(|| Self::new((rate * 1000.0).round() as u32, 1000))
    }

    /// Frames per second.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.numerator) / f64::from(self.denominator)
    }

    /// A frame's duration in seconds as a fraction: numerator, denominator.
    #[must_use]
    pub fn frame_seconds(self) -> (u32, u32) {
        (self.denominator, self.numerator)
    }

    /// Ticks of [`Timescale::VIDEO`] from frame 0 to frame `index`, rounded to nearest.
    #[must_use]
    pub fn ticks(self, index: i64) -> i64 {
        let per_second = i128::from(Timescale::VIDEO.ticks_per_second());
        let wide = i128::from(index) * per_second * i128::from(self.denominator);
        i64::try_from(divide(wide, self.numerator.into())).unwrap_or(i64::MAX)
    }

    /// The index of the frame nearest to `ticks` after frame 0.
    #[must_use]
    pub(crate) fn nearest(self, ticks: i64) -> i64 {
        let per_second = i128::from(Timescale::VIDEO.ticks_per_second());
        let wide = i128::from(ticks) * i128::from(self.numerator);
        i64::try_from(divide(wide, per_second * i128::from(self.denominator))).unwrap_or(i64::MAX)
    }
}

/// Division rounded to nearest.
fn divide(value: i128, by: i128) -> i128 {
    (value + by / 2).div_euclid(by)
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_recognised_as_the_fraction_that_is_meant() {
        for (decimal, numerator, denominator) in [
            (29.97, 30_000, 1001),
            (29.970_029, 30_000, 1001),
            (23.976, 24_000, 1001),
            (59.94, 60_000, 1001),
            (30.0, 30, 1),
            (12.5, 25, 2),
            (17.0, 17, 1),
            (29.5, 59, 2),
        ] {
            assert_eq!(FrameRate::from_decimal(decimal), FrameRate::new(numerator, denominator), "{decimal}");
        }
        assert_eq!(FrameRate::from_decimal(1000.0), None);
        assert_eq!(FrameRate::from_decimal(f64::NAN), None);
        assert_eq!(FrameRate::new(90_000, 1), None);
        assert_eq!(FrameRate::new(1, 0), None);
    }

    #[test]
    fn a_frame_rate_does_not_drift() {
        let film = FrameRate::new(24_000, 1001).unwrap();
        assert_eq!([1, 2, 3, 4].map(|n| film.ticks(n)), [3754, 7508, 11_261, 15_015]);
        // A day of 23.976 frames.
        let day = 24 * 3600 * 24_000 / 1001;
        assert_eq!(film.ticks(day), (day * 90_000 * 1001 + 12_000) / 24_000);
        for index in [0, 1, 7, 1_000_003, -5] {
            assert_eq!(film.nearest(film.ticks(index)), index);
        }
    }
}
