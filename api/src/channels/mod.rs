//! Channels: what is kept of them, their stream keys, who follows them, and their past broadcasts.

mod config;
mod fields;
mod follows;
mod history;
mod keeper;
mod keys;
mod ladder;
mod recorder;
mod search;
#[cfg(test)]
pub(crate) mod testing;

use millrace_core::ids::{ChannelId, ChannelName, UserId};
use millrace_store::{After, Change, Changes, Kept, Order, Query, Store, StoreError};

use crate::accounts::{Block, Broadcast, Channel, Follow, StreamKeyRecord, User};
use crate::chat::Rooms;
use crate::notices::Notice;
use crate::raids::RaidPlan;
use crate::schedule::Plan;
use crate::webhooks::{Webhook, WebhookDelivery};

pub use config::ChannelsConfig;
pub use fields::{CATEGORY_MAX, ChannelEdit, KEY_NAME_MAX, TITLE_MAX, language, line, paragraphs};
pub use follows::{FollowError, Follows};
pub use history::History;
pub use keeper::{Owners, keep_history};
pub use keys::{KeyError, NewKey, StreamKeys};
pub use ladder::{LadderChoice, LadderEdit, LadderView};
pub use recorder::{Note, Recorder};
pub use search::{Place, live_found};

/// How often a commit is tried again when somebody else was faster.
const ATTEMPTS: usize = 20;
/// Documents that are removed in one commit.
const REMOVED_AT_ONCE: usize = 200;

/// The channels of this site.
#[derive(Debug, Clone)]
pub struct Channels(Store);

