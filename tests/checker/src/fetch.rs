//! Shell: makes HTTP requests and records them.
#![expect(clippy::disallowed_methods, reason = "shell: sends requests and reads the clock")]

use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::BytesMut;
use reqwest::{Method, Url};

use crate::exchange::Exchange;

/// Makes requests and keeps the time.
#[derive(Debug, Clone)]
pub struct Fetcher {
    client: reqwest::Client,
    start: Instant,
}

/// Which HTTP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// HTTP/1.1, or whatever ALPN agrees on over TLS.
    #[default]
    Negotiated,
    /// HTTP/2 in clear text without an upgrade.
    Http2PriorKnowledge,
}

/// Longest wait for any answer; a blocked one is a 503 long before.
const TIMEOUT: Duration = Duration::from_secs(40);

/// Connections that idle for longer are not used again: servers close them after 10 s and more, and a request that leaves
/// just then is lost. Browsers send it again.
const IDLE: Duration = Duration::from_secs(5);

impl Fetcher {
    /// A fetcher whose clock starts now. Certificates are not verified: tests make their own.
    ///
    /// # Errors
    /// If the TLS set-up of the client fails.
    pub fn new(protocol: Protocol) -> anyhow::Result<Self> {
        // The client wants a provider even where nothing is encrypted; who installed one already is right too.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .danger_accept_invalid_certs(true)
            .no_proxy()
            .timeout(TIMEOUT)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none());
        if protocol == Protocol::Http2PriorKnowledge {
            builder = builder.http2_prior_knowledge();
        }
        Ok(Self { client: builder.build()?, start: Instant::now() })
    }

    /// Time since the start of the run.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// `GET` without further headers.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn get(&self, url: &Url) -> anyhow::Result<Exchange> {
        self.request(Method::GET, url, &[]).await
    }

    /// Any request.
    ///
    /// # Errors
    /// When no whole answer comes.
    pub async fn request(
        &self,
        method: Method,
        url: &Url,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Exchange> {
        let sent = self.now();
        let mut request = self.client.request(method.clone(), url.clone());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = request.send().await.with_context(|| format!("{method} {url}"))?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
            })
            .collect();
        let mut body = BytesMut::new();
        let mut first_byte = None;
        while let Some(chunk) = response.chunk().await.with_context(|| format!("body of {url}"))? {
            first_byte.get_or_insert_with(|| self.now());
            body.extend_from_slice(&chunk);
        }
        let last_byte = self.now();
        Ok(Exchange {
            url: url.path().to_owned() + &url.query().map(|q| format!("?{q}")).unwrap_or_default(),
            status,
            headers,
            body: body.freeze(),
            sent,
            first_byte: first_byte.unwrap_or(last_byte),
            last_byte,
        })
    }
}
