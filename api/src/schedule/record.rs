//! A plan as it is kept.

use jiff::civil;
use millrace_core::ids::ChannelId;
use millrace_store::{Collection, Document, Index};
use serde::{Deserialize, Serialize};

/// A broadcast to come, or one every week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its id.
    pub id: uuid::Uuid,
    /// Whose.
    pub channel: ChannelId,
    /// What it will be called.
    pub title: String,
    /// Empty for none.
    #[serde(default)]
    pub category: String,
    /// A few more words; may be empty.
    #[serde(default)]
    pub note: String,
    /// When the (first) one begins, on the clocks of `time_zone`: a series stays at that time of the day when they
    /// change.
    pub starts: civil::DateTime,
    /// A name of the IANA time zone database.
    pub time_zone: String,
    /// How long it is meant to last, in minutes.
    pub minutes: i64,
    /// Every week on the same day.
    #[serde(default)]
    pub weekly: bool,
    /// The last day of a series; absent: no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<civil::Date>,
    /// Days of a series on which there is none, in order.
    #[serde(default)]
    pub cancelled: Vec<civil::Date>,
    /// Counts its changes, for calendars.
    #[serde(default)]
    pub sequence: i64,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

pub(crate) static PLANS: Collection = Collection {
    name: "plans",
    indexes: &[Index { name: "channel", fields: &["channel"], unique: false }],
    words: &[],
    migrations: &[],
};

impl Document for Plan {
    const COLLECTION: &'static Collection = &PLANS;

    fn id(&self) -> String {
        self.id.to_string()
    }
}
