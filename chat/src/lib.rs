//! Chat rooms: one for each channel.
//!
//! A message is checked by the node that its author is connected to, committed to the bus, and only then acknowledged; every
//! node hears it from the bus and hands it to those who read there. So the order of a room is that of its key on the bus, the
//! same everywhere, and a node that dies takes nothing with it. Who keeps the history, and what is known of people and
//! channels, is on the other side of [`Records`].
//!
//! | Specification | Where |
//! |---|---|
//! | RFC 6455 (WebSocket) | [`socket`], by axum and tokio-tungstenite |
//! | `millrace.chat.v1` (docs/chat.md) | [`protocol`] |
//! | Unicode UAX #15 (NFKD), for what is compared | [`text`] |
//! | Unicode UTS #51, for what is a picture | [`emotes`] |
#![warn(missing_docs)]

pub mod config;
mod emotes;
pub mod irc;
mod node;
mod post;
mod presence;
pub mod protocol;
mod rate;
mod records;
mod room;
#[cfg(test)]
mod schema_tests;
mod socket;
#[cfg(feature = "suite")]
pub mod suite;
pub mod telemetry;
mod text;

pub use config::ChatConfig;
pub use node::Node;
pub use records::{
    Away, Chatter, Holding, Record, Records, RecordsFuture, RoomRecord, Sanction, Standing, Subscription,
    Visit,
};
pub use socket::router;
