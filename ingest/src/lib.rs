//! RTMP in: a publish server that is safe on a public port.
#![warn(missing_docs)]

pub mod rtmp;
