//! Fuzz targets as plain functions: libfuzzer/ wraps them, `cargo test` replays the corpora.

pub use millrace_chat::suite as chat;

pub mod hls;
pub mod media;
pub mod rtmp;
pub mod transcode;
