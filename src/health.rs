//! `/healthz`, `/readyz` and `/version`, and the command that asks a running server.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

/// How long the health check waits for the server.
const HEALTHCHECK_TIMEOUT: Duration = Duration::from_secs(5);

/// What each part of the process says of itself, in the order it was first named.
#[derive(Debug, Clone, Default)]
pub(crate) struct Readiness(Arc<RwLock<Vec<Check>>>);

/// One part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Check {
    name: &'static str,
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Report {
    ready: bool,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Version {
    version: &'static str,
    commit: &'static str,
}

impl Readiness {
    /// Records that `name` is ready, or why it is not.
    pub(crate) fn set(&self, name: &'static str, state: Result<(), &'static str>) {
        let mut checks = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let check = Check { name, ready: state.is_ok(), reason: state.err() };
        match checks.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = check,
            None => checks.push(check),
        }
    }

    fn report(&self) -> Report {
        let checks = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        Report { ready: checks.iter().all(|check| check.ready), checks }
    }
}

/// The routes.
pub(crate) fn router(readiness: Readiness) -> Router {
    let ready = move || async move {
        let report = readiness.report();
        let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        uncached((status, Json(report)))
    };
    Router::new()
        .route("/healthz", get(|| async { uncached(Json(serde_json::json!({ "status": "ok" }))) }))
        .route("/readyz", get(ready))
        .route(
            "/version",
            get(|| async { uncached(Json(Version { version: crate::VERSION, commit: crate::COMMIT })) }),
        )
}

fn uncached(answer: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], answer).into_response()
}

/// Asks `/healthz` of the server that listens on `addr`.
///
/// # Errors
/// It does not answer, or not with 200.
pub(crate) fn ask(addr: SocketAddr) -> anyhow::Result<()> {
    let host = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(host, addr.port()), HEALTHCHECK_TIMEOUT)?;
    stream.set_read_timeout(Some(HEALTHCHECK_TIMEOUT))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    anyhow::ensure!(&head == b"HTTP/1.1 200", "the server answered {:?}", String::from_utf8_lossy(&head));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_every_part_is_and_the_report_says_which_is_not() {
        let readiness = Readiness::default();
        readiness.set("rtmp", Err("starting"));
        readiness.set("http", Ok(()));
        assert!(!readiness.report().ready);
        assert_eq!(readiness.report().checks[0].reason, Some("starting"));
        readiness.set("rtmp", Ok(()));
        assert!(readiness.report().ready);
        assert_eq!(readiness.report().checks.len(), 2);
    }
}
