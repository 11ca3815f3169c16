//! The certificate of this process: whose it is, who shows it, who renews it.
#![expect(clippy::disallowed_methods, reason = "shell: starts tasks")]

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use millrace_http::acme::{Acme, Places};
use millrace_http::redirect::HttpsRedirect;
use millrace_http::tls::{ACME_ALPN, Certificate, Certificates, HTTPS_ALPN, server_config};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::health::{self, Readiness};

/// Parts of a thousand that renewals are spread by.
const SPREAD: u32 = 1000;

/// The certificate, and who gets it. Nothing where there is no TLS.
pub(crate) struct Tls {
    certificates: Option<Arc<Certificates>>,
    acme: Option<Acme>,
}

impl Tls {
    /// Reads the certificate of the files, or the one that was got before.
    ///
    /// # Errors
    /// Files that cannot be read or used, or a data directory that cannot be written.
    pub(crate) fn open(config: &Config) -> anyhow::Result<Self> {
        if config.acme.is_on() {
            let certificates = Arc::<Certificates>::default();
            let jitter = f64::from(std::process::id() % SPREAD) / f64::from(SPREAD);
            let acme = Acme::open(config.acme.clone(), &config.data_dir, Arc::clone(&certificates), jitter);
            let acme = acme.context("cannot keep certificates in MILLRACE_DATA_DIR; make it writable")?;
            return Ok(Self { certificates: Some(certificates), acme: Some(acme) });
        }
        let (Some(cert), Some(key)) = (&config.tls_cert, &config.tls_key) else {
            return Ok(Self { certificates: None, acme: None });
        };
        let certificates = Certificates::default();
        certificates.set(Certificate::from_files(cert, key)?);
        Ok(Self { certificates: Some(Arc::new(certificates)), acme: None })
    }

    /// For the listener of HTTPS.
    pub(crate) fn https(&self) -> Option<Arc<rustls::ServerConfig>> {
        let mut alpn = HTTPS_ALPN.to_vec();
        if self.acme.is_some() {
            alpn.push(ACME_ALPN);
        }
        Some(server_config(Arc::clone(self.certificates.as_ref()?), &alpn))
    }

    /// For listeners that speak something else than HTTP: RTMPS, and IRC over TLS.
    pub(crate) fn plain(&self) -> Option<Arc<rustls::ServerConfig>> {
        Some(server_config(Arc::clone(self.certificates.as_ref()?), &[]))
    }

    /// For the listener of HTTP, where HTTPS is at this address.
    pub(crate) fn redirect(&self, config: &Config, https: SocketAddr) -> Option<HttpsRedirect> {
        let certificates = self.certificates.as_ref().filter(|_| config.http.redirect_to_https)?;
        Some(HttpsRedirect {
            certificates: Arc::clone(certificates),
            public_url: config.public_url.clone().filter(|url| url.starts_with("https://")),
            port: https.port(),
            names: config.acme.domains.0.clone(),
        })
    }

    /// The routes of challenges, and the tasks that look after the certificate until `shutdown`.
    pub(crate) fn keep(
        self,
        readiness: Readiness,
        http: SocketAddr,
        https: Option<SocketAddr>,
        shutdown: &CancellationToken,
    ) -> (Router, Vec<JoinHandle<()>>) {
        let (mut routes, mut tasks) = (Router::new(), Vec::new());
        if let Some(certificates) = self.certificates {
            let watch = health::watch_certificate(readiness, certificates, shutdown.clone());
            tasks.push(tokio::spawn(watch));
        }
        if let (Some(acme), Some(https)) = (self.acme, https) {
            routes = millrace_http::acme::router(acme.answers());
            tasks.push(tokio::spawn(acme.run(Places { http, https }, shutdown.clone())));
        }
        (routes, tasks)
    }
}