/// Why a channel was not made or not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// Another channel or another person is called so.
    #[error("the name is taken")]
    NameTaken,
    /// The person has as many as it may have.
    #[error("there are {limit} already")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// There is none.
    #[error("there is no such channel")]
    NotFound,
    /// The store did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Channels {
    /// Over this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// Keeps a new channel, unless its owner has `limit` already.
    ///
    /// # Errors
    /// [`ChannelError::NameTaken`], [`ChannelError::TooMany`]; [`ChannelError::NotFound`] when the owner is gone.
    pub async fn create(&self, channel: &Channel, limit: usize) -> Result<(), ChannelError> {
        if self.is_somebody_else(channel).await? {
            return Err(ChannelError::NameTaken);
        }
        let mut attempt = 0;
        loop {
            let owner = self.0.get::<User>(&channel.owner.to_string()).await?;
            let owner = owner.ok_or(ChannelError::NotFound)?;
            let count = self.0.count::<Channel>(&of_owner(channel.owner, 0)).await?;
            if count >= limit as u64 {
                return Err(ChannelError::TooMany { limit });
            }
            // The owner is written with it: of two at once only one has counted right.
            let changes = Changes::new().replace(&owner, &owner.value).insert(channel);
            attempt += 1;
            match self.0.commit(changes).await {
                Err(StoreError::Stale { .. }) if attempt < ATTEMPTS => {}
                Err(err) if err.is_conflict("name") => return Err(ChannelError::NameTaken),
                done => break done?,
            }
        }
        // Somebody may have registered by that name meanwhile; who registers looks for the channel afterwards too.
        if self.is_somebody_else(channel).await? {
            self.0.commit(Changes::new().delete_id::<Channel>(channel.id.to_string())).await?;
            return Err(ChannelError::NameTaken);
        }
        Ok(())
    }

    /// Whether another person than the owner is called so.
    async fn is_somebody_else(&self, channel: &Channel) -> Result<bool, StoreError> {
        let namesake = self.0.find_one::<User>("name", channel.name.as_str()).await?;
        Ok(namesake.is_some_and(|user| user.id != channel.owner))
    }

    /// The channel of this name.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn named(&self, name: &ChannelName) -> Result<Option<Channel>, StoreError> {
        Ok(self.0.find_one::<Channel>("name", name.as_str()).await?.map(|kept| kept.value))
    }

    /// The channel with this id.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn get(&self, id: ChannelId) -> Result<Option<Channel>, StoreError> {
        Ok(self.0.get::<Channel>(&id.to_string()).await?.map(|kept| kept.value))
    }

    /// The channels of a person, oldest first, at most `limit`.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn of(&self, owner: UserId, limit: usize) -> Result<Vec<Channel>, StoreError> {
        let found = self.0.find::<Channel>(&of_owner(owner, limit)).await?;
        Ok(found.into_iter().map(|kept| kept.value).collect())
    }

    async fn by_id(&self, id: &str) -> Result<Option<Channel>, StoreError> {
        Ok(self.0.get::<Channel>(id).await?.map(|kept| kept.value))
    }

    /// Public channels that have these words, those that most people follow first.
    async fn found(
        &self,
        text: &str,
        after: Option<After>,
        limit: usize,
    ) -> Result<Vec<Channel>, StoreError> {
        let query =
            Query::with("playback", "public", limit).ordered("followers", Order::Descending).after(after);
        let found = self.0.search::<Channel>(text, &query).await?;
        Ok(found.into_iter().map(|kept| kept.value).collect())
    }

    /// Changes what people write about a channel; the edit was cleaned.
    ///
    /// # Errors
    /// [`ChannelError::NotFound`].
    pub async fn update(&self, id: ChannelId, edit: &ChannelEdit) -> Result<Channel, ChannelError> {
        self.change(id, |channel| Change::To(edit.applied_to(channel))).await
    }

    /// Makes a person moderator, unless it is one.
    ///
    /// # Errors
    /// [`ChannelError::TooMany`], [`ChannelError::NotFound`].
    pub async fn appoint(
        &self,
        id: ChannelId,
        person: UserId,
        limit: usize,
    ) -> Result<Channel, ChannelError> {
        self.change(id, |mut channel| {
            if !channel.moderators.contains(&person) {
                if channel.moderators.len() >= limit {
                    return Change::Not(ChannelError::TooMany { limit });
                }
                channel.moderators.push(person);
            }
            Change::To(channel)
        })
        .await
    }

    /// Makes a person moderator no more.
    ///
    /// # Errors
    /// [`ChannelError::NotFound`].
    pub async fn dismiss(&self, id: ChannelId, person: UserId) -> Result<Channel, ChannelError> {
        self.change(id, |mut channel| {
            channel.moderators.retain(|moderator| *moderator != person);
            Change::To(channel)
        })
        .await
    }

    async fn change(
        &self,
        id: ChannelId,
        change: impl Fn(Channel) -> Change<Channel, ChannelError> + Send + Sync,
    ) -> Result<Channel, ChannelError> {
        self.0.update(&id.to_string(), change).await?.ok_or(ChannelError::NotFound)?
    }

    /// Removes a channel: at once itself and its keys, then what is kept beside it. Nothing of what a crash leaves
    /// behind can be reached.
    ///
    /// # Errors
    /// [`ChannelError::NotFound`].
    pub async fn delete(&self, id: ChannelId) -> Result<(), ChannelError> {
        let mut attempt = 0;
        loop {
            let channel = self.0.get::<Channel>(&id.to_string()).await?.ok_or(ChannelError::NotFound)?;
            let keys = self.0.find::<StreamKeyRecord>(&keys::of_channel(id)).await?;
            let changes = Changes::new().delete(&channel);
            let changes = keys.iter().fold(changes, |changes, key| changes.delete(key));
            attempt += 1;
            match self.0.commit(changes).await {
                Err(StoreError::Stale { .. }) if attempt < ATTEMPTS => {}
                done => break done?,
            }
        }
        self.remove_all::<Follow>(id).await?;
        self.remove_all::<Block>(id).await?;
        self.remove_all::<Broadcast>(id).await?;
        self.remove_all::<Plan>(id).await?;
        self.remove_all::<Notice>(id).await?;
        self.0.commit(Changes::new().delete_id::<RaidPlan>(id.to_string())).await?;
        self.remove_all::<Webhook>(id).await?;
        self.remove_all::<WebhookDelivery>(id).await?;
        Ok(Rooms::new(self.0.clone()).forget_channel(id).await?)
    }

    async fn remove_all<T: millrace_store::Document>(&self, id: ChannelId) -> Result<(), StoreError> {
        let query = Query::with("channel", id.to_string(), REMOVED_AT_ONCE);
        loop {
            let found: Vec<Kept<T>> = self.0.find(&query).await?;
            if found.is_empty() {
                return Ok(());
            }
            let changes =
                found.iter().fold(Changes::new(), |changes, kept| changes.delete_id::<T>(kept.value.id()));
            self.0.commit(changes).await?;
        }
    }
}

fn of_owner(owner: UserId, limit: usize) -> Query {
    Query::with("owner", owner.to_string(), limit)
}

#[cfg(test)]
mod tests {
    use super::testing::{Site, channel};
    use super::*;
    use crate::accounts::Playback;
    use futures_util::future::join_all;

