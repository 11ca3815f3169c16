//! What stands in the path of a request.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use millrace_http::problem::Problem;
use serde::de::DeserializeOwned;

/// Parts of a path. What is not text in it names nothing: 404, as a problem document.
#[derive(Debug)]
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(_) => Err(Problem::not_found()),
        }
    }
}
