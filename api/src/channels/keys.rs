//! Stream keys: the secrets that publish.

use millrace_core::ids::{ChannelId, StreamKeyId};
use millrace_store::{Change, Changes, Order, Query, Store, StoreError};

use super::ATTEMPTS;
use crate::accounts::{Channel, StreamKeyRecord};

/// Keys that are looked at: those that publish and those that did.
const LOOKED_AT: usize = 200;
/// Revoked keys that are kept of one channel, so that their encoders are told so.
const REVOKED_KEPT: usize = 20;
/// How exact the last use of a key is, in milliseconds: it is written at most so often.
const USE_RESOLUTION_MS: i64 = 60_000;

/// The stream keys of this site.
#[derive(Debug, Clone)]
pub struct StreamKeys(Store);

/// A key that is to be: all of it but the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Its id.
    pub id: StreamKeyId,
    /// What its owner calls it.
    pub name: String,
    /// SHA-256 of the secret in lower-case hexadecimal.
    pub hash: String,
    /// The last characters of the secret.
    pub hint: String,
}

/// Why there is no new key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The channel has as many as it may have.
    #[error("there are {limit} already")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// There is no such channel, or no such key of it that still publishes.
    #[error("there is none")]
    NotFound,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StreamKeys {
    /// Over this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// Keeps a new key of a channel, unless it has `limit` that publish.
    ///
    /// # Errors
    /// [`KeyError::TooMany`]; [`KeyError::NotFound`] when the channel is gone.
    pub async fn create(
        &self,
        channel: ChannelId,
        new: &NewKey,
        now_ms: i64,
        limit: usize,
    ) -> Result<StreamKeyRecord, KeyError> {
        let record = new.record(channel, now_ms);
        let mut attempt = 0;
        loop {
            let home = self.0.get::<Channel>(&channel.to_string()).await?.ok_or(KeyError::NotFound)?;
            let mut revoked = self.0.find::<StreamKeyRecord>(&of_channel(channel)).await?;
            let all = revoked.len();
            revoked.retain(|key| key.revoked_at.is_some());
            if all - revoked.len() >= limit {
                return Err(KeyError::TooMany { limit });
            }
            // The channel is written with it: of two at once only one has counted right.
            let mut changes = Changes::new().replace(&home, &home.value).insert(&record);
            for old in revoked.iter().take(revoked.len().saturating_sub(REVOKED_KEPT)) {
                changes = changes.delete(old);
            }
            attempt += 1;
            match self.0.commit(changes).await {
                Err(StoreError::Stale { .. }) if attempt < ATTEMPTS => {}
                done => return Ok(done.map(|()| record)?),
            }
        }
    }

    /// The keys of a channel that publish, oldest first.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn of(&self, channel: ChannelId) -> Result<Vec<StreamKeyRecord>, StoreError> {
        let found = self.0.find::<StreamKeyRecord>(&of_channel(channel)).await?;
        Ok(found.into_iter().map(|kept| kept.value).filter(|key| key.revoked_at.is_none()).collect())
    }

    /// The key with this hash, revoked or not.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn hashed(&self, hash: &str) -> Result<Option<StreamKeyRecord>, StoreError> {
        Ok(self.0.find_one::<StreamKeyRecord>("hash", hash).await?.map(|kept| kept.value))
    }

    /// Ends a key of this channel for ever. Harmless when it has ended already.
    ///
    /// # Errors
    /// [`KeyError::NotFound`] when it is no key of this channel.
    pub async fn revoke(&self, channel: ChannelId, id: StreamKeyId, now_ms: i64) -> Result<(), KeyError> {
        let revoke = |mut key: StreamKeyRecord| {
            if key.channel != channel {
                return Change::Not(KeyError::NotFound);
            }
            key.revoked_at = key.revoked_at.or(Some(now_ms));
            Change::To(key)
        };
        self.0.update(&id.to_string(), revoke).await?.ok_or(KeyError::NotFound)??;
        Ok(())
    }

    /// Ends a key and keeps `new` in its place, under its name. Keys never change their secret: what knows the old id
    /// knows that it ended.
    ///
    /// # Errors
    /// [`KeyError::NotFound`] when it is no key of this channel, or has ended.
    pub async fn rotate(
        &self,
        channel: ChannelId,
        id: StreamKeyId,
        new: NewKey,
        now_ms: i64,
    ) -> Result<StreamKeyRecord, KeyError> {
        let mut attempt = 0;
        loop {
            let old = self.0.get::<StreamKeyRecord>(&id.to_string()).await?;
            let old = old.filter(|key| key.channel == channel && key.revoked_at.is_none());
            let old = old.ok_or(KeyError::NotFound)?;
            let record = NewKey { name: old.name.clone(), ..new.clone() }.record(channel, now_ms);
            let ended = StreamKeyRecord { revoked_at: Some(now_ms), ..old.value.clone() };
            attempt += 1;
            match self.0.commit(Changes::new().replace(&old, &ended).insert(&record)).await {
                Err(StoreError::Stale { .. }) if attempt < ATTEMPTS => {}
                done => return Ok(done.map(|()| record)?),
            }
        }
    }

    /// Notes that a key was used, at most once a minute.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn used(&self, key: &StreamKeyRecord, now_ms: i64) -> Result<(), StoreError> {
        if key.last_used_at.is_some_and(|last| now_ms.saturating_sub(last) < USE_RESOLUTION_MS) {
            return Ok(());
        }
        let note = |mut key: StreamKeyRecord| {
            key.last_used_at = key.last_used_at.max(Some(now_ms));
            Change::<_, std::convert::Infallible>::To(key)
        };
        self.0.update(&key.id.to_string(), note).await.map(drop)
    }
}

