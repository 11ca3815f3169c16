//! Requests that change something must come from a page of ours.
//!
//! A double-submit token: our page reads it from a cookie and sends it in `X-CSRF-Token`, which no page of another
//! origin can, needed by who is signed in; and the `Origin` (or else `Referer`) that the browser adds must name this host. Requests with
//! `Authorization: Bearer` need neither, because no browser adds that by itself; cookies do not count in them.

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use millrace_http::layers::JSON_BODY_MAX_BYTES;
use millrace_http::problem::Problem;

use super::cookie::Cookie;
use super::input::{is_form, too_large};
use super::secret::same;
use crate::state::ApiState;

/// The header with the token.
pub const CSRF_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");
/// The form field with the token, for pages without scripts.
pub const CSRF_FIELD: &str = "csrf_token";
/// How long the cookie lives.
pub const CSRF_LIFETIME_S: i64 = 400 * 24 * 3600;

/// Refuses unsafe requests that do not come from a page of ours.
pub(crate) async fn protect(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
        || request.headers().contains_key(header::AUTHORIZATION)
    {
        return next.run(request).await;
    }
    if !is_from_here(&state, request.headers()) {
        return foreign_origin().into_response();
    }
    let secure = state.secure();
    let signed_in = |headers: &HeaderMap, cookie: Cookie| cookie.read(headers, secure).is_some();
    if !signed_in(request.headers(), Cookie::Access) && !signed_in(request.headers(), Cookie::Refresh) {
        // Nobody's rights are borrowed here, and a page elsewhere cannot sign anybody in: its origin told.
        return next.run(request).await;
    }
    let Some(cookie) = Cookie::Csrf.read(request.headers(), state.secure()).map(str::to_owned) else {
        return no_token().into_response();
    };
    if let Some(sent) = request.headers().get(&CSRF_HEADER) {
        return if matches(&cookie, sent.as_bytes()) {
            next.run(request).await
        } else {
            no_token().into_response()
        };
    }
    if !is_form(request.headers()) {
        return no_token().into_response();
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, JSON_BODY_MAX_BYTES).await else {
        return too_large().into_response();
    };
    if !form_token(&body).is_some_and(|sent| matches(&cookie, sent.as_bytes())) {
        return no_token().into_response();
    }
    next.run(Request::from_parts(parts, Body::from(body))).await
}

fn form_token(body: &Bytes) -> Option<String> {
    let fields: Vec<(String, String)> = serde_urlencoded::from_bytes(body).ok()?;
    fields.into_iter().find(|(name, _)| name == CSRF_FIELD).map(|(_, value)| value)
}

fn matches(cookie: &str, sent: &[u8]) -> bool {
    cookie.len() >= 43 && same(cookie.as_bytes(), sent)
}

pub(crate) fn foreign_origin() -> Problem {
    let detail = "This request does not come from a page of this site. Open the site itself and try there.";
    Problem::new(StatusCode::FORBIDDEN, "foreign-origin", "Foreign origin", detail)
}

pub(crate) fn no_token() -> Problem {
    let detail =
        "The request lacks this page's CSRF token. Reload the page and try again; programs use an API token.";
    Problem::new(StatusCode::FORBIDDEN, "csrf", "CSRF token", detail)
}

/// Whether a page of this site sent these headers.
pub(crate) fn is_from_here(state: &ApiState, headers: &HeaderMap) -> bool {
    comes_from_here(headers, state.public_url().and_then(host_of))
}

/// Whether `Origin`, or else `Referer`, names the host that was asked, or the public one.
fn comes_from_here(headers: &HeaderMap, public_host: Option<&str>) -> bool {
    let source = headers.get(header::ORIGIN).or_else(|| headers.get(header::REFERER));
    let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
    let Some(source) = source.and_then(text) else { return false };
    let Some(from) = host_of(&source) else { return false };
    let asked = headers.get(header::HOST).and_then(text);
    asked.is_some_and(|host| host.eq_ignore_ascii_case(from))
        || public_host.is_some_and(|host| host.eq_ignore_ascii_case(from))
}

/// Host and port of an http(s) URL.
pub(crate) fn host_of(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let host = rest.split(['/', '?', '#']).next()?;
    (!host.is_empty() && !host.contains('@')).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_host_is_here() {
        let table = [
            (Some("http://live.example.org"), None, true),
            (Some("https://LIVE.example.org"), None, true),
            (None, Some("http://live.example.org/@studio?x"), true),
            (Some("http://evil.example.org"), Some("http://live.example.org/"), false),
            (Some("http://live.example.org:81"), None, false),
            (Some("http://live.example.org.evil.org"), None, false),
            (Some("http://live.example.org@evil.org"), None, false),
            (Some("null"), None, false),
            (None, None, false),
        ];
        for (origin, referer, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("live.example.org"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            if let Some(referer) = referer {
                headers.insert(header::REFERER, HeaderValue::from_static(referer));
            }
            assert_eq!(comes_from_here(&headers, None), expected, "{origin:?} {referer:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("10.0.0.7:8080"));
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://live.example.org"));
        assert!(comes_from_here(&headers, Some("live.example.org")), "behind a proxy the public host counts");
    }
}
