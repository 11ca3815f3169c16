//! Links that work once: set-up, password reset, invitation.

use axum::http::StatusCode;
use millrace_core::ids::UserId;
use millrace_http::problem::Problem;
use millrace_store::{Changes, Collection, Document, Index, Kept, Query, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::secret::{Secret, same, sha256};
use crate::accounts::Email;

/// How long a link to a new password works.
pub const RESET_LIFETIME_MS: i64 = 3_600_000;
/// How long an invitation works.
pub const INVITATION_LIFETIME_MS: i64 = 7 * 24 * 3_600_000;
/// How long a link that proves an address works.
pub const VERIFY_LIFETIME_MS: i64 = 24 * 3_600_000;
/// Links of one account that are looked at; a few are made in an hour.
const LINKS_MAX: usize = 200;
/// Longest token.
const TOKEN_MAX_BYTES: usize = 100;
/// The id of the one link that makes the owner's account.
const SETUP: &str = "setup";
/// How often it is made again when other processes start at the same moment.
const SETUP_ATTEMPTS: u32 = 20;

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Makes the owner's account.
    Setup,
    /// Sets a new password.
    Reset,
    /// Registers where only the invited may.
    Invite,
    /// Shows that a person reads the mail of an address.
    Verify,
}

/// A link as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    id: String,
    purpose: Purpose,
    hash: String,
    /// Whose password it sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// Which address it proves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    expires_at: i64,
}

pub(crate) static LINKS: Collection = Collection {
    name: "links",
    indexes: &[
        Index { name: "expires_at", fields: &["expires_at"], unique: false },
        Index { name: "user", fields: &["user"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

impl Document for Link {
    const COLLECTION: &'static Collection = &LINKS;

    fn id(&self) -> String {
        self.id.clone()
    }
}

/// The links of this site.
#[derive(Debug, Clone)]
pub struct Links(Store);

impl Links {
    /// In this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// The set-up link's token; the one before works no more.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn setup(&self) -> Result<Secret, StoreError> {
        let secret = Secret::random("");
        let link = Link {
            id: SETUP.into(),
            purpose: Purpose::Setup,
            hash: secret.hash(),
            user: None,
            email: None,
            expires_at: i64::MAX,
        };
        let mut attempts = 0;
        loop {
            self.0.commit(Changes::new().delete_id::<Link>(SETUP)).await?;
            match self.0.insert(&link).await {
                // Another process starts too; the link of the last one works.
                Err(err) if err.is_conflict("id") && attempts < SETUP_ATTEMPTS => attempts += 1,
                done => return done.map(|()| secret),
            }
        }
    }

    /// A new link.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn make(
        &self,
        purpose: Purpose,
        user: Option<UserId>,
        expires_at: i64,
    ) -> Result<Secret, StoreError> {
        self.keep(purpose, user, None, expires_at).await
    }

    /// A new link that shows that this person reads the mail of this address.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn verifying(&self, user: UserId, email: Email, now_ms: i64) -> Result<Secret, StoreError> {
        let expires_at = now_ms.saturating_add(VERIFY_LIFETIME_MS);
        self.keep(Purpose::Verify, Some(user), Some(email), expires_at).await
    }

    /// A new link by mail to this address that sets a new password.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn resetting(&self, user: UserId, email: Email, now_ms: i64) -> Result<Secret, StoreError> {
        let expires_at = now_ms.saturating_add(RESET_LIFETIME_MS);
        self.keep(Purpose::Reset, Some(user), Some(email), expires_at).await
    }

    /// The links to a new password of an account.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn resets_of(&self, user: UserId) -> Result<Vec<Kept<Link>>, StoreError> {
        let links: Vec<Kept<Link>> = self.0.find(&Query::with("user", user.to_string(), LINKS_MAX)).await?;
        Ok(links.into_iter().filter(|link| link.purpose == Purpose::Reset).collect())
    }

    async fn keep(
        &self,
        purpose: Purpose,
        user: Option<UserId>,
        email: Option<Email>,
        expires_at: i64,
    ) -> Result<Secret, StoreError> {
        let secret = Secret::random("");
        let hash = secret.hash();
        self.0.insert(&Link { id: hash.clone(), purpose, hash, user, email, expires_at }).await?;
        Ok(secret)
    }

    /// The link of this token. Who uses it deletes it in the same commit as what it does, so that it works once.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn find(
        &self,
        purpose: Purpose,
        token: &str,
        now_ms: i64,
    ) -> Result<Option<Kept<Link>>, StoreError> {
        if token.len() > TOKEN_MAX_BYTES {
            return Ok(None);
        }
        let hash = sha256(token.as_bytes());
        let id = if purpose == Purpose::Setup { SETUP } else { hash.as_str() };
        let link = self.0.get::<Link>(id).await?;
        Ok(link.filter(|link| {
            link.purpose == purpose && link.expires_at > now_ms && same(link.hash.as_bytes(), hash.as_bytes())
        }))
    }

    /// Removes what has expired.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn sweep(&self, now_ms: i64) -> Result<u64, StoreError> {
        self.0.remove_below::<Link>("expires_at", now_ms, 1_000).await
    }
}

/// 403 for a link that was used or has expired.
#[must_use]
pub fn dead(what_to_do: &str) -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "dead-link",
        "Dead link",
        format!("This link was used already or has expired. {what_to_do}"),
    )
}
