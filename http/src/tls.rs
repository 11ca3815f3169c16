//! TLS by rustls: the certificate that the listeners show, from PEM files or from [`crate::acme`].

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// What HTTPS offers by ALPN (RFC 7301), the best first.
pub const HTTPS_ALPN: &[&[u8]] = &[b"h2", b"http/1.1"];
/// The protocol by which an ACME server looks for the answer to its challenge (RFC 8737 §3).
pub const ACME_ALPN: &[u8] = b"acme-tls/1";

/// Why TLS could not be set up; each names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate file is unreadable or holds no certificate.
    #[error(
        "cannot read a PEM certificate chain from {path}: {source}; point MILLRACE_TLS_CERT at the full chain"
    )]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: rustls_pki_types::pem::Error,
    },
    /// The key file is unreadable or holds no private key.
    #[error(
        "cannot read a PEM private key from {path}: {source}; point MILLRACE_TLS_KEY at the key of the certificate"
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: rustls_pki_types::pem::Error,
    },
    /// Certificate and key do not fit together or are not supported.
    #[error("the certificate {cert} and the key {key} cannot be used: {source}")]
    Pair {
        /// The certificate file.
        cert: PathBuf,
        /// The key file.
        key: PathBuf,
        /// What is wrong.
        source: UnusableError,
    },
}

/// Why a chain and a key are no certificate to show.
#[derive(Debug, thiserror::Error)]
pub enum UnusableError {
    /// They do not fit together, or are of a kind that is not supported.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    /// The chain is empty, or its first certificate is none.
    #[error("the first certificate of the chain cannot be read")]
    Certificate,
}

/// A chain with its key, and what has to be known of its first certificate.
#[derive(Clone)]
pub struct Certificate {
    /// What the handshake uses.
    pub certified: Arc<CertifiedKey>,
    /// When it begins to be valid (RFC 5280 §4.1.2.5).
    pub not_before: SystemTime,
    /// When it ends.
    pub not_after: SystemTime,
    /// The DNS names that it is for, in lower case.
    pub names: Vec<String>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { names, not_before, not_after, .. } = self;
        f.debug_struct("Certificate")
            .field("names", names)
            .field("not_before", not_before)
            .field("not_after", not_after)
            .finish_non_exhaustive()
    }
}

impl Certificate {
    /// Puts a chain and its key together.
    ///
    /// # Errors
    /// They do not fit together, or the first certificate cannot be read.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, UnusableError> {
        let first = chain.first().ok_or(UnusableError::Certificate)?;
        let (_, parsed) =
            x509_parser::parse_x509_certificate(first).map_err(|_| UnusableError::Certificate)?;
        let at = |time: x509_parser::time::ASN1Time| SystemTime::from(time.to_datetime());
        let (not_before, not_after) = (at(parsed.validity().not_before), at(parsed.validity().not_after));
        let mut names = Vec::new();
        if let Ok(Some(alternative)) = parsed.subject_alternative_name() {
            for name in &alternative.value.general_names {
                if let x509_parser::extensions::GeneralName::DNSName(name) = name {
                    names.push(name.to_ascii_lowercase());
                }
            }
        }
        let provider = CryptoProvider::get_default()
            .cloned()
            .unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
        let certified = Arc::new(CertifiedKey::from_der(chain, key, &provider)?);
        Ok(Self { certified, not_before, not_after, names })
    }

    /// Reads a chain and its key from PEM files.
    ///
    /// # Errors
    /// A file that cannot be read, holds no such thing, or a key of another certificate.
    pub fn from_files(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        let unreadable = |source| TlsError::Certificate { path: cert.to_owned(), source };
        let chain: Vec<_> = CertificateDer::pem_file_iter(cert)
            .map_err(unreadable)?
            .collect::<Result<_, _>>()
            .map_err(unreadable)?;
        if chain.is_empty() {
            return Err(unreadable(rustls_pki_types::pem::Error::NoItemsFound));
        }
        let private = PrivateKeyDer::from_pem_file(key)
            .map_err(|source| TlsError::Key { path: key.to_owned(), source })?;
        Self::new(chain, private).map_err(|source| TlsError::Pair {
            cert: cert.to_owned(),
            key: key.to_owned(),
            source,
        })
    }
}

