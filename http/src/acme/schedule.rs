//! Decides when a certificate is ordered.

use std::time::{Duration, SystemTime};

use crate::tls::Certificate;

/// The longest wait after failures that may pass.
const LONGEST_RETRY: Duration = Duration::from_secs(3600);
/// A refusal is waited for so many times longer: directories allow few of them an hour.
const REFUSED_FACTOR: u32 = 10;
/// The longest wait after refusals.
const LONGEST_REFUSED: Duration = Duration::from_secs(6 * 3600);

/// When this certificate is replaced: after two thirds of its life. `jitter` (0 to 1) takes up to a thirtieth of its life
/// off, so that not all servers of the world ask in the same minute.
pub(crate) fn renewal(certificate: &Certificate, jitter: f64) -> SystemTime {
    let life = certificate.not_after.duration_since(certificate.not_before).unwrap_or_default();
    let early = life.mul_f64(jitter.clamp(0.0, 1.0) / 30.0);
    certificate.not_before + (life * 2 / 3).saturating_sub(early)
}

/// How long until something has to be done about this certificate; zero if it has to be ordered now.
pub(crate) fn until_due(
    certificate: Option<&Certificate>,
    domains: &[String],
    jitter: f64,
    now: SystemTime,
) -> Duration {
    match certificate {
        Some(certificate) if covers(certificate, domains) => {
            renewal(certificate, jitter).duration_since(now).unwrap_or_default()
        }
        _ => Duration::ZERO,
    }
}

/// Whether it is for all of these names.
pub(crate) fn covers(certificate: &Certificate, domains: &[String]) -> bool {
    domains.iter().all(|domain| certificate.names.iter().any(|name| name.eq_ignore_ascii_case(domain)))
}

/// What a failure was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may pass by itself: the directory does not answer.
    Passing,
    /// The directory said no.
    Refused,
}

/// How long to wait after failures.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    failures: u32,
    refusals: u32,
}

impl Backoff {
    /// The first wait is so long.
    pub(crate) fn new(first: Duration) -> Self {
        Self { first, failures: 0, refusals: 0 }
    }

    /// How long to wait after one more.
    pub(crate) fn after(&mut self, failure: Failure) -> Duration {
        let (count, first, longest) = match failure {
            Failure::Passing => (&mut self.failures, self.first, LONGEST_RETRY),
            Failure::Refused => (&mut self.refusals, self.first * REFUSED_FACTOR, LONGEST_REFUSED),
        };
        let wait = first.saturating_mul(1 << (*count).min(16)).min(longest.max(first));
        *count = count.saturating_add(1);
        wait
    }

    /// It went well.
    pub(crate) fn reset(&mut self) {
        *self = Self::new(self.first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls_pki_types::PrivateKeyDer;

    const DAY: Duration = Duration::from_secs(86_400);

    fn certificate(days: u64) -> Certificate {
        let made = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let mut made = Certificate::new(vec![made.cert.der().clone()], key).unwrap();
        made.not_before = SystemTime::UNIX_EPOCH + 1000 * DAY;
        made.not_after = made.not_before + DAY * u32::try_from(days).unwrap();
        made
    }

    #[test]
    fn a_certificate_is_replaced_when_a_third_of_its_life_is_left() {
        for days in [6, 45, 90] {
            let made = certificate(days);
            let life = DAY * u32::try_from(days).unwrap();
            let due =
                |jitter, at| until_due(Some(&made), &["A.example".into()], jitter, made.not_before + at);
            assert_eq!(due(0.0, Duration::ZERO), life * 2 / 3);
            assert_eq!(due(0.0, life * 2 / 3), Duration::ZERO);
            assert_eq!(due(0.0, life * 2), Duration::ZERO);
            assert!(due(1.0, Duration::ZERO) < due(0.5, Duration::ZERO));
            assert!(due(1.0, Duration::ZERO) > life * 6 / 10);
        }
    }

    #[test]
    fn nothing_or_a_certificate_of_other_names_is_due_at_once() {
        let made = certificate(90);
        let domains = ["a.example".to_owned(), "b.example".to_owned()];
        assert_eq!(until_due(None, &domains, 0.0, made.not_before), Duration::ZERO);
        assert_eq!(until_due(Some(&made), &domains, 0.0, made.not_before), Duration::ZERO);
        assert!(until_due(Some(&made), &domains[..1], 0.0, made.not_before) > Duration::ZERO);
    }

    #[test]
    fn waits_double_up_to_a_bound_and_refusals_wait_longer() {
        let minute = Duration::from_secs(60);
        let mut backoff = Backoff::new(minute);
        let waits: Vec<_> = (0..9).map(|_| backoff.after(Failure::Passing).as_secs() / 60).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        let waits: Vec<_> = (0..8).map(|_| backoff.after(Failure::Refused).as_secs() / 60).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 360, 360]);
        backoff.reset();
        assert_eq!(backoff.after(Failure::Passing), minute);
        assert_eq!(backoff.after(Failure::Refused), 10 * minute);
    }
}
