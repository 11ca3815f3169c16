//! Writes what was said: what the group of all processes that do this gets of `millrace.chat`.
//!
//! What comes together is written together: in a busy room one commit keeps a hundred messages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millrace_core::bus::{Bus, Delivery, Topic};
use millrace_core::chat::{ChatMessage, HISTORY_GROUP, Removed};
use millrace_core::event::{EventBody, Subject};
use millrace_core::ids::{ChannelId, ChannelName, UserId};
use millrace_store::StoreError;
use tokio_util::sync::CancellationToken;

use super::Rooms;
use crate::ApiState;
use crate::batches::{Batches, Group, consume};

const GROUP: Group = Group {
    name: HISTORY_GROUP,
    topics: &[Topic::Chat],
    what: "the history of chat",
    most: 256,
    gather: Duration::from_millis(50),
    apart: Duration::from_millis(400),
};
/// How far the clocks of two processes may be apart, in milliseconds.
const CLOCKS_MS: i64 = 60_000;
/// Most channels of one person.
const CHANNELS_MAX: usize = 1_000;

/// Keeps the history of all rooms until `shutdown`. What comes while the store is away waits on the bus.
pub async fn keep_history(state: ApiState, bus: Arc<dyn Bus>, shutdown: CancellationToken) {
    let keeper = Keeper { rooms: Rooms::new(state.store().clone()), state };
    consume(bus, GROUP, keeper, shutdown).await;
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

impl Batches for Keeper {
    /// Keeps all of it.
    async fn handle(&mut self, batch: &[Delivery]) -> Result<(), StoreError> {
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
        for event in batch.iter().map(|delivery| delivery.event.as_ref()) {
            if let (EventBody::UserBarred(barred), Subject::User(user)) = (&event.body, &event.subject) {
                let of_owner = match barred.owner {
                    Some(owner) => Some(self.state.studio().channels.of(owner, CHANNELS_MAX).await?),
                    None => None,
                };
                let of_owner: Option<Vec<_>> =
                    of_owner.map(|channels| channels.iter().map(|channel| channel.id).collect());
                self.rooms.remove_everywhere(of_owner.as_deref(), *user, barred.by).await?;
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
    use millrace_core::bus::Position;
    use millrace_core::chat::{MessageDeleted, MessageKind};
    use millrace_core::event::{Event, SpecVersion};
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
            news: None,
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
