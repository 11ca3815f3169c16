//! FLV tags in, CMAF parts and Low-Latency HLS out.
#![warn(missing_docs)]

pub mod model;
pub mod packager;
