//! What is kept of chat: messages, rules of rooms, who may say nothing.
//!
//! [`record`] are the documents, [`Rooms`] asks and changes them, [`keep_history`] writes what was said. Who is connected and
//! what may be said is the chat's own affair: it hears of changes by events.

mod bars;
pub(crate) mod clock;
mod door;
pub(crate) mod emotes;
pub(crate) mod forget;
mod greeter;
mod herald;
mod hold;
mod keeper;
pub(crate) mod poll;
pub(crate) mod record;
mod search;
mod subscribers;

use std::sync::Arc;

use millrace_core::chat::{ChatMessage, RoomUpdated};
use millrace_core::ids::{ChannelId, MessageId, UserId};
use millrace_store::{After, Change, Changes, Order, Query, Store, StoreError};

pub use bars::{OWNER_BARS_MAX, SITE_BARS_MAX};
pub use clock::keep_time;
pub use door::{Entrance, Known, Visitor, enter, standing, visitor};
pub use forget::forget_what_is_old;
pub use greeter::say_who_follows;
pub use herald::say_what_happens;
pub(crate) use hold::tell_reviewed;
pub use hold::{HELD_MAX, HELD_MS, HELD_OF_ONE_MAX, Waiting, has_spoken, hold};
pub use keeper::keep_history;
pub use record::{ChatBar, Held, Message, Room, Sanction, Subscriber, Vote};
pub use search::{Found, Search};
pub use subscribers::SUBSCRIBERS_MAX;

/// Most people whom a room honours.
pub const VIPS_MAX: usize = 200;
/// Most documents that one change of many writes at once.
const AT_ONCE: usize = 100;
/// Most messages that are taken away together: the newest.
const REMOVED_AT_ONCE: usize = 1_000;
/// How often a message is given the next number of its room, when somebody else is faster.
const ATTEMPTS: usize = 8;

/// The rooms in the store.
#[derive(Debug, Clone)]
pub struct Rooms(Store);

