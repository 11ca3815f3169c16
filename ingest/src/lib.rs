//! RTMP in: a publish server that is safe on a public port.
//!
//! [`run`] is the server. It asks a [`PublishAuthority`] who may publish, hands media to a
//! [`BroadcastSink`](millrace_core::feed::BroadcastSink) over one bounded feed per broadcast, and tells the bus about
//! broadcasts. Inside, [`rtmp`], [`publish`], [`hold`] and [`pace`] decide and know no sockets; the rest carries out.
#![warn(missing_docs)]

pub mod authority;
mod broadcasts;
pub mod config;
mod connection;
pub mod hold;
pub mod media_threads;
pub mod pace;
pub mod publish;
pub mod rtmp;
pub mod server;
mod telemetry;

pub use authority::{
    Authorising, OpenAuthority, PublishAttempt, PublishAuthority, PublishGrant, PublishRefusal,
};
pub use broadcasts::{LiveBroadcast, Neighbours};
pub use config::Config;
pub use media_threads::MediaThreads;
pub use server::{Deps, Listener, run};