    #[tokio::test]
    async fn a_name_belongs_to_one_channel_and_not_to_another_persons_account() {
        let site = Site::new().await;
        let (ada, bob) = (site.person("ada").await, site.person("bob").await);
        site.channels.create(&channel("studio", ada.id), 5).await.unwrap();
        let taken = site.channels.create(&channel("studio", bob.id), 5).await;
        assert!(matches!(taken, Err(ChannelError::NameTaken)), "{taken:?}");
        let taken = site.channels.create(&channel("ada", bob.id), 5).await;
        assert!(matches!(taken, Err(ChannelError::NameTaken)), "{taken:?}");
        site.channels.create(&channel("ada", ada.id), 5).await.unwrap();
        assert_eq!(site.channels.of(ada.id, 10).await.unwrap().len(), 2);
        assert!(site.channels.of(bob.id, 10).await.unwrap().is_empty());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nobody_gets_more_channels_than_the_limit_by_asking_at_once() {
        let site = Site::new().await;
        let ada = site.person("ada").await;
        let all: Vec<_> = (0..12).map(|number| channel(&format!("studio_{number}"), ada.id)).collect();
        let made = join_all(all.iter().map(|channel| site.channels.create(channel, 3))).await;
        assert_eq!(made.iter().filter(|result| result.is_ok()).count(), 3, "{made:?}");
        assert!(
            made.iter().all(|r| matches!(r, Ok(()) | Err(ChannelError::TooMany { limit: 3 }))),
            "{made:?}"
        );
        assert_eq!(site.channels.of(ada.id, 100).await.unwrap().len(), 3);
    }

    #[tokio::test]
    async fn what_is_edited_is_found_by_its_words_and_what_is_not_public_is_not() {
        let site = Site::new().await;
        let ada = site.person("ada").await;
        let studio = site.channel("studio", &ada).await;
        let edit = ChannelEdit { title: Some("Building a boat".into()), ..ChannelEdit::default() };
        let changed = site.channels.update(studio.id, &edit).await.unwrap();
        assert_eq!(changed.title, "Building a boat");
        let found = async |text| site.channels.search(text, &[], None, 10).await.unwrap().0;
        assert_eq!(found("boa").await, [changed]);
        let hidden = ChannelEdit { playback: Some(Playback::Unlisted), ..ChannelEdit::default() };
        site.channels.update(studio.id, &hidden).await.unwrap();
        assert_eq!(found("boat").await, []);
        assert_eq!(site.channels.named(&studio.name).await.unwrap().unwrap().title, "Building a boat");
    }

    #[tokio::test]
    async fn moderators_are_appointed_once_up_to_a_limit_and_dismissed() {
        let site = Site::new().await;
        let (ada, bob, eve) = (site.person("ada").await, site.person("bob").await, site.person("eve").await);
        let studio = site.channel("studio", &ada).await;
        for _ in 0..2 {
            assert_eq!(site.channels.appoint(studio.id, bob.id, 1).await.unwrap().moderators, [bob.id]);
        }
        let full = site.channels.appoint(studio.id, eve.id, 1).await;
        assert!(matches!(full, Err(ChannelError::TooMany { limit: 1 })), "{full:?}");
        assert!(site.channels.dismiss(studio.id, bob.id).await.unwrap().moderators.is_empty());
    }

    #[tokio::test]
    async fn a_deleted_channel_leaves_nothing_behind() {
        let site = Site::new().await;
        let (ada, bob) = (site.person("ada").await, site.person("bob").await);
        let studio = site.channel("studio", &ada).await;
        site.key(&studio, 1).await;
        site.follows.follow(bob.id, studio.id, 1, 10).await.unwrap();
        let eve = site.person("eve").await;
        site.follows.block(studio.id, eve.id, 1).await.unwrap();
        site.channels.delete(studio.id).await.unwrap();
        assert_eq!(site.channels.named(&studio.name).await.unwrap(), None);
        assert!(site.store.find::<StreamKeyRecord>(&keys::of_channel(studio.id)).await.unwrap().is_empty());
        let of_channel = Query::with("channel", studio.id.to_string(), 10);
        assert!(site.store.find::<Follow>(&of_channel).await.unwrap().is_empty());
        assert!(site.store.find::<Block>(&of_channel).await.unwrap().is_empty());
        let again = site.channels.delete(studio.id).await;
        assert!(matches!(again, Err(ChannelError::NotFound)), "{again:?}");
        site.channel("studio", &bob).await;
    }
}
