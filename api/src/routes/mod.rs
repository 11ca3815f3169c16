//! One file per resource: request and response types, handlers and their OpenAPI description together.

pub mod account;
pub mod auth;
pub mod beats;
pub mod by_mail;
pub mod channels;
pub mod follows;
pub mod lists;
pub mod oauth;
pub mod profile;
pub mod sessions;
pub mod stream_keys;
pub mod streams;
pub mod users_admin;

use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post, put};
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
    paths(
        auth::setup,
        auth::register,
        auth::login,
        auth::refresh,
        auth::logout,
        auth::reset,
        by_mail::options,
        by_mail::forgot,
        by_mail::verify,
        by_mail::ask_again,
        account::show,
        account::edit,
        account::delete,
        account::export,
        account::password,
        account::enrol,
        account::confirm,
        account::disable,
        sessions::list,
        sessions::end,
        sessions::end_all,
        sessions::tokens,
        sessions::make_token,
        sessions::revoke_token,
        users_admin::show,
        users_admin::edit,
        users_admin::reset_link,
        users_admin::invite,
        users_admin::audit,
        oauth::providers,
        oauth::identities,
        oauth::link,
        oauth::unlink,
        oauth::confirm,
        oauth::finish_half,
        streams::list,
        streams::show,
        beats::beat,
        channels::create,
        channels::search,
        channels::show,
        channels::edit,
        channels::delete,
        channels::mine,
        channels::stream,
        channels::stop,
        channels::broadcasts,
        channels::moderators,
        channels::appoint,
        channels::dismiss,
        stream_keys::list,
        stream_keys::create,
        stream_keys::revoke,
        stream_keys::rotate,
        follows::follow,
        follows::unfollow,
        follows::mine,
        follows::followers,
        follows::blocks,
        follows::block,
        follows::unblock,
        profile::show,
        profile::put_avatar,
        profile::delete_avatar,
    ),
    components(schemas(streams::ProblemDocument))
)]
pub struct Description;

/// Every API route.
pub(crate) fn router(state: ApiState) -> Router {
    Router::new()
        .route("/api/v1/streams", get(streams::list))
        .route("/api/v1/streams/{channel}", get(streams::show))
        .merge(account_routes())
        .route("/api/v1/oauth/providers", get(oauth::providers))
        .route("/api/v1/me/identities", get(oauth::identities))
        // One segment for both: the provider to link, the identity to take away.
        .route("/api/v1/me/identities/{which}", post(oauth::link).delete(oauth::unlink))
        .route("/api/v1/me/identities/{which}/confirm", post(oauth::confirm))
        .route("/api/v1/auth/second-factor", post(oauth::finish_half))
        .merge(channel_routes())
        .route("/api/openapi.json", get(|| async { Json(Description::openapi()) }))
        .layer(from_fn_with_state(state.clone(), csrf::protect))
        // Whoever watches may say so; there is nobody to impersonate.
        .route("/api/v1/streams/{channel}/beats", post(beats::beat))
        .route("/avatars/{id}", get(profile::avatar))
        .route("/oauth/{provider}", get(oauth::start))
        .route("/oauth/{provider}/callback", get(oauth::callback))
        .with_state(state)
}

fn account_routes() -> Router<ApiState> {
    Router::new()
        .route("/api/v1/setup", post(auth::setup))
        .route("/api/v1/auth/register", post(auth::register))
        .route("/api/v1/auth/login", post(auth::login))
        .route("/api/v1/auth/refresh", post(auth::refresh))
        .route("/api/v1/auth/logout", post(auth::logout))
        .route("/api/v1/auth/password/reset", post(auth::reset))
        .route("/api/v1/auth/password/forgot", post(by_mail::forgot))
        .route("/api/v1/auth/email/verify", post(by_mail::verify))
        .route("/api/v1/auth/options", get(by_mail::options))
        .route("/api/v1/me/email/verification", post(by_mail::ask_again))
        .route("/api/v1/me", get(account::show).patch(account::edit).delete(account::delete))
        .route("/api/v1/me/export", get(account::export))
        .route("/api/v1/me/password", post(account::password))
        .route("/api/v1/me/totp", post(account::enrol).delete(account::disable))
        .route("/api/v1/me/totp/confirm", post(account::confirm))
        .route("/api/v1/me/sessions", get(sessions::list).delete(sessions::end_all))
        .route("/api/v1/me/sessions/{id}", delete(sessions::end))
        .route("/api/v1/me/tokens", get(sessions::tokens).post(sessions::make_token))
        .route("/api/v1/me/tokens/{id}", delete(sessions::revoke_token))
        .route("/api/v1/admin/users/{name}", get(users_admin::show).patch(users_admin::edit))
        .route("/api/v1/admin/users/{name}/reset-link", post(users_admin::reset_link))
        .route("/api/v1/admin/invitations", post(users_admin::invite))
        .route("/api/v1/admin/audit", get(users_admin::audit))
        .route("/.well-known/jwks.json", get(jwks))
}

/// The public keys of access tokens, for other servers of this site.
async fn jwks(axum::extract::State(state): axum::extract::State<ApiState>) -> axum::response::Response {
    let cache = [(axum::http::header::CACHE_CONTROL, "public, max-age=300")];
    axum::response::IntoResponse::into_response((cache, Json(state.keys().jwks())))
}

fn channel_routes() -> Router<ApiState> {
    let at = |rest: &str| format!("/api/v1/channels/{{name}}{rest}");
    let picture = axum::extract::DefaultBodyLimit::max(crate::picture::PICTURE_MAX_BYTES);
    Router::new()
        .route("/api/v1/channels", get(channels::search).post(channels::create))
        .route(&at(""), get(channels::show).patch(channels::edit).delete(channels::delete))
        .route(&at("/stream"), get(channels::stream))
        .route(&at("/stream/stop"), post(channels::stop))
        .route(&at("/broadcasts"), get(channels::broadcasts))
        .route(&at("/moderators"), get(channels::moderators))
        .route(&at("/moderators/{person}"), put(channels::appoint).delete(channels::dismiss))
        .route(&at("/keys"), get(stream_keys::list).post(stream_keys::create))
        .route(&at("/keys/{id}"), delete(stream_keys::revoke))
        .route(&at("/keys/{id}/rotate"), post(stream_keys::rotate))
        .route(&at("/follow"), put(follows::follow).delete(follows::unfollow))
        .route(&at("/followers"), get(follows::followers))
        .route(&at("/blocks"), get(follows::blocks))
        .route(&at("/blocks/{person}"), put(follows::block).delete(follows::unblock))
        .route("/api/v1/me/channels", get(channels::mine))
        .route("/api/v1/me/follows", get(follows::mine))
        .route("/api/v1/users/{name}", get(profile::show))
        .route("/api/v1/me/avatar", put(profile::put_avatar).delete(profile::delete_avatar).layer(picture))
}

#[cfg(test)]
mod auth_tests;
#[cfg(test)]
mod by_mail_tests;
#[cfg(test)]
mod people_tests;

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
