//! Documents of chat.

use jiff::Timestamp;
use millrace_core::chat::{ChatMessage, Decision, HoldReason, RoomUpdated};
use millrace_core::ids::{ChannelId, MessageId, UserId};
use millrace_store::{Collection, Document, Index};
use serde::{Deserialize, Serialize};

use crate::routes::lists::time;

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
    /// While a poll runs or is counted: when it closes, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_due: Option<i64>,
}

impl Room {
    /// A room in which nothing was set yet.
    #[must_use]
    pub fn new(channel: ChannelId) -> Self {
        Self { channel, state: RoomUpdated::default(), poll_due: None }
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

/// A message that waits, or waited, for somebody who moderates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The id that it has, and under which it is said if it is allowed.
    pub id: MessageId,
    /// Where it is to be said.
    pub channel: ChannelId,
    /// Whose it is.
    pub author: UserId,
    /// What the author called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// Since when, in milliseconds since 1970.
    pub at: i64,
    /// Why.
    pub why: HoldReason,
    /// As it would have been said.
    pub message: ChatMessage,
    /// While it waits: the channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<ChannelId>,
    /// While it waits: the channel and the author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// While it waits: when it expires, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Once it waits no more: what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// Who decided; absent if it expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// As long as the room may not have been told: since when, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untold: Option<i64>,
    /// Once it waits no more: when it is not kept any more, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forget: Option<i64>,
}

impl Held {
    /// When it expires, or expired.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        time(self.until.unwrap_or(self.at))
    }

    /// Whose messages wait where.
    #[must_use]
    pub fn of(channel: ChannelId, author: UserId) -> String {
        format!("{channel}:{author}")
    }
}

pub(crate) static CHAT_HELD: Collection = Collection {
    name: "chat_held",
    indexes: &[
        Index { name: "queue", fields: &["queue", "at"], unique: false },
        Index { name: "waiting_of", fields: &["of"], unique: false },
        // Sending it again under the same nonce is no second message.
        Index { name: "nonce", fields: &["channel", "author", "nonce"], unique: true },
        Index { name: "author", fields: &["author", "at"], unique: false },
        Index { name: "until", fields: &["until"], unique: false },
        Index { name: "untold", fields: &["untold"], unique: false },
        Index { name: "forget", fields: &["forget"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

impl Document for Held {
    const COLLECTION: &'static Collection = &CHAT_HELD;

    fn id(&self) -> String {
        self.id.to_string()
    }
}

/// Somebody subscribes to a channel, because its owner says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscriber {
    /// To which.
    pub channel: ChannelId,
    /// Who.
    pub user: UserId,
    /// Until when, in milliseconds since 1970; absent: until it is said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Since when, in milliseconds since 1970.
    pub at: i64,
}

impl Subscriber {
    /// One for each person and channel.
    #[must_use]
    pub fn id_of(channel: ChannelId, user: UserId) -> String {
        format!("{channel}:{user}")
    }

    /// Whether it holds.
    #[must_use]
    pub fn holds(&self, now_ms: i64) -> bool {
        self.until.is_none_or(|until| until > now_ms)
    }
}

pub(crate) static SUBSCRIBERS: Collection = Collection {
    name: "subscribers",
    indexes: &[
        Index { name: "channel", fields: &["channel", "at"], unique: false },
        Index { name: "user", fields: &["user", "at"], unique: false },
        Index { name: "until", fields: &["until"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

/// Somebody may say nothing in all rooms of an owner, or of the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatBar {
    /// In whose list: [`ChatBar::list_of`].
    pub list: String,
    /// Who.
    pub user: UserId,
    /// Why: the person is told. May be empty.
    #[serde(default)]
    pub reason: String,
    /// Who said so.
    pub by: UserId,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

impl ChatBar {
    /// The name of an owner's list; `None`: that of the site.
    #[must_use]
    pub fn list_of(owner: Option<UserId>) -> String {
        owner.map_or_else(|| "site".to_owned(), |owner| owner.to_string())
    }

    /// One for each person and list.
    #[must_use]
    pub fn id_of(owner: Option<UserId>, user: UserId) -> String {
        format!("{}:{user}", Self::list_of(owner))
    }
}

pub(crate) static CHAT_BARS: Collection = Collection {
    name: "chat_bars",
    indexes: &[
        Index { name: "list", fields: &["list", "at"], unique: false },
        Index { name: "user", fields: &["user", "at"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

impl Document for Subscriber {
    const COLLECTION: &'static Collection = &SUBSCRIBERS;

    fn id(&self) -> String {
        Self::id_of(self.channel, self.user)
    }
}

impl Document for ChatBar {
    const COLLECTION: &'static Collection = &CHAT_BARS;

    fn id(&self) -> String {
        format!("{}:{}", self.list, self.user)
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

pub(crate) static CHAT_ROOMS: Collection = Collection {
    name: "chat_rooms",
    indexes: &[Index { name: "poll_due", fields: &["poll_due"], unique: false }],
    words: &[],
    migrations: &[],
};

/// How somebody votes in a poll.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// In which.
    pub poll: uuid::Uuid,
    /// Where.
    pub channel: ChannelId,
    /// Who.
    pub user: UserId,
    /// For which answer, from 0.
    pub answer: u32,
    /// How often that was another one before.
    pub changes: u32,
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// When it is not kept any more, in milliseconds since 1970, if nobody has counted it then.
    pub until: i64,
}

impl Vote {
    /// One for each person and poll.
    #[must_use]
    pub fn id_of(poll: uuid::Uuid, user: UserId) -> String {
        format!("{poll}:{user}")
    }
}

pub(crate) static CHAT_VOTES: Collection = Collection {
    name: "chat_votes",
    indexes: &[
        Index { name: "answer", fields: &["poll", "answer"], unique: false },
        Index { name: "user", fields: &["user", "at"], unique: false },
        Index { name: "channel", fields: &["channel"], unique: false },
        Index { name: "until", fields: &["until"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

impl Document for Vote {
    const COLLECTION: &'static Collection = &CHAT_VOTES;

    fn id(&self) -> String {
        Self::id_of(self.poll, self.user)
    }
}

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
