//! One file per resource: request and response types, handlers and their OpenAPI description together.

pub mod beats;
pub mod streams;

use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Json, Router};
use utoipa::OpenApi;

use crate::ApiState;
use crate::auth::csrf;

/// The OpenAPI description.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Millrace",
        description = "Self-hosted live streaming. Errors are RFC 9457 problem documents; lists are paged by cursor; \
                       times are RFC 3339 in UTC.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    paths(streams::list, streams::show, beats::beat),
    components(schemas(streams::ProblemDocument))
)]
pub struct Description;

/// Every API route.
pub(crate) fn router(state: ApiState) -> Router {
    Router::new()
        .route("/api/v1/streams", get(streams::list))
        .route("/api/v1/streams/{channel}", get(streams::show))
        .route("/api/openapi.json", get(|| async { Json(Description::openapi()) }))
        .layer(from_fn_with_state(state.clone(), csrf::protect))
        // Whoever watches may say so; there is nobody to impersonate.
        .route("/api/v1/streams/{channel}/beats", post(beats::beat))
        .with_state(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The web client's types are generated from this file; set `UPDATE_OPENAPI=1` to write it anew.
    #[test]
    fn the_description_in_the_tree_is_the_one_we_serve() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        let now = Description::openapi().to_pretty_json().unwrap() + "\n";
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        assert!(
            std::fs::read_to_string(path).unwrap_or_default() == now,
            "api/openapi.json is out of date; run `make generate`"
        );
    }
}
