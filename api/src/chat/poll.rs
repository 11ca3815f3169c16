//! Polls of rooms: who votes, and what comes of it.
//!
//! A vote is a document, one for each person and poll, and nothing else is counted: no event of a vote crosses the bus. The poll
//! itself is among what is set in the room. To close it, it is first said that nobody votes any more, then the votes are counted,
//! then the room says the result under the id of the poll, then it is kept. Whoever finds a poll half closed does the rest,
//! and doing a step again is harmless. A vote is acknowledged when it is kept and the poll is still open after that: so it was
//! counted, or will be.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use millrace_core::chat::{ChatMessage, Happening, MessageKind, Poll, PollCounted, PollStage, RoomUpdated};
use millrace_core::event::EventBody;
use millrace_core::ids::{ChannelId, MessageId, UserId};
use millrace_store::{After, Change, Order, Query, StoreError};
use uuid::Uuid;

use super::clock::Late;
use super::{Room, Rooms, Vote};
use crate::ApiState;
use crate::accounts::Channel;
use crate::routes::lists::time;

/// How often somebody may vote otherwise in one poll.
pub(crate) const VOTE_CHANGES_MAX: u32 = 10;
/// For how long votes are kept that nobody counts, in milliseconds: a week.
const VOTES_KEPT_MS: i64 = 7 * 24 * 3_600_000;
/// For how long a count holds, in milliseconds, and in how many polls at least.
const TALLY_MS: i64 = 900;
const TALLIES: usize = 256;
/// After what time a count is told again that did not change, in milliseconds: for nodes that came later.
const AGAIN_MS: i64 = 5_000;
/// Rooms that are looked at, at once.
const AT_ONCE: usize = 100;

/// What became of a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Voted {
    /// It counts.
    Counts,
    /// The poll is closed, or is another one. Whether the vote was still counted is not known.
    Closed,
    /// There is no such answer.
    NoSuchAnswer,
    /// They voted otherwise too often.
    TooOften,
}

/// When a poll of a room is to be looked at, in milliseconds since 1970, if one is.
pub(super) fn due(room: &RoomUpdated) -> Option<i64> {
    let poll = room.poll.as_ref()?;
    match poll.stage {
        PollStage::Open | PollStage::Closing => Some(poll.closes_at.as_millisecond()),
        PollStage::Closed => None,
    }
}

fn open(room: &RoomUpdated, id: Uuid, now_ms: i64) -> Option<&Poll> {
    let is_open = |poll: &&Poll| {
        poll.id == id && poll.stage == PollStage::Open && poll.closes_at.as_millisecond() > now_ms
    };
    room.poll.as_ref().filter(is_open)
}

