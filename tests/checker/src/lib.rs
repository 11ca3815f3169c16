//! A strict checker of Low-Latency HLS, for tests.
//!
//! It follows a live broadcast over real HTTP as a low-latency player does, and says which rule is violated where,
//! with the numbers. It was written from the text of the specifications and shares no code with the packager.
//!
//! | part | what it knows | clock, sockets |
//! |---|---|---|
//! | [`rule`] | every rule with its clause | no |
//! | [`playlist`], [`multivariant`] | the strict parsers | no |
//! | [`snapshot`] | the rules of one playlist | no |
//! | [`history`] | the rules from one playlist to the next | no |
//! | [`delta`] | delta updates | no |
//! | [`media`] | init segments and parts (`mp4-atom`) | no |
//! | [`exchange`] | the rules of HTTP headers | no |
//! | [`across`] | the rules that bind renditions | no |
//! | `run`, `follow`, `probe`, `fetch` | shells | yes |
//!
//! Specifications: RFC 8216bis (draft -22), Apple's HLS authoring specification, ISO/IEC 14496-12, CMAF
//! (ISO/IEC 23000-19), RFC 9110, RFC 9111, RFC 9457.

pub mod across;
mod attributes;
pub mod delta;
pub mod exchange;
mod fetch;
mod follow;
pub mod history;
pub mod media;
pub mod multivariant;
pub mod playlist;
mod probe;
mod report;
pub mod rule;
mod run;
pub mod snapshot;

pub use fetch::{Fetcher, Protocol};
pub use history::Bounds;
pub use report::{RenditionReport, Report};
pub use rule::{Finding, Rule};
pub use run::{Options, run};
