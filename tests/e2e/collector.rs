//! A collector of traces (OTLP over HTTP) that keeps what it gets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, header};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio_util::task::AbortOnDropHandle;

use crate::wait::until;

/// A span and who recorded it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// `service.name`.
    pub(crate) service: String,
    /// `service.instance.id`.
    pub(crate) node: String,
    pub(crate) span: Span,
}

#[derive(Debug, Default)]
struct Kept {
    spans: Vec<Seen>,
    authorizations: Vec<String>,
}

/// The collector, until it is dropped.
pub(crate) struct Collector {
    kept: Arc<Mutex<Kept>>,
    address: SocketAddr,
    _server: AbortOnDropHandle<()>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let keep = Arc::clone(&kept);
        let router = Router::new().route(
            "/v1/traces",
            post(move |headers: HeaderMap, body: Bytes| {
                let keep = Arc::clone(&keep);
                async move { take(&keep, &headers, body) }
            }),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = millrace_http::server::Limits::default();
        let listener = millrace_http::server::Listener { tcp: listener, tls: None, redirect: None };
        let server = millrace_http::server::serve(vec![listener], router, limits, Default::default());
        let server = tokio::spawn(async move {
            server.await;
        });
        Self { kept, address, _server: AbortOnDropHandle::new(server) }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything it got.
    pub(crate) fn spans(&self) -> Vec<Seen> {
        self.kept.lock().unwrap().spans.clone()
    }

    /// Whose batches it got.
    pub(crate) fn authorizations(&self) -> Vec<String> {
        self.kept.lock().unwrap().authorizations.clone()
    }

    /// Waits for a span.
    pub(crate) async fn find(&self, what: &str, within: Duration, wanted: impl Fn(&Seen) -> bool) -> Seen {
        until(what, within, || async { self.spans().into_iter().find(&wanted) }).await
    }
}

fn take(kept: &Mutex<Kept>, headers: &HeaderMap, body: Bytes) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut kept = kept.lock().unwrap();
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    kept.authorizations.extend(authorization);
    for from in request.resource_spans {
        let resource = from.resource.unwrap_or_default().attributes;
        let said = |name: &str| text(&resource, name).unwrap_or_default();
        let (service, node) = (said("service.name"), said("service.instance.id"));
        let spans = from.scope_spans.into_iter().flat_map(|scope| scope.spans);
        kept.spans.extend(spans.map(|span| Seen { service: service.clone(), node: node.clone(), span }));
    }
}

fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    match &found.value {
        Some(AnyValue { value: Some(Value::StringValue(text)) }) => Some(text.clone()),
        Some(AnyValue { value: Some(Value::IntValue(number)) }) => Some(number.to_string()),
        Some(AnyValue { value: Some(Value::BoolValue(flag)) }) => Some(flag.to_string()),
        _ => None,
    }
}

impl Seen {
    pub(crate) fn attribute(&self, name: &str) -> Option<String> {
        text(&self.span.attributes, name)
    }

    /// Whether this one happened within that one.
    pub(crate) fn is_child_of(&self, other: &Self) -> bool {
        self.span.trace_id == other.span.trace_id && self.span.parent_span_id == other.span.span_id
    }

    pub(crate) fn is_linked_to(&self, other: &Self) -> bool {
        self.span.links.iter().any(|link| link.span_id == other.span.span_id)
    }

    pub(crate) fn events(&self) -> Vec<&str> {
        self.span.events.iter().map(|event| event.name.as_str()).collect()
    }

    pub(crate) fn took(&self) -> Duration {
        Duration::from_nanos(self.span.end_time_unix_nano - self.span.start_time_unix_nano)
    }
}
