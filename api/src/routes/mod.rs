//! One file per resource: request and response types, handlers and their OpenAPI description together.
//!
//! A route is said once, by the attribute of its handler: [`routes!`] takes method and path from there, so that what is
//! served and what is described cannot differ. The attribute names an `operation_id` of its own, a `tag` of
//! [`description`], who may (`security`), and beside the successes the [`problems`] it answers with. Every operation
//! also has its line in the table of who may do what (`matrix_tests.rs`), which fails until it is there.

pub mod account;
pub mod auth;
pub mod beats;
pub mod by_mail;
pub mod channels;
pub mod chat;
pub mod description;
mod examples;
pub mod follows;
pub mod lists;
pub mod notices;
pub mod oauth;
mod outside;
mod params;
mod path;
mod problems;
pub mod profile;
pub mod push;
pub mod raids;
pub mod reports;
pub mod schedule;
pub mod sessions;
pub mod site;
pub mod stream_keys;
pub mod streams;
pub mod users_admin;
pub mod webhooks;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::header;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use crate::ApiState;
use crate::auth::csrf;

/// Every API route.
pub(crate) fn router(state: ApiState) -> Router {
    let guarded = guarded().layer(from_fn_with_state(state.clone(), csrf::protect));
    Router::from(guarded.merge(open())).with_state(state)
}

/// What only pages of this site may ask for with cookies: everything that somebody who is signed in could be made to do.
fn guarded() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .merge(signing_in())
        .merge(own_account())
        .merge(administration())
        .merge(channel_routes())
        .routes(routes!(streams::list))
        .routes(routes!(streams::show))
        .routes(routes!(profile::show))
        .routes(routes!(reports::user))
        .routes(routes!(site::show))
}

/// What every page may ask for: there is nobody to impersonate.
fn open() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        // Whoever watches may say so.
        .routes(routes!(beats::beat))
        .routes(routes!(profile::avatar))
        .routes(routes!(chat::emotes::picture))
        .routes(routes!(oauth::start))
        .routes(routes!(oauth::callback))
        .routes(routes!(jwks))
        .routes(routes!(openapi))
}

fn signing_in() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(auth::setup))
        .routes(routes!(auth::register))
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::reset))
        .routes(routes!(by_mail::options))
        .routes(routes!(by_mail::forgot))
        .routes(routes!(by_mail::verify))
        .routes(routes!(oauth::providers))
        .routes(routes!(oauth::finish_half))
}

/// What takes a picture.
fn picture() -> DefaultBodyLimit {
    DefaultBodyLimit::max(crate::picture::PICTURE_MAX_BYTES)
}

fn own_account() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(account::show, account::edit, account::delete))
        .routes(routes!(account::export))
        .routes(routes!(by_mail::ask_again))
        .routes(routes!(account::password))
        .routes(routes!(account::enrol, account::disable))
        .routes(routes!(account::confirm))
        .routes(routes!(sessions::list, sessions::end_all))
        .routes(routes!(sessions::end))
        .routes(routes!(sessions::tokens, sessions::make_token))
        .routes(routes!(sessions::revoke_token))
        .routes(routes!(oauth::identities))
        // One segment for both: the provider to link, the identity to take away.
        .routes(routes!(oauth::link, oauth::unlink))
        .routes(routes!(oauth::confirm))
        .routes(routes!(profile::put_avatar, profile::delete_avatar).layer(picture()))
        .routes(routes!(channels::mine))
        .routes(routes!(chat::bars::list_mine))
        .routes(routes!(chat::bars::ban_mine, chat::bars::pardon_mine))
        .routes(routes!(follows::mine))
        .routes(routes!(schedule::upcoming))
        .routes(routes!(notices::list))
        .routes(routes!(notices::unread))
        .routes(routes!(notices::read))
        .routes(routes!(notices::settings, notices::turn))
        .routes(routes!(push::show))
        .routes(routes!(push::subscribe))
        .routes(routes!(push::renew))
        .routes(routes!(push::unsubscribe))
}

