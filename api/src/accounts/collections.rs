//! Everything that is kept, so that it is prepared at start and exported whole.

use millrace_store::Collection;

use super::{channel, user};

/// The collections of this crate.
pub static COLLECTIONS: &[&Collection] =
    &[&user::USERS, &channel::CHANNELS, &channel::STREAM_KEYS, &channel::BROADCASTS, &channel::FOLLOWS];