impl Rooms {
    /// In this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// What is set in a room.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn state(&self, channel: ChannelId) -> Result<RoomUpdated, StoreError> {
        let room = self.0.get::<Room>(&channel.to_string()).await?;
        Ok(room.map_or_else(|| Room::new(channel).state, |room| room.value.state))
    }

    /// Changes what is set in a room; what it is now.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn change(
        &self,
        channel: ChannelId,
        change: impl Fn(&mut RoomUpdated) + Send + Sync,
    ) -> Result<RoomUpdated, StoreError> {
        let change = |mut room: Room| {
            change(&mut room.state);
            room.state.version += 1;
            room.poll_due = poll::due(&room.state);
            room
        };
        loop {
            let id = channel.to_string();
            let updated = self.0.update(&id, |room: Room| Change::<_, ()>::To(change(room))).await?;
            if let Some(Ok(room)) = updated {
                return Ok(room.state);
            }
            let room = change(Room::new(channel));
            match self.0.insert(&room).await {
                Ok(()) => return Ok(room.state),
                // Somebody else was the first.
                Err(StoreError::Conflict { .. }) => {}
                Err(err) => return Err(err),
            }
        }
    }

    /// What is said of somebody in a room, whether it still holds or not.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn sanction(&self, channel: ChannelId, user: UserId) -> Result<Option<Sanction>, StoreError> {
        let sanction = self.0.get::<Sanction>(&Sanction::id_of(channel, user)).await?;
        Ok(sanction.map(|kept| kept.value))
    }

    /// Bans somebody or times them out, in the place of what was said of them before.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn impose(&self, sanction: &Sanction) -> Result<(), StoreError> {
        loop {
            let id = Sanction::id_of(sanction.channel, sanction.user);
            let imposed = self.0.update(&id, |_: Sanction| Change::<_, ()>::To(sanction.clone())).await?;
            if imposed.is_some() {
                return Ok(());
            }
            match self.0.insert(sanction).await {
                Err(StoreError::Conflict { .. }) => {}
                done => return done,
            }
        }
    }

    /// Lifts what is said of somebody; whether there was something.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn pardon(&self, channel: ChannelId, user: UserId) -> Result<bool, StoreError> {
        let Some(kept) = self.0.get::<Sanction>(&Sanction::id_of(channel, user)).await? else {
            return Ok(false);
        };
        match self.0.commit(Changes::new().delete(&kept)).await {
            Ok(()) => Ok(true),
            Err(StoreError::Stale { .. }) => Ok(false),
            Err(err) => Err(err),
        }
    }

    /// What is said of people in a room, newest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn sanctions(
        &self,
        channel: ChannelId,
        after: Option<After>,
        limit: usize,
    ) -> Result<Vec<Sanction>, StoreError> {
        let query =
            Query::with("channel", channel.to_string(), limit).ordered("at", Order::Descending).after(after);
        Ok(self.0.find::<Sanction>(&query).await?.into_iter().map(|kept| kept.value).collect())
    }

    /// One message, if it is of this room.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn message(&self, channel: ChannelId, id: MessageId) -> Result<Option<Message>, StoreError> {
        let found = self.0.get::<Message>(&id.to_string()).await?;
        Ok(found.map(|kept| kept.value).filter(|message| message.channel == channel))
    }

    /// Messages of a room, newest first, from a place on.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn messages(
        &self,
        channel: ChannelId,
        after: Option<After>,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        let query =
            Query::with("channel", channel.to_string(), limit).ordered("seq", Order::Descending).after(after);
        Ok(self.0.find::<Message>(&query).await?.into_iter().map(|kept| kept.value).collect())
    }

    /// The last messages of a room that were not taken away, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn recent(
        &self,
        channel: ChannelId,
        limit: usize,
    ) -> Result<Vec<Arc<ChatMessage>>, StoreError> {
        let newest = self.messages(channel, None, limit).await?;
        let shown = newest.into_iter().rev().filter(|kept| kept.removed_by.is_none());
        Ok(shown.map(|kept| Arc::new(kept.message)).collect())
    }

    /// Keeps messages of several rooms together, those of a room in this order, each once.
    pub(crate) async fn keep_all(&self, rooms: &[(ChannelId, Vec<&ChatMessage>)]) -> Result<(), StoreError> {
        let mut some: &[_] = rooms;
        while !some.is_empty() {
            let (mut changes, mut count, mut taken) = (Changes::new(), 0, 0);
            // One room at least, and as many as fit.
            for (channel, messages) in some {
                if taken > 0 && count + messages.len() > AT_ONCE {
                    break;
                }
                let last = self.last(*channel).await?;
                changes = (last + 1..).zip(messages).fold(changes, |changes, (seq, message)| {
                    changes.insert(&Message::new(*channel, seq, message))
                });
                (count, taken) = (count + messages.len(), taken + 1);
            }
            let (these, rest) = some.split_at(taken);
            some = rest;
            if count <= AT_ONCE {
                match self.0.commit(changes).await {
                    Ok(()) => continue,
                    Err(StoreError::Conflict { .. }) => {}
                    Err(err) => return Err(err),
                }
            }
            // One of them is there, or too much was said in one room.
            for (channel, messages) in these {
                self.keep_many(*channel, messages).await?;
            }
        }
        Ok(())
    }

    /// Keeps messages of a room in this order, each once.
    pub(crate) async fn keep_many(
        &self,
        channel: ChannelId,
        messages: &[&ChatMessage],
    ) -> Result<(), StoreError> {
        for some in messages.chunks(AT_ONCE) {
            let last = self.last(channel).await?;
            let changes = (last + 1..).zip(some).fold(Changes::new(), |changes, (seq, message)| {
                changes.insert(&Message::new(channel, seq, message))
            });
            match self.0.commit(changes).await {
                Ok(()) => {}
                // One of them is there, or another process keeps some at the same time: one by one.
                Err(StoreError::Conflict { .. }) => {
                    for message in some {
                        self.keep(channel, message).await?;
                    }
                }
                Err(err) => return Err(err),
            }
        }
        Ok(())
    }

    /// The number of the last message; 0 if there is none.
    async fn last(&self, channel: ChannelId) -> Result<i64, StoreError> {
        Ok(self.messages(channel, None, 1).await?.first().map_or(0, |last| last.seq))
    }

    /// Keeps a message, once.
    async fn keep(&self, channel: ChannelId, message: &ChatMessage) -> Result<(), StoreError> {
        for attempt in 1.. {
            let kept = Message::new(channel, self.last(channel).await? + 1, message);
            match self.0.insert(&kept).await {
                Ok(()) => return Ok(()),
                Err(err @ StoreError::Conflict { .. }) => {
                    if self.is_kept(&kept).await? {
                        return Ok(());
                    }
                    // Another process had this number first.
                    if attempt >= ATTEMPTS {
                        return Err(err);
                    }
                }
                Err(err) => return Err(err),
            }
        }
        unreachable!("the attempts end")
    }

    /// Whether the message is there, under this id or under another one with the same nonce.
    async fn is_kept(&self, message: &Message) -> Result<bool, StoreError> {
        if self.0.get::<Message>(&message.id.to_string()).await?.is_some() {
            return Ok(true);
        }
        let (Some(author), Some(nonce)) = (message.author, &message.nonce) else { return Ok(false) };
        let query = Query::with("channel", message.channel.to_string(), 1)
            .and("author", author.to_string())
            .and("nonce", nonce.as_str());
        Ok(!self.0.find::<Message>(&query).await?.is_empty())
    }

    /// Takes messages away: they are kept for those who moderate, and shown to nobody else.
    pub(crate) async fn remove(&self, ids: &[MessageId], by: UserId) -> Result<(), StoreError> {
        for id in ids {
            let change = |mut message: Message| {
                if message.removed_by.is_some() {
                    return Change::Not(());
                }
                message.removed_by = Some(by);
                Change::To(message)
            };
            self.0.update(&id.to_string(), change).await?;
        }
        Ok(())
    }

    /// Takes away what somebody said, or what everybody said, the newest [`REMOVED_AT_ONCE`].
    pub(crate) async fn remove_all(
        &self,
        channel: ChannelId,
        author: Option<UserId>,
        by: UserId,
    ) -> Result<(), StoreError> {
        let mut query = Query::with("channel", channel.to_string(), REMOVED_AT_ONCE);
        if let Some(author) = author {
            query = query.and("author", author.to_string());
        }
        let query = query.ordered("seq", Order::Descending);
        let found = self.0.find::<Message>(&query).await?;
        let shown: Vec<_> = found.into_iter().filter(|kept| kept.removed_by.is_none()).collect();
        for some in shown.chunks(AT_ONCE) {
            let changes = some.iter().fold(Changes::new(), |changes, kept| {
                changes.replace(kept, &Message { removed_by: Some(by), ..kept.value.clone() })
            });
            self.0.commit(changes).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
