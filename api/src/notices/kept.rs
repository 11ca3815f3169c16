//! What is kept of notices.

use millrace_core::ids::{BroadcastId, ChannelId, UserId};
use millrace_store::{Collection, Document, Index};
use serde::{Deserialize, Serialize};

use crate::accounts::{Broadcast, Channel, Playback};

/// What a notice says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    /// A broadcast has begun.
    Live,
}

/// Something that the followers of a channel may want to know: one document for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Of which broadcast.
    pub broadcast: BroadcastId,
    /// What about it.
    pub kind: NoticeKind,
    /// Of which channel.
    pub channel: ChannelId,
    /// The title when it was made.
    pub title: String,
    /// The category when it was made.
    pub category: String,
    /// When it was made: milliseconds since 1970. The order of all notices.
    pub at: i64,
}

impl Notice {
    /// That a broadcast has begun, if followers are told of it: they may watch, and it is not over already.
    #[must_use]
    pub fn live(channel: &Channel, broadcast: &Broadcast) -> Option<Self> {
        let told = told(channel.playback) && broadcast.running;
        told.then(|| Self {
            broadcast: broadcast.id,
            kind: NoticeKind::Live,
            channel: channel.id,
            title: broadcast.title.clone(),
            category: broadcast.category.clone(),
            at: broadcast.seen_at,
        })
    }
}

/// Whether the followers of such a channel are told what happens there.
#[must_use]
pub fn told(playback: Playback) -> bool {
    matches!(playback, Playback::Public | Playback::Followers)
}

pub(crate) static NOTICES: Collection = Collection {
    name: "notices",
    indexes: &[
        Index { name: "at", fields: &["at"], unique: false },
        Index { name: "channel", fields: &["channel", "at"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

impl Document for Notice {
    const COLLECTION: &'static Collection = &NOTICES;

    /// A broadcast has one notice of a kind, whoever makes it and however often.
    fn id(&self) -> String {
        match self.kind {
            NoticeKind::Live => format!("{}:live", self.broadcast),
        }
    }
}

/// What one person wants of notices, and how far they were read. Who has none wants them and has read none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    /// Who.
    pub user: UserId,
    /// No notices at all.
    #[serde(default)]
    pub off: bool,
    /// Notices up to this time are read: milliseconds since 1970.
    #[serde(default)]
    pub read_at: i64,
}

impl Reader {
    /// Somebody who never said anything.
    #[must_use]
    pub fn new(user: UserId) -> Self {
        Self { user, off: false, read_at: 0 }
    }
}

pub(crate) static READERS: Collection =
    Collection { name: "notice_readers", indexes: &[], words: &[], migrations: &[] };

impl Document for Reader {
    const COLLECTION: &'static Collection = &READERS;

    fn id(&self) -> String {
        self.user.to_string()
    }
}
