//! Writes what was said: what the group of all processes that do this gets of `millrace.chat`.
//!
//! What comes together is written together: in a busy room one commit keeps a hundred messages.
#![expect(clippy::disallowed_methods, reason = "shell: pauses")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_core::bus::{Bus, BusError, Delivery, Member, Position, Topic};
use millrace_core::chat::{ChatMessage, HISTORY_GROUP, Removed};
use millrace_core::event::EventBody;
use millrace_core::ids::{ChannelId, ChannelName, UserId};
use millrace_store::StoreError;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::Rooms;
use crate::ApiState;
use crate::error::chain;

/// Most events that are written together.
const BATCH: usize = 256;
/// How long one waits for more of them.
const GATHER: Duration = Duration::from_millis(50);
/// How often something is written where much is said everywhere.
const APART: Duration = Duration::from_millis(400);
/// How long a store or a bus that is away is left alone.
const PAUSE: Duration = Duration::from_secs(1);
/// How far the clocks of two processes may be apart, in milliseconds.
const CLOCKS_MS: i64 = 60_000;

/// Keeps the history of all rooms until `shutdown`. What comes while the store is away waits on the bus.
pub async fn keep_history(state: ApiState, bus: Arc<dyn Bus>, shutdown: CancellationToken) {
    let keeper = Keeper { rooms: Rooms::new(state.store().clone()), state };
    loop {
        let work = async {
            let mut member = bus.join(HISTORY_GROUP, &[Topic::Chat]).await?;
            let mut wrote = Instant::now();
            loop {
                let batch = gather(member.as_mut(), wrote + APART).await?;
                wrote = Instant::now();
                keeper.keep_all(&batch).await;
                let ends: BTreeMap<u16, Position> =
                    batch.iter().map(|delivery| (delivery.position.partition, delivery.position)).collect();
                let ends: Vec<_> = ends.into_values().collect();
                match member.commit(&ends).await {
                    Err(BusError::Closed) => return Err(BusError::Closed),
                    // What comes again is kept already, and the next commit is for this one too.
                    Err(err) => tracing::warn!(%err, "what was said in chat may come again to its history"),
                    Ok(()) => {}
                }
            }
        };
        let failed: Result<(), BusError> = match shutdown.run_until_cancelled(work).await {
            None => return,
            Some(failed) => failed,
        };
        match failed {
            Ok(()) | Err(BusError::Closed) => return,
            Err(err) => tracing::warn!(%err, "the history of chat waits for the bus"),
        }
        if shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
            return;
        }
    }
}

/// The next event, and what comes with it: soon where little is said, and not before `not_before` where much is.
async fn gather(member: &mut dyn Member, not_before: Instant) -> Result<Vec<Delivery>, BusError> {
    let mut batch = vec![member.next().await?];
    let until = not_before.max(Instant::now() + GATHER);
    while batch.len() < BATCH {
        match timeout_at(until, member.next()).await {
            Ok(delivery) => batch.push(delivery?),
            Err(_) => break,
        }
    }
    Ok(batch)
}

/// Messages of a room, in order.
type Said<'a> = (ChannelId, Vec<&'a ChatMessage>);

