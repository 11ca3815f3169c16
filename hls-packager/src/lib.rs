//! FLV tags in, CMAF parts and Low-Latency HLS out.
#![warn(missing_docs)]

pub mod cmaf;
pub mod config;
pub mod demux;
mod health;
pub mod ladder;
pub mod model;
pub mod origin;
pub mod packager;
pub mod playlist;
mod remember;
pub mod run;
mod segmenter;
#[cfg(any(test, feature = "suite"))]
pub mod suite;
pub mod timeline;
pub mod transcode;
pub mod window;

pub use config::{Config, Latency};
pub use origin::{Origin, OriginConfig, SeenElsewhere};
pub use run::PackagerService;
pub use transcode::config::TranscodeConfig;
