//! What is to be pushed: one job per notice, and how far it is.

use millrace_core::ids::{BroadcastId, ChannelId};
use millrace_core::trace::Cause;
use millrace_store::{After, Collection, Document, Index};
use serde::{Deserialize, Serialize};

use crate::accounts::Follow;
use crate::notices::Notice;

/// The pushes of one notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushJob {
    /// The notice's id.
    pub notice: String,
    /// Of which broadcast.
    pub broadcast: BroadcastId,
    /// Of which channel.
    pub channel: ChannelId,
    /// The title when it began.
    pub title: String,
    /// When the notice was made: milliseconds since 1970.
    pub at: i64,
    /// From when on a process may take it: whoever has it writes a later time now and then.
    pub due: i64,
    /// The last follower that was reached: when they followed, and the follow's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<(i64, String)>,
    /// Which publish it is about.
    #[serde(default, skip_serializing_if = "Cause::is_unknown")]
    pub cause: Cause,
}

impl PushJob {
    /// The job of a notice.
    #[must_use]
    pub fn of(notice: &Notice) -> Self {
        Self {
            notice: notice.id(),
            broadcast: notice.broadcast,
            channel: notice.channel,
            title: notice.title.clone(),
            at: notice.at,
            due: notice.at,
            reached: None,
            cause: Cause::current(),
        }
    }

    /// Where it goes on in the list of followers.
    #[must_use]
    pub fn place(&self) -> Option<After> {
        self.reached.as_ref().map(|(at, id)| After { value: (*at).into(), id: id.clone() })
    }

    /// The job once these followers were reached; until `due` nobody else takes it.
    #[must_use]
    pub fn beyond(&self, last: &Follow, due: i64) -> Self {
        Self { reached: Some((last.followed_at, last.id())), due, ..self.clone() }
    }
}

pub(crate) static PUSH_JOBS: Collection = Collection {
    name: "push_jobs",
    indexes: &[Index { name: "due", fields: &["due"], unique: false }],
    words: &[],
    migrations: &[],
};

impl Document for PushJob {
    const COLLECTION: &'static Collection = &PUSH_JOBS;

    fn id(&self) -> String {
        self.notice.clone()
    }
}