/// What is done with the events of one room that come one after the other.
#[derive(Debug, PartialEq, Eq)]
enum Work<'a> {
    Keep(ChannelId, Vec<&'a ChatMessage>),
    Remove(ChannelId, &'a Removed, UserId),
    RemoveAuthor(ChannelId, UserId, UserId),
}

struct Keeper {
    state: ApiState,
    rooms: Rooms,
}

impl Keeper {
    /// Keeps all of it, again until it is done.
    async fn keep_all(&self, batch: &[Delivery]) {
        loop {
            match self.keep(batch).await {
                Ok(()) => return,
                Err(err) => {
                    tracing::warn!(err = %chain(&err), "what was said in chat waits for the store");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn keep(&self, batch: &[Delivery]) -> Result<(), StoreError> {
        let mut channels: BTreeMap<&ChannelName, Option<(ChannelId, i64)>> = BTreeMap::new();
        for name in batch.iter().filter_map(|delivery| delivery.event.channel()) {
            if !channels.contains_key(name) {
                let channel = self.state.studio().channels.named(name).await?;
                channels.insert(name, channel.map(|channel| (channel.id, channel.created_at)));
            }
        }
        let (said, rest) = plan(batch, |name| channels.get(name).copied().flatten());
        self.rooms.keep_all(&said).await?;
        for work in rest {
            match work {
                Work::Keep(channel, messages) => self.rooms.keep_many(channel, &messages).await?,
                Work::Remove(_, Removed::Messages(ids), by) => self.rooms.remove(ids, by).await?,
                Work::Remove(channel, Removed::Author(author), by) => {
                    self.rooms.remove_all(channel, Some(*author), by).await?;
                }
                Work::RemoveAuthor(channel, author, by) => {
                    self.rooms.remove_all(channel, Some(author), by).await?;
                }
                Work::Remove(channel, Removed::All(_), by) => {
                    self.rooms.remove_all(channel, None, by).await?
                }
            }
        }
        Ok(())
    }
}

/// What was said first in each room, and what comes after it. The order of a room stays; of several rooms there is none.
fn plan<'a>(
    batch: &'a [Delivery],
    channel_of: impl Fn(&ChannelName) -> Option<(ChannelId, i64)>,
) -> (Vec<Said<'a>>, Vec<Work<'a>>) {
    let mut rooms: BTreeMap<ChannelId, Vec<Work<'a>>> = BTreeMap::new();
    for delivery in batch {
        let event = delivery.event.as_ref();
        // Of a channel that is gone, nothing is kept, whoever has its name now.
        let at = event.time.as_millisecond().saturating_add(CLOCKS_MS);
        let found = event.channel().and_then(&channel_of).filter(|(_, created_at)| *created_at <= at);
        let Some((channel, _)) = found else { continue };
        let room = rooms.entry(channel).or_default();
        match &event.body {
            EventBody::MessageSent(message) => match room.last_mut() {
                Some(Work::Keep(_, messages)) => messages.push(message),
                _ => room.push(Work::Keep(channel, vec![message])),
            },
            EventBody::MessageDeleted(deleted) => {
                room.push(Work::Remove(channel, &deleted.removed, deleted.by))
            }
            EventBody::UserTimedOut(out) => room.push(Work::RemoveAuthor(channel, out.user, out.by)),
            EventBody::UserBanned(banned) => {
                room.extend(banned.chat.as_ref().map(|ban| Work::RemoveAuthor(channel, ban.user, ban.by)));
            }
            _ => {}
        }
    }
    let (mut said, mut rest) = (Vec::new(), Vec::new());
    for room in rooms.into_values() {
        let mut room = room.into_iter();
        match room.next() {
            Some(Work::Keep(channel, messages)) => said.push((channel, messages)),
            first => rest.extend(first),
        }
        rest.extend(room);
    }
    (said, rest)
}

#[cfg(test)]
mod tests {
    use millrace_core::chat::{MessageDeleted, MessageKind};
    use millrace_core::event::{Event, SpecVersion, Subject};
    use millrace_core::ids::MessageId;
    use millrace_core::trace::Cause;

    use super::*;

    fn delivery(room: &str, body: EventBody) -> Delivery {
        let event = Event {
            specversion: SpecVersion::V1,
            id: uuid::Uuid::nil(),
            source: "/nodes/one".into(),
            subject: Subject::Channel(room.parse().unwrap()),
            time: jiff::Timestamp::from_millisecond(100_000).unwrap(),
            cause: Cause::default(),
            body,
        };
        let position = Position { topic: Topic::Chat, partition: 0, offset: 0 };
        Delivery { position, event: Arc::new(event), headers: BTreeMap::new() }
    }

    fn said(room: &str, number: u128) -> Delivery {
        let message = ChatMessage {
            id: MessageId(uuid::Uuid::from_u128(number)),
            at: jiff::Timestamp::from_millisecond(0).unwrap(),
            kind: MessageKind::Text,
            author: None,
            text: String::new(),
            nonce: None,
            reply_to: None,
            mentions: Vec::new(),
            event: None,
        };
        delivery(room, EventBody::MessageSent(Box::new(message)))
    }

    #[test]
    fn what_is_said_together_is_kept_together_and_nothing_overtakes_a_removal() {
        let (one, two) = (ChannelId(uuid::Uuid::from_u128(1)), ChannelId(uuid::Uuid::from_u128(2)));
        let by = UserId(uuid::Uuid::from_u128(9));
        let clear = EventBody::MessageDeleted(MessageDeleted { removed: Removed::All(true), by });
        let batch = [
            said("one", 1),
            said("two", 2),
            said("one", 3),
            delivery("one", clear),
            said("one", 4),
            said("gone", 5),
            said("new", 6),
        ];
        let (said, rest) = plan(&batch, |name| match name.as_str() {
            "one" => Some((one, 0)),
            "two" => Some((two, 160_000)),
            // Its events are those of a channel that had the name before.
            "new" => Some((two, 160_001)),
            _ => None,
        });
        let ids = |messages: &[&ChatMessage]| -> Vec<_> {
            messages.iter().map(|message| message.id.0.as_u128()).collect()
        };
        let said: Vec<_> = said.iter().map(|(channel, messages)| (*channel, ids(messages))).collect();
        assert_eq!(said, [(one, vec![1, 3]), (two, vec![2])]);
        let rest: Vec<_> = rest
            .iter()
            .map(|work| match work {
                Work::Keep(channel, messages) => (*channel, ids(messages)),
                Work::Remove(channel, ..) | Work::RemoveAuthor(channel, ..) => (*channel, Vec::new()),
            })
            .collect();
        assert_eq!(rest, [(one, vec![]), (one, vec![4])]);
    }
}
