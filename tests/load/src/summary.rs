//! Durations as numbers for people.

use std::time::Duration;

use serde_json::{Value, json};

/// Quantiles in milliseconds; `null` of nothing.
pub(crate) fn millis(mut durations: Vec<Duration>) -> Value {
    durations.sort_unstable();
    let Some(last) = durations.len().checked_sub(1) else { return Value::Null };
    // The nearest rank, so that the 99th of fewer than a hundred is the greatest.
    let at = |percent: usize| {
        let rank = (durations.len() * percent).div_ceil(100).saturating_sub(1);
        durations[rank.min(last)].as_secs_f64() * 1000.0
    };
    json!({ "count": durations.len(), "p50": at(50), "p90": at(90), "p99": at(99), "max": at(100) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_nearest_rank() {
        let hundred = (1..=100).rev().map(Duration::from_millis).collect();
        let wanted = json!({ "count": 100, "p50": 50.0, "p90": 90.0, "p99": 99.0, "max": 100.0 });
        assert_eq!(millis(hundred), wanted);
        assert_eq!(millis(vec![Duration::from_millis(3)])["p99"], 3.0);
        assert_eq!(millis(Vec::new()), Value::Null);
    }
}
