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

pub mod cookie;
pub mod csrf;
pub mod input;
pub mod keys;
pub mod person;
pub mod revoked;
pub mod secret;
pub mod tokens;

pub use input::Input;
pub use person::{Person, forbidden, not_signed_in};
pub use secret::Secret;
pub use tokens::{Scope, Scopes};
