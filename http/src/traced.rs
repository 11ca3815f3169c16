//! Requests in logs and traces.
//!
//! What a handler logs has the id that the answer has as `X-Request-Id`, and what it publishes carries it on. A span is
//! named by the route as it is declared: never by a path or a query, which may hold tokens. Media has neither: there is
//! too much of it, and parts have spans of their own.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::extract::{ConnectInfo, MatchedPath};
use axum::http::{HeaderName, Request, Response};
use millrace_core::trace::{Cause, Span, SpanKind, TraceParent};
use pin_project_lite::pin_project;
use tokio::task::futures::TaskLocalFuture;
use tower::{Layer, Service};
use tracing::Instrument as _;
use tracing::instrument::Instrumented;

use crate::layers::{REQUEST_ID, Trusted};

/// Where a proxy says of which trace a request is part (W3C Trace Context).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Routes without a span: media, and what is asked every few seconds by machines.
const QUIET: [&str; 6] = ["/live/", "/t/", "/healthz", "/readyz", "/version", "/metrics"];

/// Gives every request a cause, and a span if traces are recorded.
#[derive(Clone)]
pub(crate) struct TracedLayer {
    /// Whose `traceparent` is gone on with.
    pub(crate) trusted: Trusted,
}

impl<S> Layer<S> for TracedLayer {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Traced<S> {
        Traced { inner, trusted: self.trusted.clone() }
    }
}

#[derive(Clone)]
pub(crate) struct Traced<S> {
    inner: S,
    trusted: Trusted,
}

impl<S, B, R> Service<Request<B>> for Traced<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        if route.is_some_and(|route| QUIET.iter().any(|quiet| route.starts_with(quiet))) {
            let quiet = self.inner.call(request).instrument(tracing::Span::none());
            return Answering { work: Cause::default().scope(quiet), span: Span::none() };
        }
        let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let correlation = id.and_then(|id| uuid::Uuid::parse_str(id).ok());
        let mut span = match route {
            Some(route) => {
                let method = known_method(request.method().as_str());
                let mut span = Span::begin(
                    SpanKind::Server,
                    format!("{method} {route}"),
                    parent(&request, &self.trusted),
                );
                span.set("http.request.method", method);
                span.set("http.route", route.to_owned());
                span
            }
            // The web app's files.
            None => Span::none(),
        };
        span.set("request.id", id.unwrap_or_default().to_owned());
        let cause = Cause { correlation, trace: span.place() };
        let trace = cause.trace.map(|trace| trace.trace_id());
        // Whatever the level of the log: it says nothing by itself.
        let log = tracing::error_span!("request", request.id = id, trace.id = trace);
        let work = log.in_scope(|| self.inner.call(request));
        Answering { work: cause.scope(work.instrument(log)), span }
    }
}

/// The methods of our routes; whatever else somebody makes up is one.
fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method).unwrap_or("_OTHER")
}

/// What a trusted peer says.
fn parent<B>(request: &Request<B>, trusted: &Trusted) -> Option<TraceParent> {
    let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<SocketAddr>>()?;
    let said = request.headers().get(TRACEPARENT)?.to_str().ok()?;
    trusted.as_ref().is_some_and(|trusts| trusts(peer.ip())).then(|| said.parse().ok()).flatten()
}

pin_project! {
    /// An answer under way.
    pub(crate) struct Answering<F> {
        #[pin]
        work: TaskLocalFuture<Cause, Instrumented<F>>,
        span: Span,
    }
}

impl<F, R, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let answer = ready!(this.work.poll(context));
        if let Ok(answer) = &answer {
            let status = answer.status();
            this.span.set("http.response.status_code", i64::from(status.as_u16()));
            if status.is_server_error() {
                this.span.fail("server error");
            }
        }
        drop(std::mem::take(this.span));
        Poll::Ready(answer)
    }
}