fn administration() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(users_admin::show, users_admin::edit))
        .routes(routes!(users_admin::reset_link))
        .routes(routes!(users_admin::invite))
        .routes(routes!(users_admin::audit))
        .routes(routes!(site::show_settings, site::edit))
        .routes(routes!(site::history))
        .routes(routes!(site::undo))
        .routes(routes!(chat::emotes::list_site))
        .routes(routes!(chat::emotes::put_site, chat::emotes::delete_site).layer(picture()))
        .routes(routes!(chat::bars::list_site))
        .routes(routes!(chat::bars::ban_site, chat::bars::pardon_site))
        .routes(routes!(reports::list))
        .routes(routes!(reports::resolve))
}

fn channel_routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(channels::search, channels::create))
        .routes(routes!(channels::show, channels::edit, channels::delete))
        .routes(routes!(channels::stream))
        .routes(routes!(channels::stop))
        .routes(routes!(raids::start, raids::show, raids::cancel))
        .routes(routes!(channels::broadcasts))
        .routes(routes!(channels::moderators))
        .routes(routes!(channels::appoint, channels::dismiss))
        .routes(routes!(stream_keys::list, stream_keys::create))
        .routes(routes!(stream_keys::revoke))
        .routes(routes!(stream_keys::rotate))
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::edit, webhooks::delete))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::test))
        .routes(routes!(webhooks::deliveries))
        .routes(routes!(follows::follow, follows::mute, follows::unfollow))
        .routes(routes!(follows::followers))
        .routes(routes!(follows::blocks))
        .routes(routes!(follows::block, follows::unblock))
        .routes(routes!(schedule::list))
        .routes(routes!(reports::channel))
        .routes(routes!(schedule::calendar))
        .routes(routes!(schedule::plans, schedule::add))
        .routes(routes!(schedule::edit, schedule::remove))
        .routes(routes!(schedule::cancel, schedule::restore))
        .routes(routes!(chat::rules::show, chat::rules::edit))
        .routes(routes!(chat::messages::list, chat::messages::clear))
        .routes(routes!(chat::messages::delete))
        .routes(routes!(chat::held::list))
        .routes(routes!(chat::held::review))
        .routes(routes!(chat::polls::show))
        .routes(routes!(chat::polls::open))
        .routes(routes!(chat::polls::vote))
        .routes(routes!(chat::polls::close))
        .routes(routes!(chat::sanctions::list))
        .routes(routes!(chat::sanctions::impose, chat::sanctions::pardon))
        .routes(routes!(chat::pins::pin, chat::pins::unpin))
        .routes(routes!(chat::emotes::list))
        .routes(routes!(chat::emotes::put, chat::emotes::delete).layer(picture()))
        .routes(routes!(chat::vips::honour, chat::vips::dishonour))
        .routes(routes!(chat::subscribers::list))
        .routes(routes!(chat::subscribers::show, chat::subscribers::add, chat::subscribers::remove))
}

/// The public keys of access tokens, for other servers of this site (RFC 7517).
#[utoipa::path(get, path = "/.well-known/jwks.json", operation_id = "listPublicKeys", tag = "Server",
    security(()),
    responses((status = 200, description = "The keys", body = serde_json::Value)))]
async fn jwks(State(state): State<ApiState>) -> Response {
    let cache = [(header::CACHE_CONTROL, "public, max-age=300")];
    (cache, Json(state.keys().jwks())).into_response()
}

/// This description.
#[utoipa::path(get, path = "/api/openapi.json", operation_id = "getDescription", tag = "Server",
    security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value)))]
async fn openapi() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    (headers, description::rendered()).into_response()
}

#[cfg(test)]
mod auth_tests;
#[cfg(test)]
mod by_mail_tests;
#[cfg(test)]
mod chat_tests;
#[cfg(test)]
mod matrix_tests;
#[cfg(test)]
mod people_tests;
#[cfg(test)]
mod testing;
