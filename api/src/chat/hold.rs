//! Messages that wait for somebody who moderates before others see them.
//!
//! A message waits as a document: whoever is told that it waits finds it again after any crash. The first decision about it
//! holds, however many decide at once. Its author and the room are told after that, again by [`tell_what_is_due`] if the
//! process that decided dies in between.

use millrace_core::bus::BusError;
use millrace_core::chat::{ChatMessage, Decision, HoldReason, MessageReviewed};
use millrace_core::event::EventBody;
use millrace_core::ids::{ChannelId, ChannelName, MessageId, UserId};
use millrace_http::problem::Problem;
use millrace_store::{After, Change, Order, Query, StoreError};

use super::clock::Late;
use super::{Held, Message, Rooms};
use crate::ApiState;
use crate::error::{ApiError, chain};
use crate::routes::lists::time;

/// Most messages that wait in a room: one more, and the oldest expires.
pub const HELD_MAX: usize = 200;
/// Most messages of one person that wait in a room.
pub const HELD_OF_ONE_MAX: usize = 5;
/// For how long a message waits, in milliseconds: half an hour. What is said later answers nobody.
pub const HELD_MS: i64 = 30 * 60_000;
/// For how long it is known what was decided, in milliseconds: a day.
const DECIDED_MS: i64 = 24 * 3_600_000;
/// After how many milliseconds whoever decided had the time to tell the room.
const TELL_AFTER_MS: i64 = 10_000;
/// Documents that are looked at, at once.
const AT_ONCE: usize = 100;
/// Messages of a person of which one is to be found that was not taken away.
const SPOKEN: usize = 20;

/// What became of a message that was to wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waiting {
    /// It waits, since now or since an earlier try; another one may have expired to make room for it.
    Waits(Box<Held>, Option<Box<Held>>),
    /// An earlier try under the same nonce waited, and this was decided.
    Reviewed(MessageId, Decision),
    /// So many messages of the author wait.
    Full(usize),
}

