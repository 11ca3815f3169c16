//! Identifiers: channel and node names, broadcast and connection ids, and the stream key.

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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("pattern" = "^[a-z0-9_]{3,25}$")))]
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

/// Most characters of a node name.
pub const NODE_NAME_MAX: usize = 100;

/// Name of a process among those that a bus connects: letters, digits and `.:_-[]`, as in `media-1:8080`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(Arc<str>);

/// Why a text is no node name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a node name has 1 to {NODE_NAME_MAX} letters, digits, dots, colons, brackets, dashes and underscores"
)]
pub struct NodeNameError;

impl NodeName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How the node signs its events: `/nodes/{name}` (CloudEvents 1.0, `source`).
    #[must_use]
    pub fn source(&self) -> String {
        format!("/nodes/{self}")
    }
}

impl FromStr for NodeName {
    type Err = NodeNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:_-[]".contains(&byte);
        let good = (1..=NODE_NAME_MAX).contains(&text.len()) && text.bytes().all(plain);
        if good { Ok(Self(text.into())) } else { Err(NodeNameError) }
    }
}

impl TryFrom<String> for NodeName {
    type Error = NodeNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// One continuous publish, from its first media to its end; survives a reconnect within the window. UUIDv7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BroadcastId(pub uuid::Uuid);

impl BroadcastId {
    /// This id, or one that is greater than `other`: the newer broadcast of a channel has the greater id also when the
    /// clock of the node that makes it is behind (RFC 9562 §6.2: the timestamp may run ahead of the clock).
    #[must_use]
    pub fn after(self, other: Self) -> Self {
        if self > other {
            return self;
        }
        /// Below the 48 bits of milliseconds.
        const MILLISECOND: u128 = 1 << 80;
        let time = (other.0.as_u128() / MILLISECOND).saturating_add(1);
        Self(uuid::Uuid::from_u128(time * MILLISECOND + self.0.as_u128() % MILLISECOND))
    }
}

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
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// Something that was said in a chat room.
    MessageId,
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
    fn a_node_is_named_by_host_and_port() {
        for good in ["media-1:8080", "[::1]:80", "a", &"x".repeat(NODE_NAME_MAX)] {
            assert_eq!(good.parse::<NodeName>().unwrap().as_str(), good);
        }
        for bad in ["", "a/b", "a b", "caf\u{e9}", &"x".repeat(NODE_NAME_MAX + 1)] {
            assert_eq!(bad.parse::<NodeName>(), Err(NodeNameError), "{bad:?}");
        }
    }

    #[test]
    fn the_newer_broadcast_has_the_greater_id_on_every_clock() {
        let [early, late] = ["0193a000-0000-7abc-8def-000000000001", "0193b000-0000-7fff-8fff-ffffffffffff"]
            .map(|id| BroadcastId(id.parse().unwrap()));
        assert_eq!(late.after(early), late);
        let after = early.after(late);
        assert!(after > late, "{after}");
        assert_eq!(after.0.get_version_num(), 7);
        assert_eq!(after.after(after).0.get_version_num(), 7);
        assert!(after.after(after) > after);
    }

    #[test]
    fn a_stream_key_is_never_printed() {
        assert_eq!(format!("{:?}", StreamKey::new("secret")), "[redacted]");
    }
}
