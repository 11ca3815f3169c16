//! Looks after the certificate for as long as the process runs.
#![expect(clippy::disallowed_methods, reason = "shell: clock, timers, files")]

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio_util::sync::CancellationToken;

use super::answers::Answers;
use super::config::{AcmeConfig, ChallengeKind};
use super::kept::Kept;
use super::order::{self, AcmeError};
use super::schedule::{Backoff, Failure, renewal, until_due};
use crate::tls::{Certificate, Certificates};

/// How long one order may take in all.
const ORDER_PATIENCE: Duration = Duration::from_secs(300);
/// The longest sleep: the clock may be set, and the machine suspended.
const LOOK_EVERY: Duration = Duration::from_secs(3600);
/// What becomes of an order.
const OUTCOMES: [&str; 3] = ["issued", "refused", "unreachable"];

/// Where the challenges arrive, for the sentences about them.
#[derive(Debug, Clone, Copy)]
pub struct Places {
    /// HTTP.
    pub http: SocketAddr,
    /// HTTPS.
    pub https: SocketAddr,
}

/// The certificate's keeper.
#[derive(Debug)]
pub struct Acme {
    config: AcmeConfig,
    kept: Kept,
    answers: Answers,
    jitter: f64,
}

impl Acme {
    /// Opens what is kept in the data directory; a certificate that is still of use is shown at once. `jitter` (0 to 1)
    /// spreads renewals.
    ///
    /// # Errors
    /// The data directory cannot be written.
    pub fn open(
        config: AcmeConfig,
        data_dir: &Path,
        certificates: Arc<Certificates>,
        jitter: f64,
    ) -> io::Result<Self> {
        let kept = Kept::open(data_dir, &config.directory)?;
        for outcome in OUTCOMES {
            metrics::counter!("millrace_acme_orders_total", "outcome" => outcome).absolute(0);
        }
        let answers = Answers::new(certificates);
        let acme = Self { config, kept, answers, jitter };
        if let Some(certificate) = acme.kept.certificate()
            && SystemTime::now() < certificate.not_after
        {
            acme.show(certificate);
        }
        Ok(acme)
    }

    /// The answers to challenges, for [`super::router`].
    #[must_use]
    pub fn answers(&self) -> Answers {
        self.answers.clone()
    }