impl Rooms {
    /// Opens a poll; `false`: another one is not closed yet.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn open_poll(
        &self,
        channel: ChannelId,
        poll: &Poll,
    ) -> Result<Option<RoomUpdated>, StoreError> {
        let change = |room: &mut RoomUpdated| {
            if room.poll.as_ref().is_none_or(|poll| poll.stage == PollStage::Closed) {
                room.poll = Some(poll.clone());
            }
        };
        let room = self.change(channel, change).await?;
        Ok(Some(room).filter(|room| room.poll.as_ref().is_some_and(|other| other.id == poll.id)))
    }

    /// Takes a poll back of which nobody was told.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn withdraw_poll(&self, channel: ChannelId, id: Uuid) -> Result<(), StoreError> {
        let change = |room: &mut RoomUpdated| {
            if room.poll.as_ref().is_some_and(|poll| poll.id == id) {
                room.poll = None;
            }
        };
        self.change(channel, change).await.map(drop)
    }

    /// Somebody votes, or votes otherwise.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn vote(
        &self,
        channel: ChannelId,
        poll: Uuid,
        (user, answer): (UserId, usize),
        now_ms: i64,
    ) -> Result<Voted, StoreError> {
        let room = self.state(channel).await?;
        let Some(asked) = open(&room, poll, now_ms) else { return Ok(Voted::Closed) };
        let (true, Ok(answer)) = (answer < asked.answers.len(), u32::try_from(answer)) else {
            return Ok(Voted::NoSuchAnswer);
        };
        let until = asked.closes_at.as_millisecond().saturating_add(VOTES_KEPT_MS);
        let first = Vote { poll, channel, user, answer, changes: 0, at: now_ms, until };
        loop {
            let change = |vote: Vote| match vote {
                vote if vote.answer == answer => Change::Not(true),
                Vote { changes: VOTE_CHANGES_MAX.., .. } => Change::Not(false),
                vote => Change::To(Vote { answer, changes: vote.changes + 1, at: now_ms, ..vote }),
            };
            match self.0.update(&first.id_of_this(), change).await? {
                Some(Ok(_) | Err(true)) => break,
                Some(Err(false)) => return Ok(Voted::TooOften),
                None => match self.0.insert(&first).await {
                    Ok(()) => break,
                    // The same person somewhere else.
                    Err(StoreError::Conflict { .. }) => {}
                    Err(err) => return Err(err),
                },
            }
        }
        let room = self.state(channel).await?;
        let stays = room.poll.as_ref().is_some_and(|now| now.id == poll && now.stage == PollStage::Open);
        Ok(if stays { Voted::Counts } else { Voted::Closed })
    }

    /// How somebody votes.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn vote_of(&self, poll: Uuid, user: UserId) -> Result<Option<Vote>, StoreError> {
        Ok(self.0.get::<Vote>(&Vote::id_of(poll, user)).await?.map(|kept| kept.value))
    }

    /// Votes for each answer.
    async fn count_votes(&self, poll: &Poll) -> Result<Vec<u64>, StoreError> {
        let mut counts = Vec::new();
        for answer in 0..poll.answers.len() {
            let query = Query::with("poll", poll.id.to_string(), 1).and("answer", answer as u64);
            counts.push(self.0.count::<Vote>(&query).await?);
        }
        Ok(counts)
    }

    /// How somebody votes in polls that are not counted yet, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn votes_of(&self, user: UserId, limit: usize) -> Result<Vec<Vote>, StoreError> {
        let query = Query::with("user", user.to_string(), limit).ordered("at", Order::Descending);
        Ok(self.0.find::<Vote>(&query).await?.into_iter().map(|kept| kept.value).collect())
    }

    /// Rooms with a poll that is not closed, those that close first before the others.
    async fn polling(&self, after: Option<After>) -> Result<Vec<Room>, StoreError> {
        let query = Query::first(AT_ONCE).ordered("poll_due", Order::Ascending).after(after);
        Ok(self.0.find::<Room>(&query).await?.into_iter().map(|kept| kept.value).collect())
    }
}

impl Vote {
    fn id_of_this(&self) -> String {
        Self::id_of(self.poll, self.user)
    }
}

/// How people have voted a moment ago: however many ask, the votes of a poll are counted about once a second here.
#[derive(Debug, Default)]
pub(crate) struct Tallies(Mutex<HashMap<Uuid, (i64, Vec<u64>)>>);

impl Tallies {
    /// Votes for each answer of a poll.
    ///
    /// # Errors
    /// [`StoreError`]
    pub(crate) async fn of(&self, rooms: &Rooms, poll: &Poll, now_ms: i64) -> Result<Vec<u64>, StoreError> {
        if poll.stage == PollStage::Closed {
            return Ok(poll.counts.clone());
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&poll.id).cloned();
        if let Some((_, counts)) = known.filter(|(at, _)| now_ms.saturating_sub(*at) < TALLY_MS) {
            return Ok(counts);
        }
        let counts = rooms.count_votes(poll).await?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= TALLIES {
            all.retain(|_, (at, _)| now_ms.saturating_sub(*at) < TALLY_MS);
        }
        all.insert(poll.id, (now_ms, counts.clone()));
        Ok(counts)
    }
}

