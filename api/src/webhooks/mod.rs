//! Webhooks: programs of a channel's owner are told what happens there, without a connection of their own.
//!
//! What the bus says is put in a queue for each webhook that wants it ([`gather`]), and delivered from there by one process
//! at a time, in order, again while it is not taken ([`deliver`]). What decides is sans-IO: [`plan`], [`record`], [`sign`].
//!
//! | Specification | Where |
//! |---|---|
//! | Standard Webhooks 1.0 | [`sign`], `deliver.rs` |
#![expect(clippy::disallowed_methods, reason = "shell: ids of deliveries")]

mod config;
mod deliver;
mod gather;
pub mod kind;
pub mod plan;
pub(crate) mod record;
pub mod sign;

use std::sync::Arc;

use millrace_core::ids::ChannelId;
use millrace_core::trace::Cause;
use millrace_store::{Change, Changes, Kept, Order, Query, Store, StoreError};
use serde_json::Value;
use tokio::sync::Notify;
use uuid::Uuid;

pub use config::WebhooksConfig;
pub use deliver::deliver;
pub use gather::gather;
pub use kind::WebhookEvent;
pub use record::{Attempt, Disabled, NoAnswer, Webhook, WebhookDelivery};
pub use sign::SigningSecret;

use crate::accounts::Channel;

/// Webhooks of a channel that are listed; more than any limit.
const OF_CHANNEL: usize = 100;
/// Documents that are removed in one commit.
const REMOVED_AT_ONCE: usize = 100;
/// How often a commit is tried again when somebody else was faster.
const ATTEMPTS: usize = 20;
/// Deliveries of webhooks that are gone are removed after this: longer than any is tried.
const SWEPT_AFTER_MS: i64 = 2 * plan::GIVE_UP_MS;

/// The webhooks of this site. Clones share them.
#[derive(Clone)]
pub struct Webhooks(Arc<Shared>);

struct Shared {
    store: Store,
    config: WebhooksConfig,
    /// Something is to be delivered.
    news: Notify,
}

impl std::fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Webhooks")
    }
}

