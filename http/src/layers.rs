//! Headers and identifiers that every answer carries, and the answers of paths nobody serves.
#![expect(clippy::disallowed_methods, reason = "shell: makes request ids by clock and chance")]

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, Response, header};
use axum::response::IntoResponse;
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::problem::Problem;
use crate::traced::TracedLayer;

/// Most bytes of a JSON body.
pub const JSON_BODY_MAX_BYTES: usize = 64 * 1024;

/// The header that names a request in logs and answers.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Whose word on traces is gone on with, if anybody's.
pub type Trusted = Option<Arc<dyn Fn(IpAddr) -> bool + Send + Sync>>;

/// Finishes the router of a process: problem documents for unknown methods and panics, the body limit, a request
/// id, and the headers every answer carries. Unknown paths are the web app's, where there is one, or else
/// [`unknown_path`]'s.
///
/// A request id that a peer sends is replaced: it would be an outsider's text in our log.
///
/// What those `trusted` say of traces is gone on with.
pub fn finish(router: Router, trusted: Trusted) -> Router {
    // One layer made of all, outermost first: a router boxes the service and its future once per layer, for every
    // request.
    let [referrer, sniffing] = ALWAYS.map(always);
    router.method_not_allowed_fallback(|| async { Problem::method_not_allowed() }).layer((
        MapRequestLayer::new(forget_foreign_request_id),
        SetRequestIdLayer::new(REQUEST_ID, MakeUuid),
        PropagateRequestIdLayer::new(REQUEST_ID),
        referrer,
        sniffing,
        TracedLayer { trusted },
        CatchPanicLayer::custom(|_| panicked().into_response()),
        DefaultBodyLimit::max(JSON_BODY_MAX_BYTES),
    ))
}

/// The headers that every answer carries, unless a handler says otherwise.
const ALWAYS: [(HeaderName, &str); 2] = [
    (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

/// Finishes an answer that did not come through the router of [`finish`], in the same way.
pub(crate) fn dress<B>(response: &mut Response<B>) {
    let headers = response.headers_mut();
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Some(id) = new_request_id() {
        headers.insert(REQUEST_ID, id);
    }
}

/// The answer of a handler that panicked.
pub(crate) fn panicked() -> Problem {
    tracing::error!("a request handler panicked; this is a bug, please report the message above");
    Problem::internal()
}

/// The fallback of a process without a web app.
pub async fn unknown_path() -> Problem {
    Problem::not_found()
}

fn always((name, value): (HeaderName, &'static str)) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}

fn forget_foreign_request_id(mut request: Request) -> Request {
    request.headers_mut().remove(REQUEST_ID);
    request
}

#[derive(Clone, Copy)]
struct MakeUuid;

impl MakeRequestId for MakeUuid {
    fn make_request_id<B>(&mut self, _: &axum::http::Request<B>) -> Option<RequestId> {
        new_request_id().map(RequestId::new)
    }
}

/// A UUIDv7. Its random part is the thread's: `Uuid::now_v7` asks the kernel each time, which costs as much as all else
/// that an answer's head needs.
fn new_request_id() -> Option<HeaderValue> {
    let millis = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?.as_millis();
    let id = uuid::Builder::from_unix_timestamp_millis(u64::try_from(millis).ok()?, &rand::random());
    let mut text = uuid::Uuid::encode_buffer();
    HeaderValue::from_str(id.into_uuid().as_hyphenated().encode_lower(&mut text)).ok()
}

/// The request id of an answer, for tests and logs.
#[must_use]
pub fn request_id<B>(response: &Response<B>) -> Option<&str> {
    response.headers().get(REQUEST_ID)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use millrace_core::trace::Cause;
    use tower::ServiceExt;

    fn router() -> Router {
        let routes = Router::new().fallback(unknown_path).route("/good", get(|| async { "good" })).route(
            "/bad",
            get(|| async {
                if true {
                    panic!("on purpose");
                }
            }),
        );
        finish(routes.route("/cause", get(|| async { format!("{:?}", Cause::current()) })), None)
    }

    async fn ask(request: axum::http::request::Builder) -> Response<Body> {
        router().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn unknown_paths_methods_and_panics_are_problem_documents() {
        for (method, path, status) in [("GET", "/nowhere", 404), ("POST", "/good", 405), ("GET", "/bad", 500)]
        {
            let response = ask(Request::builder().method(method).uri(path)).await;
            assert_eq!(response.status(), status, "{method} {path}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        }
    }

    #[tokio::test]
    async fn a_handler_knows_the_id_of_its_request() {
        let response = ask(Request::builder().uri("/cause")).await;
        let id = request_id(&response).unwrap().to_owned();
        let body = axum::body::to_bytes(response.into_body(), 1024).await.unwrap();
        let said = String::from_utf8_lossy(&body);
        assert!(said.contains(&id), "{said}");
    }

    #[tokio::test]
    async fn every_answer_has_our_request_id_and_the_security_headers() {
        let response = ask(Request::builder().uri("/good").header(REQUEST_ID, "forged")).await;
        let id = request_id(&response).unwrap();
        assert!(uuid::Uuid::parse_str(id).is_ok(), "{id}");
        assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(response.headers()[header::REFERRER_POLICY], "strict-origin-when-cross-origin");
    }
}
