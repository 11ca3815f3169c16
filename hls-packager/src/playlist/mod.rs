//! Playlists: a model of what they say, apart from the text that says it. Sans-IO.
//!
//! | Specification | Where |
//! |---|---|
//! | RFC 8216bis-22 §4.4.3, §4.4.4, §4.4.5 (media playlists) | [`media`] |
//! | RFC 8216bis-22 §4.4.6 (multivariant playlist) | [`multivariant`] |
//! | RFC 8216bis-22 §6.2.5 (delivery directives) | [`directives`] |

pub mod directives;
pub mod media;
pub mod multivariant;

use std::fmt;
use std::time::Duration;

pub use directives::{DirectiveError, Directives};
pub use media::MediaPlaylist;
pub use multivariant::{MultivariantPlaylist, Variant};

/// `EXT-X-VERSION` of all our playlists: 9 is the first with `EXT-X-SKIP` (RFC 8216bis §8).
pub const VERSION: u32 = 9;

/// Prints seconds as a decimal-floating-point with at least one and at most six digits after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds {
    micros: u128,
}

impl Seconds {
    /// Rounded to nearest.
    #[must_use]
    pub fn rounded(duration: Duration) -> Self {
        Self { micros: (duration.as_nanos() + 500) / 1000 }
    }

    /// Rounded up, for upper bounds.
    #[must_use]
    pub fn at_least(duration: Duration) -> Self {
        Self { micros: duration.as_nanos().div_ceil(1000) }
    }

    /// `factor` times as long, exactly as it would be printed.
    #[must_use]
    pub fn times(self, factor: u32) -> Self {
        Self { micros: self.micros * u128::from(factor) }
    }

    /// The distance from `earlier` to this.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self { micros: self.micros.saturating_sub(earlier.micros) }
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut fraction, mut digits) = (self.micros % 1_000_000, 6);
        while digits > 1 && fraction % 10 == 0 {
            fraction /= 10;
            digits -= 1;
        }
        write!(f, "{}.{:0digits$}", self.micros / 1_000_000, fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn seconds_are_printed_without_needless_digits() {
        let table = [
            (0, "0.0"),
            (333_333_333, "0.333333"),
            (200_000_000, "0.2"),
            (4_000_000_000, "4.0"),
            (1_499, "0.000001"),
        ];
        for (nanos, text) in table {
            assert_eq!(Seconds::rounded(Duration::from_nanos(nanos)).to_string(), text);
        }
        assert_eq!(Seconds::at_least(Duration::from_nanos(333_333_333)).times(3).to_string(), "1.000002");
    }

    proptest! {
        #[test]
        fn a_printed_part_is_never_longer_than_the_printed_target(
            parts in prop::collection::vec(1u64..400_000_000, 1..50), slack in 0u64..2_000,
        ) {
            let longest = parts.iter().max().unwrap() + slack;
            let target = Seconds::at_least(Duration::from_nanos(longest));
            let (mut at, mut sum) = (0, 0);
            for part in &parts {
                let printed = Seconds::rounded(Duration::from_nanos(at + part)).since(Seconds::rounded(Duration::from_nanos(at)));
                prop_assert!(printed <= target);
                at += part;
                sum += printed.micros;
            }
            prop_assert_eq!(Seconds { micros: sum }, Seconds::rounded(Duration::from_nanos(at)));
        }
    }
}