/// Why a webhook was not made.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// The channel has as many as it may have.
    #[error("there are {limit} already")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// There is no such channel.
    #[error("there is no such channel")]
    NotFound,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Webhooks {
    /// In this store.
    #[must_use]
    pub fn new(store: Store, config: WebhooksConfig) -> Self {
        Self(Arc::new(Shared { store, config, news: Notify::new() }))
    }

    /// `[webhooks]`.
    #[must_use]
    pub fn config(&self) -> &WebhooksConfig {
        &self.0.config
    }

    /// Keeps a new one.
    ///
    /// # Errors
    /// [`WebhookError::TooMany`], [`WebhookError::NotFound`].
    pub async fn create(&self, hook: &Webhook) -> Result<(), WebhookError> {
        let limit = self.0.config.max_per_channel;
        let mut attempt = 0;
        loop {
            let channel = self.0.store.get::<Channel>(&hook.channel.to_string()).await?;
            let channel = channel.ok_or(WebhookError::NotFound)?;
            let count = self.0.store.count::<Webhook>(&of_channel(hook.channel, 0)).await?;
            if count >= limit as u64 {
                return Err(WebhookError::TooMany { limit });
            }
            // The channel is written with it: of two at once only one has counted right.
            let changes = Changes::new().replace(&channel, &channel.value).insert(hook);
            attempt += 1;
            match self.0.store.commit(changes).await {
                Err(StoreError::Stale { .. }) if attempt < ATTEMPTS => {}
                done => return Ok(done?),
            }
        }
    }

    /// Those of a channel, oldest first.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn of(&self, channel: ChannelId) -> Result<Vec<Webhook>, StoreError> {
        let query = of_channel(channel, OF_CHANNEL).ordered("created_at", Order::Ascending);
        Ok(self.0.store.find::<Webhook>(&query).await?.into_iter().map(|kept| kept.value).collect())
    }

    /// One of a channel.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn get(&self, channel: ChannelId, id: Uuid) -> Result<Option<Webhook>, StoreError> {
        let kept = self.0.store.get::<Webhook>(&id.to_string()).await?;
        Ok(kept.map(|kept| kept.value).filter(|hook| hook.channel == channel))
    }

    /// Changes one; `None` if it is gone.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn change(
        &self,
        id: Uuid,
        change: impl Fn(Webhook) -> Webhook + Send + Sync,
    ) -> Result<Option<Webhook>, StoreError> {
        let to = |hook| Change::<_, std::convert::Infallible>::To(change(hook));
        let changed = self.0.store.update(&id.to_string(), to).await?;
        Ok(changed.and_then(Result::ok))
    }

    /// Removes one with what waits for it.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn remove(&self, id: Uuid) -> Result<(), StoreError> {
        self.0.store.commit(Changes::new().delete_id::<Webhook>(id.to_string())).await?;
        self.drop_waiting(id).await
    }

    /// How many deliveries wait.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn waiting(&self, id: Uuid) -> Result<u64, StoreError> {
        self.0.store.count::<WebhookDelivery>(&of_webhook(id, 0)).await
    }

    /// Puts events in the queue of a webhook; whether there was room for all of them.
    ///
    /// # Errors
    /// The store does not answer; some of them may be there.
    pub async fn put(
        &self,
        hook: Uuid,
        channel: ChannelId,
        events: Vec<Value>,
        cause: Cause,
        now_ms: i64,
    ) -> Result<bool, StoreError> {
        let room = plan::WAITING_MAX.saturating_sub(self.waiting(hook).await?);
        let (mut lost, mut changes) = (0_i64, Changes::new());
        for (number, events) in plan::cut(events).into_iter().enumerate() {
            if number as u64 >= room {
                lost = lost.saturating_add(i64::try_from(events.len()).unwrap_or(i64::MAX));
                continue;
            }
            let first =
                events.first().and_then(|event| event["type"].as_str()).unwrap_or_default().to_owned();
            changes = changes.insert(&WebhookDelivery {
                id: Uuid::now_v7(),
                webhook: hook,
                channel,
                at: now_ms,
                due: now_ms,
                tries: 0,
                first,
                events,
                cause,
            });
        }
        self.0.store.commit(changes).await?;
        if lost > 0 {
            metrics::counter!("millrace_webhook_events_lost_total").increment(lost.unsigned_abs());
        }
        // Afterwards: whoever rests meanwhile sees that there is more.
        self.change(hook, |hook| Webhook { lost: hook.lost.saturating_add(lost), ..hook }.woken(now_ms))
            .await?;
        self.0.news.notify_one();
        Ok(lost == 0)
    }

    /// Removes what nobody delivers any more.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn sweep(&self, now_ms: i64) -> Result<(), StoreError> {
        let below = now_ms.saturating_sub(SWEPT_AFTER_MS);
        self.0.store.remove_below::<WebhookDelivery>("at", below, 1_000).await.map(drop)
    }

    async fn drop_waiting(&self, id: Uuid) -> Result<(), StoreError> {
        loop {
            let found: Vec<Kept<WebhookDelivery>> =
                self.0.store.find(&of_webhook(id, REMOVED_AT_ONCE)).await?;
            if found.is_empty() {
                return Ok(());
            }
            let changes = found.iter().fold(Changes::new(), |changes, one| {
                changes.delete_id::<WebhookDelivery>(one.id.to_string())
            });
            self.0.store.commit(changes).await?;
        }
    }
}

fn of_channel(channel: ChannelId, limit: usize) -> Query {
    Query::with("channel", channel.to_string(), limit)
}

fn of_webhook(id: Uuid, limit: usize) -> Query {
    Query::with("webhook", id.to_string(), limit)
}
