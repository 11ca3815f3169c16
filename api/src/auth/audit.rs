//! Who did what to whom: what admins and moderators did, for good.

use millrace_core::ids::UserId;
use millrace_store::{Collection, Document, Index};
use serde::{Deserialize, Serialize};

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// Its id.
    pub id: uuid::Uuid,
    /// Milliseconds since 1970.
    pub at: i64,
    /// Who did it; absent: the owner, on the server's command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
    /// What: `user.role`, `user.ban`.
    pub action: String,
    /// To whom or what.
    pub target: String,
    /// How, in a few words.
    #[serde(default)]
    pub detail: String,
    /// Always `site`: lists are of the whole site.
    pub scope: String,
}

pub(crate) static AUDIT: Collection = Collection {
    name: "audit",
    indexes: &[Index { name: "scope", fields: &["scope", "at"], unique: false }],
    words: &[],
    migrations: &[],
};

impl Document for Audit {
    const COLLECTION: &'static Collection = &AUDIT;

    fn id(&self) -> String {
        self.id.to_string()
    }
}
