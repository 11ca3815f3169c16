//! Who follows which channel, and who may not.

use millrace_core::ids::{ChannelId, UserId};
use millrace_store::{After, Change, Changes, Kept, Order, Query, Store, StoreError};

use super::ATTEMPTS;
use crate::accounts::{Block, Channel, Follow, User};

/// The follows of this site.
#[derive(Debug, Clone)]
pub struct Follows(Store);

/// Why somebody does not follow.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The channel does not want this person.
    #[error("the channel has blocked this person")]
    Blocked,
    /// The person follows as many as it may.
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

impl Follows {
    /// Over this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// A person follows a channel from now on; harmless if it does already. Whether anything changed.
    ///
    /// # Errors
    /// [`FollowError::Blocked`], [`FollowError::TooMany`], [`FollowError::NotFound`].
    pub async fn follow(
        &self,
        user: UserId,
        channel: ChannelId,
        now_ms: i64,
        limit: usize,
    ) -> Result<bool, FollowError> {
        if self.is_blocked(user, channel).await? {
            return Err(FollowError::Blocked);
        }
        if self.follows(user, channel).await? {
            return Ok(false);
        }
        if self.0.count::<Follow>(&Query::with("user", user.to_string(), 0)).await? >= limit as u64 {
            return Err(FollowError::TooMany { limit });
        }
        let follow = Follow { channel, user, followed_at: now_ms, muted: false, unmuted_at: None };
        let changes =
            Changes::new().insert(&follow).increment::<Channel>(channel.to_string(), "followers", 1);
        match self.0.commit(changes).await {
            Ok(()) => {}
            Err(err) if err.is_conflict("id") => return Ok(false),
            Err(StoreError::Stale { .. }) => return Err(FollowError::NotFound),
            Err(err) => return Err(err.into()),
        }
        // Whoever blocks looks for the follow after writing the block, and we for the block after writing the follow:
        // one of us sees the other.
        if self.is_blocked(user, channel).await? {
            self.unfollow(user, channel).await?;
            return Err(FollowError::Blocked);
        }
        Ok(true)
    }

    /// A person follows a channel no more; harmless if it does not. Whether anything changed.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn unfollow(&self, user: UserId, channel: ChannelId) -> Result<bool, StoreError> {
        for _ in 0..ATTEMPTS {
            let Some(follow) = self.0.get::<Follow>(&Follow::id_of(user, channel)).await? else {
                return Ok(false);
            };
            let changes =
                Changes::new().delete(&follow).increment::<Channel>(channel.to_string(), "followers", -1);
            match self.0.commit(changes).await {
                // Somebody else removed it, or the channel is gone and this goes after it.
                Err(StoreError::Stale { .. }) => {
                    if self.0.get::<Channel>(&channel.to_string()).await?.is_none() {
                        return Ok(false);
                    }
                }
                done => return done.map(|()| true),
            }
        }
        Ok(false)
    }

    /// A person wants no notices of a channel that it follows, or wants them again; `None` if it does not follow it.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn mute(
        &self,
        user: UserId,
        channel: ChannelId,
        muted: bool,
        now_ms: i64,
    ) -> Result<Option<()>, StoreError> {
        let change = |follow: Follow| {
            if follow.muted == muted {
                return Change::Not(());
            }
            Change::To(Follow { muted, unmuted_at: (!muted).then_some(now_ms), ..follow })
        };
        Ok(self.0.update(&Follow::id_of(user, channel), change).await?.map(drop))
    }

    /// How a person follows a channel, if it does.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn get(&self, user: UserId, channel: ChannelId) -> Result<Option<Follow>, StoreError> {
        Ok(self.0.get::<Follow>(&Follow::id_of(user, channel)).await?.map(|kept| kept.value))
    }

    /// Whether a person follows a channel.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn follows(&self, user: UserId, channel: ChannelId) -> Result<bool, StoreError> {
        Ok(self.0.get::<Follow>(&Follow::id_of(user, channel)).await?.is_some())
    }

    /// What a person follows, newest first, from behind `after`; one more than `limit` says that there is more.
    /// Channels that are gone are left out.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn of(
        &self,
        user: UserId,
        after: Option<After>,
        limit: usize,
    ) -> Result<Page<Channel, Follow>, StoreError> {
        let query = Query::with("user", user.to_string(), limit + 1);
        let query = query.ordered("followed_at", Order::Descending).after(after);
        let found = self.0.find::<Follow>(&query).await?;
        self.page(found, limit, |follow| follow.channel.to_string()).await
    }

    /// Who follows a channel, newest first, from behind `after`.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn followers(
        &self,
        channel: ChannelId,
        after: Option<After>,
        limit: usize,
    ) -> Result<Page<User, Follow>, StoreError> {
        let query = Query::with("channel", channel.to_string(), limit + 1);
        let query = query.ordered("followed_at", Order::Descending).after(after);
        let found = self.0.find::<Follow>(&query).await?;
        self.page(found, limit, |follow| follow.user.to_string()).await
    }

    async fn page<T: millrace_store::Document>(
        &self,
        mut found: Vec<Kept<Follow>>,
        limit: usize,
        id: impl Fn(&Follow) -> String,
    ) -> Result<Page<T, Follow>, StoreError> {
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|follow| After {
            value: follow.followed_at.into(),
            id: Follow::id_of(follow.user, follow.channel),
        });
        let mut items = Vec::with_capacity(found.len());
        for follow in found {
            if let Some(kept) = self.0.get::<T>(&id(&follow)).await? {
                items.push((follow.value, kept.value));
            }
        }
        Ok(Page { items, next })
    }

    /// A person may not follow the channel, and does not any more.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn block(&self, channel: ChannelId, user: UserId, now_ms: i64) -> Result<(), StoreError> {
        match self.0.insert(&Block { channel, user, blocked_at: now_ms }).await {
            Err(err) if !err.is_conflict("id") => return Err(err),
            _ => {}
        }
        self.unfollow(user, channel).await.map(drop)
    }

    /// A person may follow the channel again.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn unblock(&self, channel: ChannelId, user: UserId) -> Result<(), StoreError> {
        self.0.commit(Changes::new().delete_id::<Block>(Block::id_of(user, channel))).await
    }

    /// Whether a person may not follow a channel.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn is_blocked(&self, user: UserId, channel: ChannelId) -> Result<bool, StoreError> {
        Ok(self.0.get::<Block>(&Block::id_of(user, channel)).await?.is_some())
    }

    /// Who may not follow a channel, newest first, from behind `after`.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn blocked(
        &self,
        channel: ChannelId,
        after: Option<After>,
        limit: usize,
    ) -> Result<Page<User>, StoreError> {
        let query = Query::with("channel", channel.to_string(), limit + 1);
        let query = query.ordered("blocked_at", Order::Descending).after(after);
        let mut found = self.0.find::<Block>(&query).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| more).map(|block| After {
            value: block.blocked_at.into(),
            id: Block::id_of(block.user, block.channel),
        });
        let mut items = Vec::with_capacity(found.len());
        for block in &found {
            if let Some(user) = self.0.get::<User>(&block.user.to_string()).await? {
                items.push((block.blocked_at, user.value));
            }
        }
        Ok(Page { items, next })
    }
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T, How = i64> {
    /// How (since when in milliseconds since 1970, unless said otherwise), and what.
    pub items: Vec<(How, T)>,
    /// Where the next part begins, if there is one.
    pub next: Option<After>,
}

