//! Channels, their stream keys, their broadcasts, and who follows them.

use millrace_core::ids::{BroadcastId, ChannelId, ChannelName, StreamKeyId, UserId};
use millrace_core::ladder::ChannelLadder;
use millrace_core::playback::Access;
use millrace_store::{Collection, Document, Index};
use serde::{Deserialize, Serialize};

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channel {
    /// Its id.
    pub id: ChannelId,
    /// Its name in addresses, unique.
    pub name: ChannelName,
    /// Whose it is.
    pub owner: UserId,
    /// Of the next or running broadcast.
    #[serde(default)]
    pub title: String,
    /// One of the site's categories; empty if none.
    #[serde(default)]
    pub category: String,
    /// In lower case.
    #[serde(default)]
    pub tags: Vec<String>,
    /// BCP 47, `en` or `pt-BR`; empty if not said.
    #[serde(default)]
    pub language: String,
    /// What the channel is about.
    #[serde(default)]
    pub description: String,
    /// Who may watch.
    #[serde(default)]
    pub playback: Playback,
    /// Its rungs, where they are not as the site says.
    #[serde(default, skip_serializing_if = "ChannelLadder::is_default")]
    pub ladder: ChannelLadder,
    /// How many follow it; grows and shrinks with [`Follow`] in the same commit.
    #[serde(default)]
    pub followers: i64,
    /// How many broadcasts it plans; those that are over may still be counted.
    #[serde(default)]
    pub planned: i64,
    /// Who moderates it beside its owner.
    #[serde(default)]
    pub moderators: Vec<UserId>,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

/// Who may watch a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Playback {
    /// Everybody; it is listed.
    #[default]
    Public,
    /// Everybody who has the address; it is not listed.
    Unlisted,
    /// Who follows it.
    Followers,
    /// Its owner and its moderators.
    Private,
}

impl Playback {
    /// Whether its media needs a playback token.
    #[must_use]
    pub fn access(self) -> Access {
        match self {
            Self::Public | Self::Unlisted => Access::Open,
            Self::Followers | Self::Private => Access::Token,
        }
    }
}

/// A stream key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamKeyRecord {
    /// Its id.
    pub id: StreamKeyId,
    /// What it publishes to.
    pub channel: ChannelId,
    /// What its owner calls it.
    pub name: String,
    /// SHA-256 of the secret in lower-case hexadecimal.
    pub hash: String,
    /// The last characters of the secret, to tell keys apart.
    pub hint: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970; absent if never used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<i64>,
    /// Since when it publishes no more: milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<i64>,
}

/// One continuous publish of a channel, as history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Broadcast {
    /// Its id.
    pub id: BroadcastId,
    /// Its channel.
    pub channel: ChannelId,
    /// The title when it began.
    pub title: String,
    /// The category when it began.
    pub category: String,
    /// Milliseconds since 1970.
    pub started_at: i64,
    /// Milliseconds since 1970; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<i64>,
    /// Most viewers at once.
    #[serde(default)]
    pub peak_viewers: i64,
    /// Whether it runs; absent when it does not, so that the index holds only those that do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub running: bool,
    /// When it was last known to run: milliseconds since 1970.
    #[serde(default)]
    pub seen_at: i64,
}

/// A person follows a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follow {
    /// The channel.
    pub channel: ChannelId,
    /// The person.
    pub user: UserId,
    /// Milliseconds since 1970.
    pub followed_at: i64,
    /// Whether the person wants no notices of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub muted: bool,
    /// When notices were wanted again: milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unmuted_at: Option<i64>,
}

/// A person may not follow a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The channel.
    pub channel: ChannelId,
    /// The person.
    pub user: UserId,
    /// Milliseconds since 1970.
    pub blocked_at: i64,
}

pub(super) static CHANNELS: Collection = Collection {
    name: "channels",
    indexes: &[
        Index { name: "name", fields: &["name"], unique: true },
        Index { name: "owner", fields: &["owner"], unique: false },
        // The order of a search.
        Index { name: "popular", fields: &["playback", "followers"], unique: false },
    ],
    words: &["name", "title", "category", "tags"],
    migrations: &[],
};

pub(super) static STREAM_KEYS: Collection = Collection {
    name: "stream_keys",
    indexes: &[
        Index { name: "hash", fields: &["hash"], unique: true },
        Index { name: "channel", fields: &["channel", "created_at"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

pub(super) static BROADCASTS: Collection = Collection {
    name: "broadcasts",
    indexes: &[
        Index { name: "channel", fields: &["channel", "started_at"], unique: false },
        Index { name: "running", fields: &["running"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

pub(super) static FOLLOWS: Collection = Collection {
    name: "follows",
    indexes: &[
        Index { name: "user", fields: &["user", "followed_at"], unique: false },
        Index { name: "channel", fields: &["channel", "followed_at"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

pub(super) static BLOCKS: Collection = Collection {
    name: "channel_blocks",
    indexes: &[
        Index { name: "user", fields: &["user", "blocked_at"], unique: false },
        Index { name: "channel", fields: &["channel", "blocked_at"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

impl Document for Channel {
    const COLLECTION: &'static Collection = &CHANNELS;

    fn id(&self) -> String {
        self.id.to_string()
    }
}

impl Document for StreamKeyRecord {
    const COLLECTION: &'static Collection = &STREAM_KEYS;

    fn id(&self) -> String {
        self.id.to_string()
    }
}

impl Document for Broadcast {
    const COLLECTION: &'static Collection = &BROADCASTS;

    fn id(&self) -> String {
        self.id.to_string()
    }
}

impl Follow {
    /// The id of the follow of this person and channel: nobody follows twice.
    #[must_use]
    pub fn id_of(user: UserId, channel: ChannelId) -> String {
        format!("{user}:{channel}")
    }

    /// From when on the person hears of the channel, unless it is muted: milliseconds since 1970.
    #[must_use]
    pub fn heard_since(&self) -> i64 {
        self.followed_at.max(self.unmuted_at.unwrap_or(self.followed_at))
    }
}

impl Document for Follow {
    const COLLECTION: &'static Collection = &FOLLOWS;

    fn id(&self) -> String {
        Self::id_of(self.user, self.channel)
    }
}

impl Block {
    /// The id of the block of this person on this channel.
    #[must_use]
    pub fn id_of(user: UserId, channel: ChannelId) -> String {
        format!("{user}:{channel}")
    }
}

impl Document for Block {
    const COLLECTION: &'static Collection = &BLOCKS;

    fn id(&self) -> String {
        Self::id_of(self.user, self.channel)
    }
}