impl Rooms {
    /// Whether somebody said something in a room that was not taken away, as far as that is kept.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn has_spoken(&self, channel: ChannelId, user: UserId) -> Result<bool, StoreError> {
        let query = Query::with("channel", channel.to_string(), SPOKEN)
            .and("author", user.to_string())
            .ordered("seq", Order::Descending);
        let said = self.0.find::<Message>(&query).await?;
        Ok(said.iter().any(|message| message.removed_by.is_none()))
    }

    /// Lets a message wait, once for each nonce.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn hold(
        &self,
        channel: ChannelId,
        message: &ChatMessage,
        why: HoldReason,
        now_ms: i64,
    ) -> Result<Waiting, StoreError> {
        let Some(author) = message.author.as_ref().map(|author| author.id) else {
            // What the site says waits for nobody.
            return Ok(Waiting::Reviewed(message.id, Decision::Allowed));
        };
        let of = Held::of(channel, author);
        let held = Held {
            id: message.id,
            channel,
            author,
            nonce: message.nonce.clone(),
            at: now_ms,
            why,
            message: message.clone(),
            queue: Some(channel),
            of: Some(of.clone()),
            until: Some(now_ms.saturating_add(HELD_MS)),
            decision: None,
            by: None,
            untold: None,
            forget: None,
        };
        if let Some(before) = self.held_as(&held).await? {
            return Ok(tried(before));
        }
        let mine = self.0.count::<Held>(&Query::with("of", of, HELD_OF_ONE_MAX)).await?;
        if mine >= HELD_OF_ONE_MAX as u64 {
            return Ok(Waiting::Full(HELD_OF_ONE_MAX));
        }
        match self.0.insert(&held).await {
            Ok(()) => {}
            // The same at the same time.
            Err(StoreError::Conflict { .. }) => {
                let before = self.held_as(&held).await?;
                return Ok(before.map_or(Waiting::Full(HELD_OF_ONE_MAX), tried));
            }
            Err(err) => return Err(err),
        }
        let all = self.0.count::<Held>(&Query::with("queue", channel.to_string(), HELD_MAX)).await?;
        let mut dropped = None;
        if all > HELD_MAX as u64
            && let Some(oldest) = self.held(channel, None, 1).await?.pop()
            && let Some(Ok(expired)) = self.decide(oldest.id, Decision::Expired, None, now_ms).await?
        {
            dropped = Some(Box::new(expired));
        }
        Ok(Waiting::Waits(Box::new(held), dropped))
    }

    async fn held_as(&self, held: &Held) -> Result<Option<Held>, StoreError> {
        let Some(nonce) = &held.nonce else { return Ok(None) };
        let query = Query::with("channel", held.channel.to_string(), 1)
            .and("author", held.author.to_string())
            .and("nonce", nonce.as_str());
        Ok(self.0.find::<Held>(&query).await?.pop().map(|kept| kept.value))
    }

    /// What waits in a room, oldest first, from a place on.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn held(
        &self,
        channel: ChannelId,
        after: Option<After>,
        limit: usize,
    ) -> Result<Vec<Held>, StoreError> {
        let query =
            Query::with("queue", channel.to_string(), limit).ordered("at", Order::Ascending).after(after);
        Ok(self.0.find::<Held>(&query).await?.into_iter().map(|kept| kept.value).collect())
    }

    /// One message that waits or waited in a room.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn held_one(&self, channel: ChannelId, id: MessageId) -> Result<Option<Held>, StoreError> {
        let found = self.0.get::<Held>(&id.to_string()).await?;
        Ok(found.map(|kept| kept.value).filter(|held| held.channel == channel))
    }

    /// Decides about a message that waits; the inner error is what was decided before. `None`: there is no such message.
    /// The room is to be told then: [`tell_reviewed`].
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn decide(
        &self,
        id: MessageId,
        decision: Decision,
        by: Option<UserId>,
        now_ms: i64,
    ) -> Result<Option<Result<Held, Box<Held>>>, StoreError> {
        let change = |held: Held| {
            if held.decision.is_some() {
                return Change::Not(Box::new(held));
            }
            // Nobody decides about what expired a moment ago.
            let late = held.until.is_none_or(|until| until <= now_ms);
            let (decision, by) = if late { (Decision::Expired, None) } else { (decision, by) };
            Change::To(Held {
                decision: Some(decision),
                by,
                queue: None,
                of: None,
                until: None,
                untold: Some(now_ms),
                forget: Some(now_ms.saturating_add(DECIDED_MS)),
                ..held
            })
        };
        self.0.update(&id.to_string(), change).await
    }

    /// The room knows what was decided.
    async fn told(&self, id: MessageId) -> Result<(), StoreError> {
        let change = |held: Held| match held.untold {
            Some(_) => Change::To(Held { untold: None, ..held }),
            None => Change::Not(()),
        };
        self.0.update(&id.to_string(), change).await.map(drop)
    }

    /// What of somebody waits in a room.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn held_of(&self, channel: ChannelId, user: UserId) -> Result<Vec<Held>, StoreError> {
        let query = Query::with("of", Held::of(channel, user), HELD_OF_ONE_MAX);
        Ok(self.0.find::<Held>(&query).await?.into_iter().map(|kept| kept.value).collect())
    }

    /// What of somebody waits or waited lately in all rooms, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn held_by(&self, user: UserId, limit: usize) -> Result<Vec<Held>, StoreError> {
        let query = Query::with("author", user.to_string(), limit).ordered("at", Order::Descending);
        Ok(self.0.find::<Held>(&query).await?.into_iter().map(|kept| kept.value).collect())
    }

    /// What waited until now, and what was decided and perhaps not told.
    async fn due(&self, now_ms: i64) -> Result<(Vec<Held>, Vec<Held>), StoreError> {
        let first = |field| Query::first(AT_ONCE).ordered(field, Order::Ascending);
        let expired = self.0.find::<Held>(&first("until")).await?.into_iter().map(|kept| kept.value);
        let untold = self.0.find::<Held>(&first("untold")).await?.into_iter().map(|kept| kept.value);
        let told_by = now_ms.saturating_sub(TELL_AFTER_MS);
        Ok((
            expired.filter(|held| held.until.is_some_and(|until| until <= now_ms)).collect(),
            untold.filter(|held| held.untold.is_some_and(|since| since <= told_by)).collect(),
        ))
    }
}