/// Closes a poll of a room and says its result; harmless if it is closed. `None`: there is no such poll.
///
/// # Errors
/// It is half closed; whoever does it again goes on.
pub(crate) async fn close(state: &ApiState, channel: &Channel, id: Uuid) -> Result<Option<Poll>, Late> {
    let rooms = Rooms::new(state.store().clone());
    let now = time(state.now_ms());
    let this = |room: &RoomUpdated, stage| {
        room.poll.as_ref().filter(|poll| poll.id == id).is_some_and(|poll| poll.stage == stage)
    };
    let mut room = rooms.state(channel.id).await?;
    if this(&room, PollStage::Open) {
        let change = |room: &mut RoomUpdated| {
            if let Some(poll) =
                room.poll.as_mut().filter(|poll| poll.id == id && poll.stage == PollStage::Open)
            {
                poll.stage = PollStage::Closing;
                poll.closes_at = poll.closes_at.min(now);
            }
        };
        room = rooms.change(channel.id, change).await?;
    }
    if this(&room, PollStage::Closing)
        && let Some(poll) = room.poll.clone()
    {
        let counts = rooms.count_votes(&poll).await?;
        state.studio().say_in_room(&channel.name, result(&poll, &counts)).await?;
        let change = |room: &mut RoomUpdated| {
            if let Some(poll) =
                room.poll.as_mut().filter(|poll| poll.id == id && poll.stage == PollStage::Closing)
            {
                poll.stage = PollStage::Closed;
                poll.counts.clone_from(&counts);
            }
        };
        room = rooms.change(channel.id, change).await?;
        state.studio().tell_room(&channel.name, EventBody::RoomUpdated(Box::new(room.clone()))).await?;
        rooms.remove_of::<Vote>("poll", &id.to_string()).await?;
    }
    Ok(room.poll.filter(|poll| poll.id == id))
}

/// What the room says of the result.
fn result(poll: &Poll, counts: &[u64]) -> ChatMessage {
    let all: u64 = counts.iter().sum();
    let answers: Vec<_> = poll
        .answers
        .iter()
        .zip(counts)
        .map(|(answer, count)| format!("{answer} {} % ({count})", percent(*count, all)))
        .collect();
    let came = if all == 0 { "nobody voted".to_owned() } else { answers.join(" \u{b7} ") };
    let colon = if poll.question.ends_with(['?', '!', '.', ':']) { "" } else { ":" };
    ChatMessage {
        id: MessageId(poll.id),
        at: poll.closes_at,
        kind: MessageKind::System,
        author: None,
        text: format!("Poll: {}{colon} {came}", poll.question),
        nonce: None,
        reply_to: None,
        mentions: Vec::new(),
        event: Some(Happening::PollClosed),
        news: None,
    }
}

/// A share of `all`, rounded.
fn percent(count: u64, all: u64) -> u64 {
    if all == 0 { 0 } else { (count * 200 + all) / (all * 2) }
}

/// What a process said last of polls.
#[derive(Debug, Default)]
pub(super) struct Told(HashMap<Uuid, (i64, Vec<u64>)>);

/// Tells how people have voted in all polls that run, and closes those whose time is over.
///
/// # Errors
/// [`Late`]
pub(super) async fn look_after_polls(state: &ApiState, told: &mut Told) -> Result<(), Late> {
    let rooms = Rooms::new(state.store().clone());
    let (mut after, mut running, mut done) = (None, HashMap::new(), Ok(()));
    loop {
        let page = rooms.polling(after.take()).await?;
        for room in &page {
            let Some(poll) = &room.state.poll else { continue };
            let Some(channel) = state.studio().channels.get(room.channel).await? else { continue };
            let now_ms = state.now_ms();
            if poll.stage == PollStage::Closing || poll.closes_at.as_millisecond() <= now_ms {
                done = close(state, &channel, poll.id).await.map(drop).and(done);
                continue;
            }
            let counts = state.studio().tallies.of(&rooms, poll, now_ms).await?;
            let before = told.0.get(&poll.id);
            let stays = before.filter(|(at, said)| *said == counts && now_ms.saturating_sub(*at) < AGAIN_MS);
            if let Some(said) = stays {
                running.insert(poll.id, said.clone());
                continue;
            }
            running.insert(poll.id, (now_ms, counts.clone()));
            state.studio().tell_votes(&channel.name, PollCounted { poll: poll.id, counts }).await;
        }
        let Some(last) = page.last().filter(|_| page.len() == AT_ONCE) else { break };
        let value = last.poll_due.unwrap_or_default().into();
        after = Some(After { value, id: last.channel.to_string() });
    }
    told.0 = running;
    done
}

#[cfg(test)]
#[path = "poll_tests.rs"]
mod tests;
