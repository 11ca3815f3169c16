//! What every HTTP role of Millrace shares: problem details, the listener with its time limits, TLS, and the
//! headers every answer carries.
//!
//! | Specification | Where |
//! |---|---|
//! | RFC 9457 (problem details) | [`problem`] |
//! | RFC 9110, 9112, 9113 (HTTP, by hyper) | [`server`] |
//! | RFC 9112 (plain requests, before hyper) | `quick` |
//! | RFC 8446 and 7301 (TLS 1.3, ALPN, by rustls) | [`tls`] |
//! | W3C Trace Context (requests) | `traced` |
//! | RFC 8555 and 8737 (ACME, TLS-ALPN-01, by instant-acme) | [`acme`] |
#![warn(missing_docs)]

pub mod acme;
pub mod front;
pub mod guard;
pub mod layers;
pub mod problem;
mod quick;
pub mod redirect;
pub mod server;
pub mod tls;
mod traced;
