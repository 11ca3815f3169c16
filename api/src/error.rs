//! How handlers fail: with a problem for the person, or because the store did not do it.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use millrace_http::problem::Problem;
use millrace_objects::ObjectsError;
use millrace_store::StoreError;

/// Seconds after which a request that met a store that is away may come again.
const STORE_RETRY_AFTER: &str = "5";

/// The same of one that met a place for objects that is away.
const OBJECTS_RETRY_AFTER: &str = "30";

/// Why a request was not done. `?` takes problems and store errors alike.
#[derive(Debug)]
pub struct ApiError(pub Problem);

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self(match &error {
            StoreError::Conflict { .. } => Problem::new(
                StatusCode::CONFLICT,
                "exists-already",
                "Exists already",
                "Somebody was faster: this exists already. Reload the page and look.",
            ),
            StoreError::Stale { .. } => changed_meanwhile(),
            StoreError::Unavailable(_) => {
                tracing::error!(err = %chain(&error), "the store does not answer");
                store_unavailable()
            }
            StoreError::Corrupt { .. } | StoreError::Newer { .. } => {
                tracing::error!(err = %chain(&error), "what is stored cannot be read");
                Problem::internal()
            }
        })
    }
}

impl From<ObjectsError> for ApiError {
    fn from(error: ObjectsError) -> Self {
        if !error.trouble.is_of_the_place() {
            tracing::error!(err = %error, "an object cannot be used");
            return Self(Problem::internal());
        }
        // Who looks after the place says once that it is away.
        tracing::warn!(err = %error, "an object waits");
        Self(objects_unavailable())
    }
}

/// 409: between reading and writing, somebody else wrote.
pub(crate) fn changed_meanwhile() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "changed-meanwhile",
        "Changed meanwhile",
        "Somebody else changed this at the same time. Reload the page and try again.",
    )
}

/// 503: the store is away.
pub(crate) fn store_unavailable() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "store-unavailable",
        "Store unavailable",
        "The server cannot reach its data right now. Try again in a few seconds.",
    )
    .with_header(header::RETRY_AFTER, HeaderValue::from_static(STORE_RETRY_AFTER))
}

/// 503: what keeps pictures is away.
pub(crate) fn objects_unavailable() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "pictures-unavailable",
        "Pictures unavailable",
        "The server cannot reach its pictures right now. Everything else works; try again in half a minute.",
    )
    .with_header(header::RETRY_AFTER, HeaderValue::from_static(OBJECTS_RETRY_AFTER))
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.0.into_response()
    }
}

/// An error with its causes, for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
