//! One order: from an account to a certificate.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, ExternalAccountKey, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, Problem, RetryPolicy,
};

use super::answers::Answers;
use super::config::{AcmeConfig, ChallengeKind};
use super::kept::{Kept, read_certificate};
use super::schedule::Failure;
use crate::tls::Certificate;

/// How long a directory may take to look at the challenges, and again to make the certificate.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(120));
/// The directory does not know the account (RFC 8555 §6.7).
const NO_SUCH_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";
/// The directory wants an account that was made with it elsewhere (RFC 8555 §7.3.4).
const EXTERNAL_ACCOUNT_REQUIRED: &str = "urn:ietf:params:acme:error:externalAccountRequired";

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AcmeError {
    /// It does not answer, or not as a directory does.
    #[error("the ACME directory {directory} does not answer: {source}")]
    Directory { directory: String, source: instant_acme::Error },
    /// It took too long.
    #[error("the ACME directory {directory} took longer than {patience:?}")]
    Slow { directory: String, patience: Duration },
    /// The directory refused what was asked for.
    #[error("the ACME directory {directory} refused it: {}", said(.problem))]
    Refused { directory: String, problem: Problem },
    /// It could not be proved that a domain is ours.
    #[error("{domain} could not be validated by {kind}: {detail}")]
    Validation { domain: String, kind: ChallengeKind, detail: String },
    /// The directory wants another proof.
    #[error("the ACME directory does not offer {kind} for {domain}; it offers {offered}")]
    NotOffered { domain: String, kind: ChallengeKind, offered: String },
    /// What came is no certificate, or none that is of use.
    #[error("the certificate that came cannot be used: {problem}")]
    Unusable { problem: String },
    /// Our files.
    #[error("{} cannot be read or written: {source}", .path.display())]
    File { path: PathBuf, source: io::Error },
    /// What was given us of an account is no key.
    #[error("{} holds no key of an external account: {problem}", .path.display())]
    ExternalKey { path: PathBuf, problem: String },
    /// Our keys.
    #[error("the answer to a challenge could not be made: {0}")]
    Answer(#[from] rcgen::Error),
}

impl AcmeError {
    /// Whether it may pass by itself soon.
    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::Directory { .. } | Self::Slow { .. } | Self::File { .. } => Failure::Passing,
            _ => Failure::Refused,
        }
    }

    fn is_unknown_account(&self) -> bool {
        self.is_refusal(NO_SUCH_ACCOUNT)
    }

    /// Whether the directory wants an account that was made with it before.
    pub(crate) fn wants_external_account(&self) -> bool {
        self.is_refusal(EXTERNAL_ACCOUNT_REQUIRED)
    }

    fn is_refusal(&self, kind: &str) -> bool {
        matches!(self, Self::Refused { problem, .. } if problem.r#type.as_deref() == Some(kind))
    }
}

/// What a directory said, for a person.
fn said(problem: &Problem) -> String {
    let mut said = problem.detail.clone().unwrap_or_else(|| "without a reason".into());
    for part in &problem.subproblems {
        said.push_str(&format!("; {part}"));
    }
    match problem.r#type.as_deref().and_then(|kind| kind.rsplit(':').next()) {
        Some(kind) => format!("{said} ({kind})"),
        None => said,
    }
}

/// Gets a certificate for all domains, proving them all in this way, and keeps it.
pub(crate) async fn certificate(
    config: &AcmeConfig,
    kept: &Kept,
    answers: &Answers,
    kind: ChallengeKind,
) -> Result<Certificate, AcmeError> {
    let result = match attempt(config, kept, answers, kind).await {
        Err(error) if error.is_unknown_account() => {
            tracing::info!("the ACME directory does not know our account any more; making another");
            kept.forget_account();
            attempt(config, kept, answers, kind).await
        }
        result => result,
    };
    answers.forget();
    result
}

