//! Signing in with Google, VK or any OpenID Connect provider.
//!
//! The browser goes to the provider with a state, a nonce and a PKCE challenge ([`flow`]), which it keeps meanwhile in
//! one signed cookie, so that any node can take it back. What comes back is exchanged for who the person is
//! ([`provider`]); [`decide`] says what that means here.
//!
//! | Specification | Where |
//! |---|---|
//! | RFC 6749, 7636, 9700 (OAuth 2.0, PKCE, best current practice) | [`provider`], [`flow`] |
//! | OpenID Connect Core 1.0, Discovery 1.0 | [`provider`] |
//! | VK ID (OAuth 2.1 with `device_id`) | [`provider`] |

pub mod config;
pub mod decide;
pub mod flow;
pub mod provider;

pub use config::{Kind, OauthConfig, ProviderConfig};
pub use provider::{ProviderError, Providers};
