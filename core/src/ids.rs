//! Identifiers: channel names, broadcast and connection ids, and the stream key.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Fewest characters of a channel name.
pub const CHANNEL_NAME_MIN: usize = 3;
/// Most characters of a channel name.
pub const CHANNEL_NAME_MAX: usize = 25;

/// Name of a channel, `[a-z0-9_]{3,25}`: in URLs, in events and as the bus key.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ChannelName(Arc<str>);

/// Why a text is no channel name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChannelNameError {
    /// Too short or too long.
    #[error("a channel name has {CHANNEL_NAME_MIN} to {CHANNEL_NAME_MAX} characters, this one has {length}")]
    Length {
        /// Characters found.
        length: usize,
    },
    /// A character that is not allowed.
    #[error("a channel name has only a-z, 0-9 and _, this one has {found:?} at position {at}")]
    Character {
        /// The first such character.
        found: char,
        /// Its index in characters, from 0.
        at: usize,
    },
}

impl ChannelName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ChannelName {
    type Err = ChannelNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some((at, found)) = text
            .chars()
            .take(CHANNEL_NAME_MAX + 1)
            .enumerate()
            .find(|(_, c)| !matches!(c, 'a'..='z' | '0'..='9' | '_'))
        {
            return Err(ChannelNameError::Character { found, at });
        }
        if !(CHANNEL_NAME_MIN..=CHANNEL_NAME_MAX).contains(&text.len()) {
            return Err(ChannelNameError::Length { length: text.chars().count() });
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for ChannelName {
    type Error = ChannelNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ChannelName> for String {
    fn from(name: ChannelName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// One continuous publish, from its first media to its end; survives a reconnect within the window. UUIDv7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BroadcastId(pub uuid::Uuid);

impl fmt::Display for BroadcastId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Declares ids that are UUIDv7: sortable by the time they were made.
macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub uuid::Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

uuid_ids! {
    /// A person's account.
    UserId,
    /// A channel, whatever it is called.
    ChannelId,
    /// One browser that is signed in.
    SessionId,
    /// A stream key's record; not the secret.
    StreamKeyId,
}

/// One TCP peer of this process, numbered from 1 in the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConnectionId(pub u64);

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The secret a publisher sends. Neither `Debug` nor anything else prints it; ask [`StreamKey::expose`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StreamKey(Arc<str>);

impl StreamKey {
    /// Wraps the text a publisher sent.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The secret itself. Never log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channel_names_follow_the_contract() {
        for good in ["abc", "a_1", "0123456789012345678901234"] {
            assert_eq!(good.parse::<ChannelName>().unwrap().as_str(), good);
        }
        for bad in
            ["", "ab", "01234567890123456789012345", "Abc", "a-b", "a/../b", "..", "a b c", "caf\u{e9}"]
        {
            assert!(bad.parse::<ChannelName>().is_err(), "{bad:?} was taken");
        }
        assert_eq!("ab/cd".parse::<ChannelName>(), Err(ChannelNameError::Character { found: '/', at: 2 }));
    }

    #[test]
    fn a_stream_key_is_never_printed() {
        assert_eq!(format!("{:?}", StreamKey::new("secret")), "[redacted]");
    }
}
