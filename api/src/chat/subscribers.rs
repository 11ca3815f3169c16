//! Who subscribes to a channel. The site takes no money: the owner, or a program with a token of theirs, says who does.

use millrace_core::ids::{ChannelId, UserId};
use millrace_store::{After, Change, Order, Query, StoreError};

use super::{Rooms, Subscriber};

/// Most people who subscribe to a channel.
pub const SUBSCRIBERS_MAX: usize = 10_000;

impl Rooms {
    /// Whether and until when somebody subscribes, whether it still holds or not.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn subscriber(
        &self,
        channel: ChannelId,
        user: UserId,
    ) -> Result<Option<Subscriber>, StoreError> {
        let found = self.0.get::<Subscriber>(&Subscriber::id_of(channel, user)).await?;
        Ok(found.map(|kept| kept.value))
    }

    /// Somebody subscribes from now on, or until another time than before; `false`: too many do.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn subscribe(&self, subscriber: &Subscriber) -> Result<bool, StoreError> {
        let Subscriber { channel, user, until, .. } = *subscriber;
        let id = Subscriber::id_of(channel, user);
        loop {
            let change = |before: Subscriber| Change::<_, ()>::To(Subscriber { until, ..before });
            if self.0.update(&id, change).await?.is_some() {
                return Ok(true);
            }
            let all = self.0.count::<Subscriber>(&Query::with("channel", channel.to_string(), 1)).await?;
            if all >= SUBSCRIBERS_MAX as u64 {
                return Ok(false);
            }
            match self.0.insert(subscriber).await {
                Ok(()) => return Ok(true),
                // Said by somebody else at the same time.
                Err(StoreError::Conflict { .. }) => {}
                Err(err) => return Err(err),
            }
        }
    }

    /// Somebody subscribes no more.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn unsubscribe(&self, channel: ChannelId, user: UserId) -> Result<(), StoreError> {
        let changes = millrace_store::Changes::new();
        self.0.commit(changes.delete_id::<Subscriber>(Subscriber::id_of(channel, user))).await
    }

    /// Who subscribes to a channel, the newest first, from a place on.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn subscribers(
        &self,
        channel: ChannelId,
        after: Option<After>,
        limit: usize,
    ) -> Result<Vec<Subscriber>, StoreError> {
        let query =
            Query::with("channel", channel.to_string(), limit).ordered("at", Order::Descending).after(after);
        Ok(self.0.find::<Subscriber>(&query).await?.into_iter().map(|kept| kept.value).collect())
    }

    /// To what somebody subscribes, the newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn subscriptions_of(
        &self,
        user: UserId,
        limit: usize,
    ) -> Result<Vec<Subscriber>, StoreError> {
        let query = Query::with("user", user.to_string(), limit).ordered("at", Order::Descending);
        Ok(self.0.find::<Subscriber>(&query).await?.into_iter().map(|kept| kept.value).collect())
    }
}