/// The certificate that all listeners show, and the answers to challenges that are under way. Both change while they
/// listen: a handshake takes what is there when it begins.
#[derive(Debug, Default)]
pub struct Certificates {
    current: RwLock<Option<Certificate>>,
    challenges: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

impl Certificates {
    /// Shows this one from now on.
    pub fn set(&self, certificate: Certificate) {
        let end = certificate.not_after.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        metrics::gauge!("millrace_tls_certificate_expires_timestamp_seconds").set(end.as_secs_f64());
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(certificate);
    }

    /// The one that is shown.
    #[must_use]
    pub fn current(&self) -> Option<Certificate> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether there is one.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.current.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Answers the challenge of this domain with this certificate (RFC 8737 §3).
    pub(crate) fn answer(&self, domain: &str, certified: Arc<CertifiedKey>) {
        let mut challenges = self.challenges.write().unwrap_or_else(PoisonError::into_inner);
        challenges.insert(domain.to_ascii_lowercase(), certified);
    }

    /// No challenge is under way any more.
    pub(crate) fn forget_answers(&self) {
        self.challenges.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What is shown to one who names this server, or who looks for the answer to its challenge.
    pub(crate) fn find(&self, server_name: Option<&str>, is_challenge: bool) -> Option<Arc<CertifiedKey>> {
        if is_challenge {
            let domain = server_name?.to_ascii_lowercase();
            return self.challenges.read().unwrap_or_else(PoisonError::into_inner).get(&domain).cloned();
        }
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Some(Arc::clone(&current.as_ref()?.certified))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Who looks for the answer to a challenge offers that protocol and no other.
        let is_challenge = hello
            .alpn()
            .is_some_and(|mut offered| offered.next() == Some(ACME_ALPN) && offered.next().is_none());
        self.find(hello.server_name(), is_challenge)
    }
}

/// A server configuration that shows what `certificates` holds and offers `alpn` in order; empty for a protocol that
/// has none (RTMPS).
#[must_use]
pub fn server_config(certificates: Arc<Certificates>, alpn: &[&[u8]]) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(certificates);
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str) -> Certificate {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        Certificate::new(vec![made.cert.der().clone()], key).unwrap()
    }

    #[test]
    fn a_challenge_is_answered_for_its_domain_only_and_never_to_others() {
        let certificates = Certificates::default();
        assert!(certificates.find(Some("live.example.org"), false).is_none(), "there is none yet");
        let (shown, answer) = (made("live.example.org"), made("live.example.org"));
        certificates.set(shown.clone());
        certificates.answer("live.example.org", Arc::clone(&answer.certified));
        let found = |name, challenge| certificates.find(name, challenge);
        assert!(Arc::ptr_eq(&found(Some("LIVE.example.org"), true).unwrap(), &answer.certified));
        for other in [Some("other.example.org"), None] {
            assert!(found(other, true).is_none(), "{other:?}");
            assert!(Arc::ptr_eq(&found(other, false).unwrap(), &shown.certified), "{other:?}");
        }
        certificates.forget_answers();
        assert!(found(Some("live.example.org"), true).is_none());
    }

    #[test]
    fn a_certificate_tells_its_names_and_its_life_and_nothing_of_its_key() {
        let made = made("Live.Example.Org");
        assert_eq!(made.names, ["live.example.org"]);
        assert!(made.not_before < made.not_after);
        assert!(format!("{made:?}").ends_with(".. }"), "{made:?}");
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, other) = (
            rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap(),
            rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap(),
        );
        let key = PrivateKeyDer::try_from(other.signing_key.serialize_der()).unwrap();
        let refused = Certificate::new(vec![one.cert.der().clone()], key).unwrap_err();
        assert!(matches!(refused, UnusableError::Rustls(_)), "{refused}");
        let key = PrivateKeyDer::try_from(one.signing_key.serialize_der()).unwrap();
        let nothing = Certificate::new(Vec::new(), key).unwrap_err();
        assert!(matches!(nothing, UnusableError::Certificate), "{nothing}");
    }
}
