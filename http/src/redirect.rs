//! From http to https, once there is a certificate.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

use crate::acme::WELL_KNOWN;
use crate::tls::Certificates;

/// The port that https has by itself.
const HTTPS_PORT: u16 = 443;
/// For how long a browser may go to https without asking: a site that gives https up loses nobody for longer.
const REMEMBERED: &str = "private, max-age=3600";

/// Where plain requests are sent.
#[derive(Debug, Clone)]
pub struct HttpsRedirect {
    /// Nothing is redirected before there is one.
    pub certificates: Arc<Certificates>,
    /// `https://live.example.org`: where to, whatever was asked for. The host of the request if absent.
    pub public_url: Option<String>,
    /// The port of HTTPS, for the host of the request.
    pub port: u16,
    /// Hosts that have https. Requests for others, such as an address, are answered as they are. All if empty.
    pub names: Vec<String>,
}

impl HttpsRedirect {
    /// Where a request for `host` and `target` (path and query) belongs; `None` if it is answered here. Load balancers
    /// ask for health and ACME servers for answers, by plain HTTP.
    fn location(&self, host: Option<&str>, target: &str) -> Option<String> {
        let path = target.split('?').next().unwrap_or_default();
        if ["/healthz", "/readyz"].contains(&path) || path.starts_with(WELL_KNOWN) {
            return None;
        }
        // Whatever else a request line may hold is no path of ours.
        let target = if target.starts_with('/') { target } else { "/" };
        if let Some(url) = &self.public_url {
            return Some(format!("{}{target}", url.trim_end_matches('/')));
        }
        let name = host_name(host?)?;
        if !self.names.is_empty() && !self.names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return None;
        }
        let port = if self.port == HTTPS_PORT { String::new() } else { format!(":{}", self.port) };
        Some(format!("https://{name}{port}{target}"))
    }
}

/// The host of a `Host` header without its port; `None` if it is no host (RFC 9110 §7.2).
fn host_name(host: &str) -> Option<&str> {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((address, rest)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let is_address = matches!(address.parse(), Ok(IpAddr::V6(_)));
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        return (is_address && is_port(rest)).then(|| &host[..address.len() + 2]);
    }
    let (name, port) = host.split_once(':').unwrap_or((host, ""));
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    (!name.is_empty() && is_name && is_port(port)).then_some(name)
}

/// The same router, which sends to https what can be sent there.
pub(crate) fn layer(router: Router, rule: HttpsRedirect) -> Router {
    router.layer(middleware::from_fn_with_state(Arc::new(rule), redirect))
}

async fn redirect(State(rule): State<Arc<HttpsRedirect>>, request: Request, next: Next) -> Response {
    if !rule.certificates.is_there() {
        return next.run(request).await;
    }
    let uri = request.uri();
    let host = uri
        .authority()
        .map(|authority| authority.as_str())
        .or_else(|| request.headers().get(header::HOST)?.to_str().ok());
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let location = rule.location(host, target).and_then(|url| HeaderValue::try_from(url).ok());
    let Some(location) = location else { return next.run(request).await };
    let headers =
        [(header::LOCATION, location), (header::CACHE_CONTROL, HeaderValue::from_static(REMEMBERED))];
    (StatusCode::PERMANENT_REDIRECT, headers).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(port: u16, names: &[&str], public_url: Option<&str>) -> HttpsRedirect {
        HttpsRedirect {
            certificates: Arc::default(),
            public_url: public_url.map(str::to_owned),
            port,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn the_same_page_is_found_on_the_port_of_https() {
        for (port, host, expected) in [
            (443, "live.example.org", Some("https://live.example.org/@a?t=1")),
            (8443, "live.example.org:8080", Some("https://live.example.org:8443/@a?t=1")),
            (443, "[::1]:8080", Some("https://[::1]/@a?t=1")),
            (443, "192.0.2.7", Some("https://192.0.2.7/@a?t=1")),
            (443, "", None),
            (443, "a@b", None),
            (443, "a:b", None),
            (443, "[a]", None),
            (443, "example.org/evil", None),
        ] {
            let found = rule(port, &[], None).location(Some(host), "/@a?t=1");
            assert_eq!(found.as_deref(), expected, "{host}");
        }
        assert_eq!(rule(443, &[], None).location(None, "/"), None);
    }

    #[test]
    fn what_needs_plain_http_and_hosts_without_a_certificate_are_answered() {
        let rule = rule(443, &["live.example.org"], None);
        for target in ["/healthz", "/readyz?a", "/.well-known/acme-challenge/abc"] {
            assert_eq!(rule.location(Some("live.example.org"), target), None, "{target}");
        }
        assert_eq!(rule.location(Some("192.0.2.7"), "/"), None);
        assert_eq!(
            rule.location(Some("LIVE.example.org"), "/healthzz").as_deref(),
            Some("https://LIVE.example.org/healthzz")
        );
    }

    #[test]
    fn the_public_address_beats_what_was_asked_for() {
        let rule = rule(8443, &["live.example.org"], Some("https://live.example.org/"));
        for host in [Some("192.0.2.7"), None] {
            assert_eq!(rule.location(host, "/a").as_deref(), Some("https://live.example.org/a"));
        }
    }
}
