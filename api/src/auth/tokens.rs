//! Personal API tokens: for scripts, with scopes, shown once.

use std::collections::BTreeSet;
use std::fmt;

use millrace_core::ids::UserId;
use millrace_store::{Change, Changes, Collection, Document, Index, Kept, Order, Query, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::secret::{Secret, sha256};

/// What every API token begins with, so that scanners find leaked ones.
pub const PREFIX: &str = "mr_";
/// Most tokens of one person.
pub const TOKENS_MAX: usize = 50;
/// The last use is written at most this often.
const LAST_USED_EVERY_MS: i64 = 60_000;
/// Longest text that can be a token.
const SECRET_MAX_BYTES: usize = 100;

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Read what its person may read.
    Read,
    /// Change channels, stream keys and broadcasts, follow and unfollow.
    Channels,
    /// Talk and moderate in chat.
    Chat,
    /// What only admins may do, if its person is one.
    Admin,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Channels => "channels",
            Self::Chat => "chat",
            Self::Admin => "admin",
        })
    }
}

/// A set of scopes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Everything: a browser.
    #[must_use]
    pub fn all() -> Self {
        [Scope::Read, Scope::Channels, Scope::Chat, Scope::Admin].into_iter().collect()
    }

    /// Whether it is in the set.
    #[must_use]
    pub fn contains(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// All of them in order.
    pub fn iter(&self) -> impl Iterator<Item = Scope> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().collect())
    }
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiToken {
    /// Its id.
    pub id: uuid::Uuid,
    /// Whose it is.
    pub user: UserId,
    /// What its person calls it.
    pub name: String,
    /// SHA-256 of the secret.
    pub hash: String,
    /// The last characters of the secret, to tell tokens apart.
    pub hint: String,
    /// What it may do.
    pub scopes: Scopes,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// Milliseconds since 1970, at most a minute late; absent if never used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<i64>,
    /// From when on it is not good any more; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

pub(crate) static API_TOKENS: Collection = Collection {
    name: "api_tokens",
    indexes: &[
        Index { name: "hash", fields: &["hash"], unique: true },
        Index { name: "user", fields: &["user", "created_at"], unique: false },
    ],
    words: &[],
    migrations: &[],
};

impl Document for ApiToken {
    const COLLECTION: &'static Collection = &API_TOKENS;

    fn id(&self) -> String {
        self.id.to_string()
    }
}

/// The tokens of everybody.
#[derive(Debug, Clone)]
pub struct Tokens(Store);

impl Tokens {
    /// In this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// Keeps a new token.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn add(&self, token: &ApiToken) -> Result<(), StoreError> {
        self.0.insert(token).await
    }

    /// The tokens of a person, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn of(&self, user: UserId) -> Result<Vec<Kept<ApiToken>>, StoreError> {
        let query =
            Query::with("user", user.to_string(), TOKENS_MAX).ordered("created_at", Order::Descending);
        self.0.find(&query).await
    }

    /// The token with this secret, if it is still good; notes its use.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn by_secret(&self, secret: &str, now_ms: i64) -> Result<Option<Kept<ApiToken>>, StoreError> {
        if secret.len() > SECRET_MAX_BYTES {
            return Ok(None);
        }
        let Some(token) = self.0.find_one::<ApiToken>("hash", sha256(secret.as_bytes())).await? else {
            return Ok(None);
        };
        if token.expires_at.is_some_and(|at| at <= now_ms) {
            return Ok(None);
        }
        if token.last_used_at.is_none_or(|at| now_ms.saturating_sub(at) >= LAST_USED_EVERY_MS) {
            let used = |mut token: ApiToken| {
                token.last_used_at = Some(now_ms);
                Change::<_, ()>::To(token)
            };
            self.0.update(&token.id.to_string(), used).await?;
        }
        Ok(Some(token))
    }

    /// Removes a token of this person; whether there was one.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn revoke(&self, user: UserId, id: &str) -> Result<bool, StoreError> {
        match self.0.get::<ApiToken>(id).await? {
            Some(token) if token.user == user => {
                self.0.commit(Changes::new().delete_id::<ApiToken>(id)).await?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// A new token and its secret.
#[must_use]
pub fn issue(
    id: uuid::Uuid,
    user: UserId,
    name: String,
    scopes: Scopes,
    now_ms: i64,
    expires_at: Option<i64>,
) -> (ApiToken, Secret) {
    let secret = Secret::random(PREFIX);
    let hint = secret.reveal()[secret.reveal().len() - 4..].to_owned();
    let hash = secret.hash();
    (
        ApiToken { id, user, name, hash, hint, scopes, created_at: now_ms, last_used_at: None, expires_at },
        secret,
    )
}
