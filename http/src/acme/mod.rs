//! Certificates that come and renew by themselves, by ACME (RFC 8555) with the challenges HTTP-01 (§8.3) and
//! TLS-ALPN-01 (RFC 8737).
//!
//! `instant-acme` speaks the protocol; here is when to order ([`schedule`]), what is kept ([`kept`]), where the answers
//! to challenges are shown ([`answers`]) and how one order goes ([`order`]).

mod answers;
mod config;
mod kept;
mod order;
mod run;
mod schedule;

pub use answers::{Answers, WELL_KNOWN, router};
pub use config::{AcmeConfig, ChallengeKind, Domains};
pub use run::{Acme, Places};
