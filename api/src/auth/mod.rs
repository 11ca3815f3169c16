//! Who somebody is, and what they may do.
//!
//! A handler takes [`Person`] (signed in, or 401) or `Option<Person>`. A browser carries a short-lived access token
//! ([`keys`]) and a refresh token in cookies; a script carries an API token ([`tokens`]). Requests that change something
//! must come from a page of ours ([`csrf`]).
//!
//! | Specification | Where |
//! |---|---|
//! | RFC 7519, 7517, 8037 (JWT, JWK, Ed25519) | [`keys`] |
//! | RFC 6265bis (cookies) | [`cookie`] |
//! | RFC 9106 (argon2id) | [`password`] |
//! | RFC 6238, 4226 (one-time passwords) | [`totp`] |

pub mod audit;
pub mod by_hand;
pub mod by_mail;
pub mod cookie;
pub mod csrf;
pub mod input;
pub mod keys;
pub mod limiter;
pub mod limits;
pub mod limits_config;
pub mod links;
pub mod password;
pub mod people;
pub mod person;
pub mod revoked;
pub mod secret;
pub mod sessions;
pub(crate) mod site_secret;
pub mod tokens;
pub mod totp;
pub mod turns;

pub use input::Input;
pub use person::{Person, forbidden, not_signed_in};
pub use secret::Secret;
pub use tokens::{Scope, Scopes};

use axum::http::StatusCode;
use millrace_http::problem::Problem;

/// 422 for one field: its JSON pointer, and what to write there.
#[must_use]
pub fn invalid(pointer: &str, detail: impl Into<String>) -> Problem {
    let detail = detail.into();
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Invalid request", detail.clone())
        .with_error(pointer, detail)
}