async fn attempt(
    config: &AcmeConfig,
    kept: &Kept,
    answers: &Answers,
    kind: ChallengeKind,
) -> Result<Certificate, AcmeError> {
    let failed = |source| match source {
        instant_acme::Error::Api(problem) => {
            AcmeError::Refused { directory: config.directory.clone(), problem }
        }
        source => AcmeError::Directory { directory: config.directory.clone(), source },
    };
    let account = account(config, kept, &failed).await?;
    let identifiers: Vec<_> = config.domains.0.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await.map_err(failed)?;
    answer_all(&mut order, answers, kind, &failed).await?;
    match order.poll_ready(&PATIENCE).await {
        Ok(OrderStatus::Ready) => {}
        Ok(_) => return Err(refused_domain(&mut order, kind).await.unwrap_or_else(|| no_reason(config))),
        Err(error) => return Err(refused_domain(&mut order, kind).await.unwrap_or_else(|| failed(error))),
    }
    let key = order.finalize().await.map_err(failed)?;
    let chain = order.poll_certificate(&PATIENCE).await.map_err(failed)?;
    let read = read_certificate(format!("{key}\n{chain}").as_bytes());
    let certificate = read.map_err(|problem| AcmeError::Unusable { problem })?;
    kept.keep_certificate(&key, &chain)
        .map_err(|source| AcmeError::File { path: kept.folder().to_owned(), source })?;
    Ok(certificate)
}

fn no_reason(config: &AcmeConfig) -> AcmeError {
    AcmeError::Unusable { problem: format!("the order at {} is invalid without a reason", config.directory) }
}

/// The account that is kept, or a new one.
async fn account(
    config: &AcmeConfig,
    kept: &Kept,
    failed: &impl Fn(instant_acme::Error) -> AcmeError,
) -> Result<Account, AcmeError> {
    let builder = match &config.directory_ca {
        None => Account::builder(),
        Some(path) => Account::builder_with_root(path),
    };
    let builder = builder.map_err(failed)?;
    if let Some(credentials) = kept.account() {
        return builder.from_credentials(credentials).await.map_err(failed);
    }
    let contact = config.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let wanted = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let external = external_account(config)?;
    let (account, credentials) =
        builder.create(&wanted, config.directory.clone(), external.as_ref()).await.map_err(failed)?;
    kept.keep_account(&credentials)
        .map_err(|source| AcmeError::File { path: kept.folder().to_owned(), source })?;
    Ok(account)
}

/// The account that our own is bound to, if the directory wants that (RFC 8555 §7.3.4).
fn external_account(config: &AcmeConfig) -> Result<Option<ExternalAccountKey>, AcmeError> {
    let Some((id, path)) = config.external_account.as_ref().zip(config.external_account_key_file.as_ref())
    else {
        return Ok(None);
    };
    let read = || {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        let key = BASE64_URL_SAFE_NO_PAD.decode(text.trim().trim_end_matches('='));
        key.ok().filter(|key| !key.is_empty()).ok_or_else(|| "what it says is no base64url".to_owned())
    };
    let key = read().map_err(|problem| AcmeError::ExternalKey { path: path.clone(), problem })?;
    Ok(Some(ExternalAccountKey::new(id.clone(), &key)))
}

/// Shows the answers to all challenges and says that they can be looked at.
async fn answer_all(
    order: &mut Order,
    answers: &Answers,
    kind: ChallengeKind,
    failed: &impl Fn(instant_acme::Error) -> AcmeError,
) -> Result<(), AcmeError> {
    let wanted = match kind {
        ChallengeKind::Http01 => ChallengeType::Http01,
        ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
    };
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(failed)?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let domain = authorization.identifier().to_string();
        let offered = authorization.challenges.iter().map(|challenge| format!("{:?}", challenge.r#type));
        let offered = offered.collect::<Vec<_>>().join(", ");
        let Some(mut challenge) = authorization.challenge(wanted.clone()) else {
            return Err(AcmeError::NotOffered { domain, kind, offered });
        };
        let authorization = challenge.key_authorization();
        match kind {
            ChallengeKind::Http01 => answers.by_http(&challenge.token, authorization.as_str()),
            ChallengeKind::TlsAlpn01 => answers.in_handshake(&domain, authorization.digest().as_ref())?,
        }
        challenge.set_ready().await.map_err(|error| match error {
            instant_acme::Error::Api(problem) => {
                AcmeError::Validation { domain: domain.clone(), kind, detail: said(&problem) }
            }
            error => failed(error),
        })?;
    }
    Ok(())
}

/// The first domain that could not be validated, and why.
async fn refused_domain(order: &mut Order, kind: ChallengeKind) -> Option<AcmeError> {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if authorization.refresh().await.is_err() || authorization.status != AuthorizationStatus::Invalid {
            continue;
        }
        let domain = authorization.identifier().to_string();
        let problem = authorization.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        let detail = problem.map_or_else(|| "the directory gave no reason".to_owned(), said);
        return Some(AcmeError::Validation { domain, kind, detail });
    }
    None
}
