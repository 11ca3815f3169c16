//! Documents of chat.

use millrace_core::chat::{ChatMessage, RoomSettings, RoomUpdated};
use millrace_core::ids::{ChannelId, MessageId, UserId};
use millrace_store::{Collection, Document, Index};
use serde::{Deserialize, Serialize};

/// A message in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// Where it was said.
    pub channel: ChannelId,
    /// Its number in the room, from 1: the order of the room.
    pub seq: i64,
    /// Who said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<UserId>,
    /// What the author called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Who took it away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_by: Option<UserId>,
    /// What was said.
    pub message: ChatMessage,
}

impl Message {
    /// A message that was just said.
    #[must_use]
    pub fn new(channel: ChannelId, seq: i64, message: &ChatMessage) -> Self {
        Self {
            id: message.id,
            channel,
            seq,
            author: message.author.as_ref().map(|author| author.id),
            nonce: message.nonce.clone(),
            at: message.at.as_millisecond(),
            removed_by: None,
            message: message.clone(),
        }
    }
}

/// What is set in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// Whose.
    pub channel: ChannelId,
    /// As its nodes are told.
    pub state: RoomUpdated,
}

impl Room {
    /// A room in which nothing was set yet.
    #[must_use]
    pub fn new(channel: ChannelId) -> Self {
        let settings = RoomSettings::default();
        let (vips, emotes) = (Vec::new(), Vec::new());
        let state = RoomUpdated { settings, pinned: None, vips, emotes, emotes_version: 0, version: 0 };
        Self { channel, state }
    }
}

/// Somebody may say nothing in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sanction {
    /// Where.
    pub channel: ChannelId,
    /// Who.
    pub user: UserId,
    /// Until when, in milliseconds since 1970; absent: for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Why: the person is told. May be empty.
    #[serde(default)]
    pub reason: String,
    /// Who said so.
    pub by: UserId,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

impl Sanction {
    /// One for each person and room.
    #[must_use]
    pub fn id_of(channel: ChannelId, user: UserId) -> String {
        format!("{channel}:{user}")
    }
}

pub(crate) static CHAT_MESSAGES: Collection = Collection {
    name: "chat_messages",
    indexes: &[
        Index { name: "room", fields: &["channel", "seq"], unique: true },
        Index { name: "author", fields: &["channel", "author", "seq"], unique: false },
        // Saying it again under the same nonce is no second message.
        Index { name: "nonce", fields: &["channel", "author", "nonce"], unique: true },
        Index { name: "at", fields: &["at"], unique: false },
        // What somebody takes along who deletes the account.
        Index { name: "by", fields: &["author", "at"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

pub(crate) static CHAT_ROOMS: Collection =
    Collection { name: "chat_rooms", indexes: &[], words: &[], migrations: &[] };

pub(crate) static MODERATION: Collection = Collection {
    name: "moderation",
    indexes: &[
        Index { name: "room", fields: &["channel", "at"], unique: false },
        Index { name: "user", fields: &["user", "at"], unique: false },
        // Time-outs that are over.
        Index { name: "until", fields: &["until"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

impl Document for Message {
    const COLLECTION: &'static Collection = &CHAT_MESSAGES;

    fn id(&self) -> String {
        self.id.to_string()
    }
}

impl Document for Room {
    const COLLECTION: &'static Collection = &CHAT_ROOMS;

    fn id(&self) -> String {
        self.channel.to_string()
    }
}

impl Document for Sanction {
    const COLLECTION: &'static Collection = &MODERATION;

    fn id(&self) -> String {
        Self::id_of(self.channel, self.user)
    }
}