fn tried(before: Held) -> Waiting {
    match before.decision {
        Some(decision) => Waiting::Reviewed(before.id, decision),
        None => Waiting::Waits(Box::new(before), None),
    }
}

/// What the room is told of a decision.
fn reviewed(held: &Held) -> MessageReviewed {
    let decision = held.decision.unwrap_or(Decision::Expired);
    MessageReviewed { id: held.id, author: held.author, nonce: held.nonce.clone(), decision, by: held.by }
}

/// Lets a message wait in the room of a channel.
///
/// # Errors
/// There is no such channel, or the store is away.
pub async fn hold(
    state: &ApiState,
    name: &ChannelName,
    message: &ChatMessage,
    why: HoldReason,
) -> Result<Waiting, ApiError> {
    let channel = state.studio().channels.named(name).await?.ok_or_else(Problem::not_found)?;
    let waiting = Rooms::new(state.store().clone()).hold(channel.id, message, why, state.now_ms()).await?;
    if let Waiting::Waits(_, Some(dropped)) = &waiting
        && let Err(err) = tell_reviewed(state, name, dropped).await
    {
        tracing::warn!(stream.id = %name, %err, "that a message waits no more is told later");
    }
    Ok(waiting)
}

/// Whether somebody said something in the room of a channel that was not taken away.
///
/// # Errors
/// There is no such channel, or the store is away.
pub async fn has_spoken(state: &ApiState, name: &ChannelName, user: UserId) -> Result<bool, ApiError> {
    let channel = state.studio().channels.named(name).await?.ok_or_else(Problem::not_found)?;
    Ok(Rooms::new(state.store().clone()).has_spoken(channel.id, user).await?)
}

/// Says what is allowed, and tells the author and those who moderate what was decided. Doing it again is harmless.
///
/// # Errors
/// They are not told, or perhaps not.
pub(crate) async fn tell_reviewed(
    state: &ApiState,
    channel: &ChannelName,
    held: &Held,
) -> Result<(), BusError> {
    if held.decision == Some(Decision::Allowed) {
        // Its place is among what is said now.
        let at = time(held.untold.unwrap_or(held.at));
        let message = ChatMessage { at, ..held.message.clone() };
        state.studio().say_in_room(channel, message).await?;
    }
    state.studio().tell_room(channel, EventBody::MessageReviewed(reviewed(held))).await?;
    if let Err(err) = Rooms::new(state.store().clone()).told(held.id).await {
        tracing::warn!(stream.id = %channel, err = %chain(&err), "what was decided is told again in a moment");
    }
    Ok(())
}

/// Lets go what waited for too long, and tells what whoever decided could not tell.
///
/// # Errors
/// [`Late`]
pub(super) async fn tell_what_is_due(state: &ApiState) -> Result<(), Late> {
    let rooms = Rooms::new(state.store().clone());
    let now_ms = state.now_ms();
    let (expired, untold) = rooms.due(now_ms).await?;
    let mut due = untold;
    for held in expired {
        if let Some(Ok(held)) = rooms.decide(held.id, Decision::Expired, None, now_ms).await? {
            due.push(held);
        }
    }
    let mut done = Ok(());
    for held in due {
        let Some(channel) = state.studio().channels.get(held.channel).await? else { continue };
        // The others are told, whatever is wrong with this one.
        done = tell_reviewed(state, &channel.name, &held).await.map_err(Late::from).and(done);
    }
    done
}

#[cfg(test)]
#[path = "hold_tests.rs"]
mod tests;
