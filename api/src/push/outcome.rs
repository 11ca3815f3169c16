//! Sans-IO: what the answer of a push service means (RFC 8030 §5), and for how long a service wants to be left alone.

use std::collections::HashMap;

/// Attempts of one push, the first included.
pub const ATTEMPTS_MAX: u32 = 4;
/// How long one waits before the second attempt when the service does not say; doubled with each.
const RETRY_FIRST_MS: i64 = 5_000;
/// One never comes back sooner.
const RETRY_LEAST_MS: i64 = 1_000;
/// Services that are remembered; the one that may be asked soonest is forgotten beyond it.
const SERVICES_MAX: usize = 1_000;

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The service has it.
    Delivered,
    /// There is no such subscription any more: it is forgotten.
    Gone,
    /// The service does not take it and never will.
    Refused,
    /// Not now: after so many milliseconds. `service` says that this holds for all that the service is sent.
    Later {
        /// How long to wait.
        after_ms: i64,
        /// For everybody.
        service: bool,
    },
    /// Tried often enough.
    GivenUp,
}

/// Judges an answer. `retry_after_ms` is what `Retry-After` says, `attempt` counts from 1.
#[must_use]
pub fn outcome(status: u16, retry_after_ms: Option<i64>, attempt: u32) -> Outcome {
    match status {
        200..=299 => Outcome::Delivered,
        404 | 410 => Outcome::Gone,
        429 | 500..=599 => later(retry_after_ms, status == 429 || retry_after_ms.is_some(), attempt),
        _ => Outcome::Refused,
    }
}

/// There was no answer, and the service cannot have got the push.
#[must_use]
pub fn unreached(attempt: u32) -> Outcome {
    later(None, false, attempt)
}

fn later(asked_ms: Option<i64>, service: bool, attempt: u32) -> Outcome {
    if attempt >= ATTEMPTS_MAX {
        return Outcome::GivenUp;
    }
    let doubled = RETRY_FIRST_MS.saturating_mul(1 << attempt.saturating_sub(1).min(10));
    Outcome::Later { after_ms: asked_ms.unwrap_or(doubled).max(RETRY_LEAST_MS), service }
}

/// The push services that asked to be left alone.
#[derive(Debug, Default)]
pub struct Services {
    quiet_until: HashMap<String, i64>,
}

impl Services {
    /// When a service may be asked again; `None` if at once.
    #[must_use]
    pub fn quiet_until(&self, service: &str, now_ms: i64) -> Option<i64> {
        self.quiet_until.get(service).copied().filter(|until| *until > now_ms)
    }

    /// A service is left alone until then.
    pub fn quiet(&mut self, service: &str, until_ms: i64, now_ms: i64) {
        let until = self.quiet_until.entry(service.to_owned()).or_insert(until_ms);
        *until = until_ms.max(*until);
        if self.quiet_until.len() > SERVICES_MAX {
            self.quiet_until.retain(|_, until| *until > now_ms);
        }
        if self.quiet_until.len() > SERVICES_MAX
            && let Some(soonest) =
                self.quiet_until.iter().min_by_key(|(_, until)| **until).map(|(service, _)| service.clone())
        {
            self.quiet_until.remove(&soonest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_mean_what_rfc_8030_says() {
        for (status, expected) in [
            (201, Outcome::Delivered),
            (202, Outcome::Delivered),
            (404, Outcome::Gone),
            (410, Outcome::Gone),
            (301, Outcome::Refused),
            (400, Outcome::Refused),
            (403, Outcome::Refused),
            (413, Outcome::Refused),
        ] {
            assert_eq!(outcome(status, None, 1), expected, "{status}");
        }
        let later = |after_ms, service| Outcome::Later { after_ms, service };
        assert_eq!(outcome(429, Some(120_000), 1), later(120_000, true));
        assert_eq!(outcome(429, None, 1), later(5_000, true));
        assert_eq!(outcome(503, Some(0), 2), later(1_000, true));
        assert_eq!(outcome(500, None, 3), later(20_000, false));
        assert_eq!(unreached(2), later(10_000, false));
        assert_eq!(outcome(503, Some(1_000), ATTEMPTS_MAX), Outcome::GivenUp);
        assert_eq!(unreached(ATTEMPTS_MAX), Outcome::GivenUp);
    }

    #[test]
    fn a_service_is_left_alone_as_long_as_the_longest_asked_and_memory_is_bounded() {
        let mut services = Services::default();
        services.quiet("https://push.example.org", 5_000, 0);
        services.quiet("https://push.example.org", 3_000, 0);
        assert_eq!(services.quiet_until("https://push.example.org", 4_999), Some(5_000));
        assert_eq!(services.quiet_until("https://push.example.org", 5_000), None);
        assert_eq!(services.quiet_until("https://other.example.org", 0), None);
        for number in 0..2 * SERVICES_MAX {
            services.quiet(&format!("https://{number}.example.org"), 10_000, 0);
        }
        assert!(services.quiet_until.len() <= SERVICES_MAX);
    }
}
