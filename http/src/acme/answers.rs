//! Where the answers to challenges are shown while an order is under way.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;

use crate::problem::Problem;
use crate::tls::Certificates;

/// Where an ACME server asks (RFC 8555 §8.3).
pub const WELL_KNOWN: &str = "/.well-known/acme-challenge/";

/// The answers to the challenges of the order that is under way.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    by_token: Arc<RwLock<HashMap<String, String>>>,
    certificates: Arc<Certificates>,
}

impl Answers {
    /// None yet. Those in a handshake are shown by `certificates`.
    #[must_use]
    pub fn new(certificates: Arc<Certificates>) -> Self {
        Self { by_token: Arc::default(), certificates }
    }

    /// The certificates that show those in a handshake.
    #[must_use]
    pub fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    /// Answers by HTTP (RFC 8555 §8.3).
    pub(crate) fn by_http(&self, token: &str, authorization: &str) {
        let mut answers = self.by_token.write().unwrap_or_else(PoisonError::into_inner);
        answers.insert(token.to_owned(), authorization.to_owned());
    }

    /// Answers in a handshake, with the digest of the key authorization (RFC 8737 §3).
    pub(crate) fn in_handshake(&self, domain: &str, digest: &[u8]) -> Result<(), rcgen::Error> {
        let mut params = CertificateParams::new(vec![domain.to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let key = KeyPair::generate()?;
        let made = params.self_signed(&key)?;
        let key =
            PrivateKeyDer::try_from(key.serialize_der()).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        let key = any_supported_type(&key).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
        // Not by way of what checks certificates: the extension is critical, and known to ACME servers only.
        self.certificates.answer(domain, Arc::new(CertifiedKey::new(vec![made.der().clone()], key)));
        Ok(())
    }

    /// The order is over.
    pub(crate) fn forget(&self) {
        self.by_token.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.certificates.forget_answers();
    }
}

/// The route of answers by HTTP.
pub fn router(answers: Answers) -> Router {
    Router::new().route("/.well-known/acme-challenge/{token}", get(answer)).with_state(answers)
}

async fn answer(State(answers): State<Answers>, Path(token): Path<String>) -> Response {
    let found = answers.by_token.read().unwrap_or_else(PoisonError::into_inner).get(&token).cloned();
    let Some(found) = found else { return Problem::not_found().into_response() };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, found).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn ask(answers: &Answers, token: &str) -> (u16, String) {
        let request = Request::builder().uri(format!("{WELL_KNOWN}{token}")).body(Body::empty()).unwrap();
        let response = router(answers.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    #[tokio::test]
    async fn a_token_is_answered_while_its_order_is_under_way() {
        let answers = Answers::default();
        assert_eq!(ask(&answers, "abc").await.0, 404);
        answers.by_http("abc", "abc.thumb");
        assert_eq!(ask(&answers, "abc").await, (200, "abc.thumb".to_owned()));
        assert_eq!(ask(&answers, "other").await.0, 404);
        answers.forget();
        assert_eq!(ask(&answers, "abc").await.0, 404);
    }

    #[test]
    fn the_answer_of_a_handshake_is_for_the_domain_and_carries_the_digest() {
        // id-pe-acmeIdentifier, critical, an OCTET STRING in an OCTET STRING (RFC 8737 §3).
        const EXTENSION: [u8; 18] = [6, 8, 0x2b, 6, 1, 5, 5, 7, 1, 31, 1, 1, 0xff, 4, 34, 4, 32, 7];
        let answers = Answers::default();
        answers.in_handshake("a.example", &[7; 32]).unwrap();
        assert!(answers.certificates().current().is_none(), "it is for challenges only");
        let shown = answers.certificates().find(Some("a.example"), true).unwrap();
        let der = shown.cert[0].as_ref();
        assert!(der.windows(EXTENSION.len()).any(|bytes| bytes == EXTENSION), "{der:02x?}");
        assert!(der.windows(9).any(|bytes| bytes == b"a.example"));
        answers.forget();
        assert!(answers.certificates().find(Some("a.example"), true).is_none());
    }
}
