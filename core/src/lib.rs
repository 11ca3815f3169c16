//! What two roles of Millrace must agree on: identifiers, time, the FLV tag, the feed between ingest and
//! packager, the events that cross the bus, and the bus itself.
//!
//! | Specification | Where |
//! |---|---|
//! | Adobe Video File Format Specification 10.1, annex E (FLV) | [`flv`] |
//! | Enhanced RTMP v2 (2026-01-31-r2), packet headers | [`flv`] |
//! | RFC 9562 (UUIDv7) | [`ids`] |
//! | CloudEvents 1.0 | [`event`] |
//! | W3C Trace Context, `traceparent` | [`trace`] |
//! | RFC 5892 appendix A (joiners in context) | [`text`] |
//! | RFC 7519 (JWT), RFC 7518 §3.2 (HS256) | [`playback`] |
#![warn(missing_docs)]

pub mod bus;
pub mod chat;
pub mod config;
pub mod event;
pub mod feed;
pub mod flv;
pub mod ids;
pub mod ladder;
pub mod nodes;
pub mod places;
pub mod playback;
pub mod text;
pub mod time;
pub mod trace;
pub mod transcode;
pub mod viewers;
