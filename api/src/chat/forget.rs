//! What is not kept any more: what was said long ago, what somebody said whose account is gone, what was said on a channel
//! that is gone.
#![expect(clippy::disallowed_methods, reason = "shell: the clock, pauses")]

use std::time::Duration;

use millrace_core::chat::RoomUpdated;
use millrace_core::event::EventBody;
use millrace_core::ids::{ChannelId, UserId};
use millrace_store::{After, Change, Changes, Document, Order, Query, StoreError};
use tokio_util::sync::CancellationToken;

use super::{ChatBar, Held, Message, Room, Rooms, Sanction, Subscriber, Vote};
use crate::ApiState;
use crate::error::chain;

/// Documents that are removed, or looked at, at once: others write between two of these.
const AT_ONCE: usize = 500;
/// How often what is too old is looked for.
const EVERY: Duration = Duration::from_secs(600);
/// Between two times that much of it is removed.
const PAUSE: Duration = Duration::from_millis(200);
const DAY_MS: i64 = 24 * 3_600_000;

/// Removes what was said more than `days` days ago, and time-outs that are over, until `shutdown`. With 0 days nothing that
/// was said is too old.
pub async fn forget_what_is_old(state: ApiState, days: u32, shutdown: CancellationToken) {
    let rooms = Rooms::new(state.store().clone());
    let mut often = tokio::time::interval(EVERY);
    while shutdown.run_until_cancelled(often.tick()).await.is_some() {
        loop {
            let pause = match rooms.forget_old(days, state.now_ms()).await {
                Ok(true) => PAUSE,
                Ok(false) => break,
                Err(err) => {
                    tracing::warn!(err = %chain(&err), "what was said in chat long ago is not removed yet");
                    break;
                }
            };
            if shutdown.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
        }
    }
}

/// Removes what a person said or wanted to say in all rooms, what was said of them there, and their place among those who are honoured.
///
/// # Errors
/// The store does not answer: some of it is still there.
pub(crate) async fn forget_person(state: &ApiState, user: UserId) -> Result<(), StoreError> {
    for (channel, room) in Rooms::new(state.store().clone()).forget_person(user).await? {
        let Some(channel) = state.studio().channels.get(channel).await? else { continue };
        // Who does not hear it reads it from the store with the next change.
        let told = state.studio().tell_room(&channel.name, EventBody::RoomUpdated(Box::new(room))).await;
        if let Err(err) = told {
            tracing::warn!(stream.id = %channel.name, %err, "the chat of {} is not told who is gone", channel.name);
        }
    }
    Ok(())
}

impl Rooms {
    /// Removes some of what is too old; whether there may be more.
    async fn forget_old(&self, days: u32, now_ms: i64) -> Result<bool, StoreError> {
        let mut removed = self.0.remove_below::<Sanction>("until", now_ms, AT_ONCE).await?;
        removed = removed.max(self.0.remove_below::<Held>("forget", now_ms, AT_ONCE).await?);
        removed = removed.max(self.0.remove_below::<Subscriber>("until", now_ms, AT_ONCE).await?);
        removed = removed.max(self.0.remove_below::<Vote>("until", now_ms, AT_ONCE).await?);
        if days > 0 {
            let below = now_ms.saturating_sub(i64::from(days).saturating_mul(DAY_MS));
            removed = removed.max(self.0.remove_below::<Message>("at", below, AT_ONCE).await?);
        }
        Ok(removed >= AT_ONCE as u64)
    }

    /// Removes what a person said and what was said of them; the rooms that are others now.
    pub(super) async fn forget_person(
        &self,
        user: UserId,
    ) -> Result<Vec<(ChannelId, RoomUpdated)>, StoreError> {
        self.remove_of::<Message>("author", &user.to_string()).await?;
        self.remove_of::<Held>("author", &user.to_string()).await?;
        self.remove_of::<Vote>("user", &user.to_string()).await?;
        self.remove_of::<Subscriber>("user", &user.to_string()).await?;
        self.remove_of::<Sanction>("user", &user.to_string()).await?;
        self.remove_of::<ChatBar>("user", &user.to_string()).await?;
        self.remove_of::<ChatBar>("list", &ChatBar::list_of(Some(user))).await?;
        let (mut changed, mut after) = (Vec::new(), None);
        loop {
            let page = self.0.find::<Room>(&Query::first(AT_ONCE).after(after.take())).await?;
            for room in page.iter().filter(|room| names(&room.state, user)) {
                let without = |mut room: Room| {
                    if !names(&room.state, user) {
                        return Change::Not(());
                    }
                    forget_in(&mut room.state, user);
                    room.state.version += 1;
                    Change::To(room)
                };
                if let Some(Ok(room)) = self.0.update(&room.id(), without).await? {
                    changed.push((room.channel, room.state));
                }
            }
            let Some(last) = page.last().filter(|_| page.len() == AT_ONCE) else { return Ok(changed) };
            after = Some(After { value: 0.into(), id: last.id() });
        }
    }

    /// Removes everything of a channel that is gone.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn forget_channel(&self, channel: ChannelId) -> Result<(), StoreError> {
        self.remove_of::<Message>("channel", &channel.to_string()).await?;
        self.remove_of::<Held>("channel", &channel.to_string()).await?;
        self.remove_of::<Vote>("channel", &channel.to_string()).await?;
        self.remove_of::<Subscriber>("channel", &channel.to_string()).await?;
        self.remove_of::<Sanction>("channel", &channel.to_string()).await?;
        self.0.commit(Changes::new().delete_id::<Room>(channel.to_string())).await
    }

    pub(super) async fn remove_of<T: Document>(
        &self,
        field: &'static str,
        value: &str,
    ) -> Result<(), StoreError> {
        loop {
            let found = self.0.find::<T>(&Query::with(field, value, AT_ONCE)).await?;
            if found.is_empty() {
                return Ok(());
            }
            let changes =
                found.iter().fold(Changes::new(), |changes, kept| changes.delete_id::<T>(kept.value.id()));
            self.0.commit(changes).await?;
        }
    }

    /// What somebody said in all rooms, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn said_by(&self, user: UserId, limit: usize) -> Result<Vec<Message>, StoreError> {
        let query = Query::with("author", user.to_string(), limit).ordered("at", Order::Descending);
        Ok(self.0.find::<Message>(&query).await?.into_iter().map(|kept| kept.value).collect())
    }

    /// What is said of somebody in all rooms, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn sanctions_of(&self, user: UserId, limit: usize) -> Result<Vec<Sanction>, StoreError> {
        let query = Query::with("user", user.to_string(), limit).ordered("at", Order::Descending);
        Ok(self.0.find::<Sanction>(&query).await?.into_iter().map(|kept| kept.value).collect())
    }
}

/// Whether the person is in what is set in a room.
fn names(room: &RoomUpdated, user: UserId) -> bool {
    room.vips.contains(&user) || is_by(room, user)
}

fn is_by(room: &RoomUpdated, user: UserId) -> bool {
    let author = room.pinned.as_ref().and_then(|pinned| pinned.author.as_ref());
    author.is_some_and(|author| author.id == user)
}

fn forget_in(room: &mut RoomUpdated, user: UserId) {
    if is_by(room, user) {
        room.pinned = None;
    }
    room.vips.retain(|vip| *vip != user);
}

#[cfg(test)]
#[path = "forget_tests.rs"]
mod tests;
