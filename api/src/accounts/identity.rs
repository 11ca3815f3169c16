//! Who somebody is elsewhere.

use millrace_core::ids::UserId;
use millrace_store::{Collection, Document, Index};
use serde::{Deserialize, Serialize};

use super::Email;

/// A way of signing in over a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The name of the provider in the configuration.
    pub provider: String,
    /// The provider's own id of the person.
    pub subject: String,
    /// Whose it is here.
    pub user: UserId,
    /// The address that the provider told last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Milliseconds since 1970.
    pub linked_at: i64,
}

pub(super) static IDENTITIES: Collection = Collection {
    name: "identities",
    indexes: &[Index { name: "user", fields: &["user", "linked_at"], unique: false }],
    words: &[],
    migrations: &[],
};

impl Identity {
    /// The id of the identity that a provider calls `subject`: nobody has it twice.
    #[must_use]
    pub fn id_of(provider: &str, subject: &str) -> String {
        // Subjects may be 255 characters of anything (OpenID Connect Core §8).
        format!("{provider}:{}", crate::auth::secret::sha256(subject.as_bytes()))
    }
}

impl Document for Identity {
    const COLLECTION: &'static Collection = &IDENTITIES;

    fn id(&self) -> String {
        Self::id_of(&self.provider, &self.subject)
    }
}