    /// Orders when it is time, until `shutdown`.
    pub async fn run(self, places: Places, shutdown: CancellationToken) {
        let mut backoff = Backoff::new(self.config.retry);
        let mut kinds = self.config.challenges.clone();
        loop {
            let current = self.answers.certificates().current();
            let wait = until_due(current.as_ref(), &self.config.domains.0, self.jitter, SystemTime::now());
            let wait = if wait.is_zero() {
                match shutdown.run_until_cancelled(self.renew(&mut kinds, places)).await {
                    None => return,
                    Some(Ok(())) => {
                        backoff.reset();
                        continue;
                    }
                    Some(Err(error)) => self.report(&error, &mut backoff, current.as_ref(), places),
                }
            } else {
                wait.min(LOOK_EVERY)
            };
            if shutdown.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                return;
            }
        }
    }

    /// Tries one challenge after the other; the one that worked is the first next time.
    async fn renew(&self, kinds: &mut [ChallengeKind], places: Places) -> Result<(), AcmeError> {
        let mut outcome = Ok(());
        for index in 0..kinds.len() {
            let kind = kinds[index];
            match self.order(kind).await {
                Ok(()) => {
                    kinds[..=index].rotate_right(1);
                    return Ok(());
                }
                Err(error) => {
                    let other_may_work =
                        matches!(error, AcmeError::Validation { .. } | AcmeError::NotOffered { .. });
                    if !other_may_work {
                        return Err(error);
                    }
                    if index + 1 < kinds.len() {
                        tracing::warn!("{error}; {}. Trying {}", hint(&error, places), kinds[index + 1]);
                    }
                    outcome = Err(error);
                }
            }
        }
        outcome
    }

    async fn order(&self, kind: ChallengeKind) -> Result<(), AcmeError> {
        let ordering = order::certificate(&self.config, &self.kept, &self.answers, kind);
        let ordered = tokio::time::timeout(ORDER_PATIENCE, ordering).await;
        self.answers.forget();
        let certificate = ordered.map_err(|_| AcmeError::Slow {
            directory: self.config.directory.clone(),
            patience: ORDER_PATIENCE,
        })??;
        let now = SystemTime::now();
        if until_due(Some(&certificate), &self.config.domains.0, self.jitter, now).is_zero() {
            let problem = "it is for other names, or its time is over by this machine's clock".to_owned();
            return Err(AcmeError::Unusable { problem });
        }
        metrics::counter!("millrace_acme_orders_total", "outcome" => "issued").increment(1);
        let until = certificate.not_after.duration_since(now).unwrap_or_default();
        tracing::info!(
            domains = %self.config.domains.0.join(","),
            challenge = %kind,
            valid_s = until.as_secs(),
            "got a certificate"
        );
        self.show(certificate);
        Ok(())
    }

    fn show(&self, certificate: Certificate) {
        let due = renewal(&certificate, self.jitter);
        let due = due.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        metrics::gauge!("millrace_tls_certificate_renewal_timestamp_seconds").set(due.as_secs_f64());
        self.answers.certificates().set(certificate);
    }

    /// Says what is wrong and what to do; how long until the next try.
    fn report(
        &self,
        error: &AcmeError,
        backoff: &mut Backoff,
        current: Option<&Certificate>,
        places: Places,
    ) -> Duration {
        let failure = error.failure();
        let wait = backoff.after(failure);
        let again = format!("trying again in {}", spoken(wait));
        let meanwhile = match current {
            Some(certificate) if SystemTime::now() < certificate.not_after => {
                "the present one is used meanwhile"
            }
            Some(_) => "browsers refuse the present one, whose time is over",
            None => "there is no HTTPS yet, HTTP goes on",
        };
        let domains = self.config.domains.0.join(",");
        let hint = hint(error, places);
        match failure {
            Failure::Passing => {
                metrics::counter!("millrace_acme_orders_total", "outcome" => "unreachable").increment(1);
                tracing::warn!(%domains, "no new certificate: {error}; {hint}. {meanwhile}; {again}");
            }
            Failure::Refused => {
                metrics::counter!("millrace_acme_orders_total", "outcome" => "refused").increment(1);
                tracing::error!(%domains, "no new certificate: {error}; {hint}. {meanwhile}; {again}");
            }
        }
        wait
    }
}

/// What the person who reads the log can do about it.
fn hint(error: &AcmeError, places: Places) -> String {
    match error {
        AcmeError::Validation { domain, kind: ChallengeKind::Http01, .. } => format!(
            "port 80 of {domain} must reach MILLRACE_HTTP_ADDR ({}): check its DNS, the firewall and the router",
            places.http
        ),
        AcmeError::Validation { domain, kind: ChallengeKind::TlsAlpn01, .. } => format!(
            "port 443 of {domain} must reach MILLRACE_HTTPS_ADDR ({}): check its DNS, the firewall and the router",
            places.https
        ),
        AcmeError::NotOffered { .. } => "name another in acme.challenges".into(),
        AcmeError::Directory { .. } | AcmeError::Slow { .. } => {
            "check that this machine reaches it, MILLRACE_ACME_DIRECTORY and acme.directory_ca".into()
        }
        error if error.wants_external_account() => {
            "set acme.external_account and acme.external_account_key_file to what it gives to those who have an account"
                .into()
        }
        AcmeError::Refused { .. } => {
            "what it says is about MILLRACE_ACME_DOMAINS, MILLRACE_ACME_EMAIL or acme.external_account".into()
        }
        AcmeError::Unusable { .. } => "check the clock of this machine, and the directory".into(),
        AcmeError::ExternalKey { .. } => {
            "copy the key there as the directory shows it, and nothing else (acme.external_account_key_file)".into()
        }
        AcmeError::File { .. } => "make MILLRACE_DATA_DIR writable".into(),
        AcmeError::Answer(_) => "check MILLRACE_ACME_DOMAINS".into(),
    }
}

/// A duration as people say it.
fn spoken(wait: Duration) -> String {
    match wait.as_secs() {
        0 => format!("{} ms", wait.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}