impl NewKey {
    fn record(&self, channel: ChannelId, now_ms: i64) -> StreamKeyRecord {
        StreamKeyRecord {
            id: self.id,
            channel,
            name: self.name.clone(),
            hash: self.hash.clone(),
            hint: self.hint.clone(),
            created_at: now_ms,
            last_used_at: None,
            revoked_at: None,
        }
    }
}

pub(super) fn of_channel(channel: ChannelId) -> Query {
    Query::with("channel", channel.to_string(), LOOKED_AT).ordered("created_at", Order::Ascending)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Site, new_key};
    use super::*;
    use futures_util::future::join_all;

    #[tokio::test]
    async fn a_key_is_found_by_its_hash_until_it_is_gone_and_says_when_it_was_revoked() {
        let site = Site::new().await;
        let ada = site.person("ada").await;
        let (studio, garage) = (site.channel("studio", &ada).await, site.channel("garage", &ada).await);
        let key = site.key(&studio, 1).await;
        assert_eq!(site.keys.hashed(&key.hash).await.unwrap(), Some(key.clone()));
        let foreign = site.keys.revoke(garage.id, key.id, 5).await;
        assert!(matches!(foreign, Err(KeyError::NotFound)), "{foreign:?}");
        for now in [6, 7] {
            site.keys.revoke(studio.id, key.id, now).await.unwrap();
        }
        assert_eq!(site.keys.hashed(&key.hash).await.unwrap().unwrap().revoked_at, Some(6));
        assert!(site.keys.of(studio.id).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_rotated_key_keeps_its_name_and_the_old_secret_ends() {
        let site = Site::new().await;
        let ada = site.person("ada").await;
        let studio = site.channel("studio", &ada).await;
        let old = site.key(&studio, 1).await;
        let new = site.keys.rotate(studio.id, old.id, new_key(2), 9).await.unwrap();
        assert_eq!((&new.name, &new.hash), (&old.name, &new_key(2).hash));
        assert_ne!(new.id, old.id);
        assert_eq!(site.keys.hashed(&old.hash).await.unwrap().unwrap().revoked_at, Some(9));
        assert_eq!(site.keys.of(studio.id).await.unwrap(), [new]);
        let twice = site.keys.rotate(studio.id, old.id, new_key(3), 9).await;
        assert!(matches!(twice, Err(KeyError::NotFound)), "{twice:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_channel_has_no_more_keys_than_its_limit_and_forgets_the_oldest_revoked_ones() {
        let site = Site::new().await;
        let ada = site.person("ada").await;
        let studio = site.channel("studio", &ada).await;
        let new: Vec<_> = (0..10).map(new_key).collect();
        let made = join_all(new.iter().map(|new| site.keys.create(studio.id, new, 1, 4))).await;
        assert_eq!(made.iter().filter(|result| result.is_ok()).count(), 4, "{made:?}");
        for number in 100..130 {
            let key = site.keys.of(studio.id).await.unwrap().remove(0);
            site.keys.revoke(studio.id, key.id, 2).await.unwrap();
            site.keys.create(studio.id, &new_key(number), i64::from(number), 4).await.unwrap();
        }
        let all = site.store.find::<StreamKeyRecord>(&of_channel(studio.id)).await.unwrap();
        assert!(all.len() <= 4 + REVOKED_KEPT + 1, "{} keys are kept", all.len());
    }

    #[tokio::test]
    async fn the_last_use_is_written_once_a_minute() {
        let site = Site::new().await;
        let ada = site.person("ada").await;
        let studio = site.channel("studio", &ada).await;
        let key = site.key(&studio, 1).await;
        let last = async || site.keys.hashed(&key.hash).await.unwrap().unwrap();
        site.keys.used(&key, 1_000_000).await.unwrap();
        assert_eq!(last().await.last_used_at, Some(1_000_000));
        site.keys.used(&last().await, 1_000_000 + USE_RESOLUTION_MS - 1).await.unwrap();
        assert_eq!(last().await.last_used_at, Some(1_000_000));
        site.keys.used(&last().await, 1_000_000 + USE_RESOLUTION_MS).await.unwrap();
        assert_eq!(last().await.last_used_at, Some(1_000_000 + USE_RESOLUTION_MS));
    }
}
