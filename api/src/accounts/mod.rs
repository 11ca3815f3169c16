//! What is kept about people and their channels.

#[cfg(test)]
mod backup_tests;
mod channel;
mod collections;
mod identity;
mod user;

pub use channel::{Block, Broadcast, Channel, Follow, Playback, StreamKeyRecord};
pub use collections::COLLECTIONS;
pub use identity::Identity;
pub use user::{Email, EmailError, Role, User};
