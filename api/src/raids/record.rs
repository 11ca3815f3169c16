//! A raid as it is kept.

use millrace_core::ids::{ChannelId, ChannelName, UserId};
use millrace_store::{Collection, Document, Index};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The last raid of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RaidPlan {
    /// Which raid; the message in the target's room has this id.
    pub id: Uuid,
    /// From where: a channel has one.
    pub channel: ChannelId,
    /// What that is called.
    pub name: ChannelName,
    /// Where to.
    pub target: ChannelId,
    /// What that is called.
    pub target_name: ChannelName,
    /// Who sends them.
    pub by: UserId,
    /// When it was asked for: milliseconds since 1970.
    pub asked_at: i64,
    /// When it goes: milliseconds since 1970.
    pub at: i64,
    /// From when on a process may take it: milliseconds since 1970. Absent: it is over, or called off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<i64>,
    /// How many watched when it was asked for.
    pub viewers: i64,
}

pub(crate) static RAIDS: Collection = Collection {
    name: "raids",
    indexes: &[Index { name: "due", fields: &["due"], unique: false }],
    words: &[],
    migrations: &[],
};

impl Document for RaidPlan {
    const COLLECTION: &'static Collection = &RAIDS;

    fn id(&self) -> String {
        self.channel.to_string()
    }
}