#[cfg(test)]
mod tests {
    use super::super::testing::Site;
    use super::*;
    use futures_util::future::join_all;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn followers_are_counted_once_however_often_they_click() {
        let site = Site::new().await;
        let ada = site.person("ada").await;
        let studio = site.channel("studio", &ada).await;
        let count = async || site.channels.get(studio.id).await.unwrap().unwrap().followers;
        let bob = site.person("bob").await;
        let clicks = (0..20).map(|now| site.follows.follow(bob.id, studio.id, now, 10));
        let changed = join_all(clicks).await.into_iter().filter(|click| *click.as_ref().unwrap()).count();
        assert_eq!((changed, count().await), (1, 1));
        let clicks = (0..20).map(|_| site.follows.unfollow(bob.id, studio.id));
        let changed = join_all(clicks).await.into_iter().filter(|click| *click.as_ref().unwrap()).count();
        assert_eq!((changed, count().await), (1, 0));
    }

    #[tokio::test]
    async fn lists_are_newest_first_in_pages_and_leave_out_what_is_gone() {
        let site = Site::new().await;
        let (ada, bob) = (site.person("ada").await, site.person("bob").await);
        let mut channels = Vec::new();
        for number in 0..5 {
            let channel = site.channel(&format!("studio_{number}"), &ada).await;
            site.follows.follow(bob.id, channel.id, number, 10).await.unwrap();
            channels.push(channel);
        }
        let first = site.follows.of(bob.id, None, 2).await.unwrap();
        let names = |page: &Page<Channel, Follow>| {
            page.items.iter().map(|(_, channel)| channel.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(&first), ["studio_4", "studio_3"]);
        site.channels.delete(channels[2].id).await.unwrap();
        let second = site.follows.of(bob.id, first.next, 2).await.unwrap();
        assert_eq!(names(&second), ["studio_1", "studio_0"]);
        assert_eq!(second.next, None);
        let followers = site.follows.followers(channels[0].id, None, 10).await.unwrap();
        assert_eq!(followers.items.iter().map(|(_, user)| user.id).collect::<Vec<_>>(), [bob.id]);
    }

    #[tokio::test]
    async fn whoever_is_blocked_does_not_follow_and_cannot_until_unblocked() {
        let site = Site::new().await;
        let (ada, bob) = (site.person("ada").await, site.person("bob").await);
        let studio = site.channel("studio", &ada).await;
        site.follows.follow(bob.id, studio.id, 1, 10).await.unwrap();
        for now in [2, 3] {
            site.follows.block(studio.id, bob.id, now).await.unwrap();
        }
        assert_eq!(site.channels.get(studio.id).await.unwrap().unwrap().followers, 0);
        let refused = site.follows.follow(bob.id, studio.id, 4, 10).await;
        assert!(matches!(refused, Err(FollowError::Blocked)), "{refused:?}");
        let blocked = site.follows.blocked(studio.id, None, 10).await.unwrap();
        assert_eq!(blocked.items.iter().map(|(at, user)| (*at, user.id)).collect::<Vec<_>>(), [(2, bob.id)]);
        site.follows.unblock(studio.id, bob.id).await.unwrap();
        assert!(site.follows.follow(bob.id, studio.id, 5, 10).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_follows_more_than_the_limit_or_what_is_not_there() {
        let site = Site::new().await;
        let (ada, bob) = (site.person("ada").await, site.person("bob").await);
        let (one, two) = (site.channel("one", &ada).await, site.channel("two", &ada).await);
        site.follows.follow(bob.id, one.id, 1, 1).await.unwrap();
        let refused = site.follows.follow(bob.id, two.id, 1, 1).await;
        assert!(matches!(refused, Err(FollowError::TooMany { limit: 1 })), "{refused:?}");
        site.channels.delete(two.id).await.unwrap();
        let refused = site.follows.follow(bob.id, two.id, 1, 5).await;
        assert!(matches!(refused, Err(FollowError::NotFound)), "{refused:?}");
    }
}
