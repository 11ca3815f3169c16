//! Request bodies: JSON, or the form post of a page without scripts.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use millrace_http::problem::Problem;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::csrf::CSRF_FIELD;
use crate::error::ApiError;

/// Media type of what scripts send.
pub(crate) const JSON: &str = "application/json";
/// Media type of what browsers post without scripts.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";
/// Longest explanation of what is wrong with a body; it may quote the body.
const DETAIL_MAX_CHARS: usize = 300;

/// A body.
#[derive(Debug)]
pub struct Input<T> {
    /// What was sent.
    pub value: T,
    /// Whether a browser posted a form: it wants to be sent to a page, with 303.
    pub form: bool,
}

impl<T> Input<T> {
    /// The answer to what succeeded: `answer`, or 303 to `page` where a browser posted a form.
    pub fn answer(form: bool, page: &'static str, answer: impl IntoResponse) -> Response {
        let mut response = answer.into_response();
        if form {
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(page));
        }
        response
    }
}

/// Whether the body is a form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|kind| kind.eq_ignore_ascii_case(FORM))
}

fn media_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok()?.split(';').next().map(str::trim)
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Input<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let form = is_form(request.headers());
        let json = media_type(request.headers()).is_some_and(|kind| kind.eq_ignore_ascii_case(JSON));
        if !form && !json {
            return Err(wrong_media_type().into());
        }
        let body =
            Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => too_large(),
                _ => bad_body("it ended early"),
            })?;
        let value = if form { parse_form(&body) } else { parse_json(&body) };
        Ok(Self { value: value.map_err(|reason| bad_body(&reason))?, form })
    }
}

/// An object. Serde would take an array of its fields in their order as well, which nobody is told of.
fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    match body.trim_ascii_start().first() {
        Some(b'{') | None => serde_json::from_slice(body).map_err(|error| error.to_string()),
        Some(_) => Err("it is no JSON object".to_owned()),
    }
}

fn parse_form<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    let fields: Vec<(String, String)> =
        serde_urlencoded::from_bytes(body).map_err(|error| error.to_string())?;
    let fields: Map<_, _> = fields
        .into_iter()
        .filter(|(name, value)| name != CSRF_FIELD && !value.is_empty())
        .map(|(name, value)| (name, Value::String(value)))
        .collect();
    serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string())
}

pub(crate) fn wrong_media_type() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "media-type",
        "Unsupported media type",
        "Send JSON, with Content-Type: application/json.",
    )
}

pub(crate) fn too_large() -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too-large",
        "Too large",
        "The request is larger than 64 KiB. Send less.",
    )
}

pub(crate) fn bad_body(reason: &str) -> Problem {
    let reason: String = reason.chars().take(DETAIL_MAX_CHARS).collect();
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "bad-body",
        "Bad request body",
        format!("The request body cannot be read: {reason}."),
    )
}
