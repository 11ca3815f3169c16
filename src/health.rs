//! `/healthz`, `/readyz` and `/version`, and the command that asks a running server.
#![expect(clippy::disallowed_methods, reason = "shell: looks after the store every few seconds")]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use millrace_http::tls::Certificates;
use millrace_objects::{Objects, Trouble};
use millrace_store::Store;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

/// How often the store is asked whether it is there.
const STORE_EVERY: Duration = Duration::from_secs(2);
/// How long it may take to say so.
const STORE_PATIENCE: Duration = Duration::from_secs(2);
/// What `/readyz` and the log say of a store that does not.
const STORE_AWAY: &str = "the store does not answer: broadcasts that are live go on, new ones and everything about \
                          accounts wait for it";
/// How often the place for objects is asked whether it is there, while nothing else asks it.
const OBJECTS_EVERY: Duration = Duration::from_secs(60);
/// The same while it is not.
const OBJECTS_AGAIN: Duration = Duration::from_secs(2);
/// How often the certificate is looked at.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(1);
/// What `/readyz` says while there is none.
const NO_CERTIFICATE: &str =
    "there is no certificate yet: the log says why; HTTP goes on, HTTPS and RTMPS wait for it";
/// What it says of one whose time is over.
const OLD_CERTIFICATE: &str = "the certificate's time is over: browsers and encoders refuse it; the log says why it was \
                               not renewed";
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
    /// Another server, which all processes share, or what comes from one: were this one not ready without it, a load
    /// balancer would take away all of them, and the broadcasts that go on with them.
    #[serde(skip)]
    shared: bool,
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
        self.note(Check { name, ready: state.is_ok(), reason: state.err(), shared: false });
    }

    /// Records that a server that this process depends on is there, or what waits for it. The process is ready all the
    /// same.
    pub(crate) fn set_shared(&self, name: &'static str, state: Result<(), &'static str>) {
        self.note(Check { name, ready: state.is_ok(), reason: state.err(), shared: true });
    }

    fn note(&self, check: Check) {
        metrics::gauge!("millrace_ready", "part" => check.name).set(u32::from(check.ready));
        let mut checks = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let name = check.name;
        match checks.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = check,
            None => checks.push(check),
        }
    }

    fn report(&self) -> Report {
        let checks = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        Report { ready: checks.iter().all(|check| check.ready || check.shared), checks }
    }
}

/// Asks the store every few seconds whether it is there, for `/readyz`, `/metrics` and the log.
pub(crate) async fn watch_store(readiness: Readiness, store: Store, shutdown: CancellationToken) {
    let up = metrics::gauge!("millrace_store_up");
    let mut interval = tokio::time::interval(STORE_EVERY);
    let mut was = true;
    while shutdown.run_until_cancelled(interval.tick()).await.is_some() {
        let is = matches!(tokio::time::timeout(STORE_PATIENCE, store.ping()).await, Ok(Ok(())));
        readiness.set_shared("store", if is { Ok(()) } else { Err(STORE_AWAY) });
        up.set(f64::from(u8::from(is)));
        match (was, is) {
            (true, false) => tracing::warn!("{STORE_AWAY}"),
            (false, true) => tracing::info!("the store answers again"),
            _ => {}
        }
        was = is;
    }
}

/// Says in `/readyz`, `/metrics` and the log what is the matter with objects, from what requests meet and from asking now and
/// then.
pub(crate) async fn watch_objects(readiness: Readiness, objects: Objects, shutdown: CancellationToken) {
    let up = metrics::gauge!("millrace_objects_up");
    let (mut trouble, mut was) = (objects.trouble(), None);
    let mut due = tokio::time::Instant::now();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            changed = trouble.changed() => if changed.is_err() { return },
            () = tokio::time::sleep_until(due) => {
                // What it meets is in `trouble`.
                let _ = shutdown.run_until_cancelled(objects.check()).await;
            }
        }
        let is = *trouble.borrow_and_update();
        readiness.set_shared("objects", is.map_or(Ok(()), |trouble| Err(trouble.sentence())));
        up.set(f64::from(u8::from(is.is_none())));
        say_trouble(was, is);
        was = is;
        due = tokio::time::Instant::now() + if is.is_some() { OBJECTS_AGAIN } else { OBJECTS_EVERY };
    }
}

fn say_trouble(was: Option<Trouble>, is: Option<Trouble>) {
    match is {
        _ if was == is => {}
        None => tracing::info!("objects can be read and written again"),
        Some(trouble @ Trouble::Away) => tracing::warn!("{}", trouble.sentence()),
        // It does not go away by itself.
        Some(trouble) => tracing::error!("{}", trouble.sentence()),
    }
}

/// Looks every second whether there is a certificate to show, where there should be one.
pub(crate) async fn watch_certificate(
    readiness: Readiness,
    certificates: Arc<Certificates>,
    shutdown: CancellationToken,
) {
    let mut interval = tokio::time::interval(CERTIFICATE_EVERY);
    while shutdown.run_until_cancelled(interval.tick()).await.is_some() {
        let state = match certificates.current() {
            None => Err(NO_CERTIFICATE),
            Some(current) if current.not_after < SystemTime::now() => Err(OLD_CERTIFICATE),
            Some(_) => Ok(()),
        };
        readiness.set_shared("certificate", state);
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
        readiness.set_shared("store", Err(STORE_AWAY));
        assert!(readiness.report().ready, "who watches needs no store");
        assert_eq!(readiness.report().checks[2].reason, Some(STORE_AWAY));
    }
}
