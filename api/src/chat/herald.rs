//! Says in rooms what happens on their channels: what the group of all processes that do this gets of `millrace.streams`.
#![expect(clippy::disallowed_methods, reason = "shell: the clock")]

use std::future::Future;
use std::sync::Arc;

use jiff::Timestamp;
use millrace_core::bus::consume::{Failure, Handler, Retries, consume};
use millrace_core::bus::{Bus, BusFuture, Delivery, Topic};
use millrace_core::chat::{ChatMessage, Happening, MessageKind};
use millrace_core::event::{EndReason, Event, EventBody};
use millrace_core::ids::MessageId;

use super::Rooms;
use crate::ApiState;
use crate::error::chain;

/// The group. The name is kept with what it has done.
const GROUP: &str = "chat-herald";
/// What is older is no news, in seconds.
const NEWS_S: i64 = 120;

/// Says it until `shutdown`.
pub async fn say_what_happens(state: ApiState, bus: Arc<dyn Bus>, shutdown: impl Future<Output = ()> + Send) {
    consume(bus, GROUP, &[Topic::Streams], Retries::default(), Herald(state), shutdown).await;
}

struct Herald(ApiState);

/// What a room says of it. The id of the event is that of the message, so that it is said once however often it comes.
fn news(event: &Event, now: Timestamp) -> Option<ChatMessage> {
    let (happening, text) = match &event.body {
        EventBody::StreamStarted(_) => (Happening::WentLive, "The broadcast has begun."),
        EventBody::StreamEnded(ended) => match ended.reason {
            EndReason::Unpublished
            | EndReason::ReconnectWindowElapsed
            | EndReason::Stopped
            | EndReason::NodeLost => (Happening::Ended, "The broadcast has ended."),
            // It goes on, or nothing of it was seen.
            EndReason::ServerStopping | EndReason::TakenOver | EndReason::Refused => return None,
        },
        _ => return None,
    };
    if now.as_second().saturating_sub(event.time.as_second()) > NEWS_S {
        return None;
    }
    Some(ChatMessage {
        id: MessageId(event.id),
        at: event.time,
        kind: MessageKind::System,
        author: None,
        text: text.to_owned(),
        nonce: None,
        reply_to: None,
        mentions: Vec::new(),
        event: Some(happening),
        news: None,
    })
}

impl Handler for Herald {
    fn handle<'a>(&'a mut self, delivery: &'a Delivery) -> BusFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            let later = |err: &dyn std::error::Error| Failure::Later(chain(err));
            let Some(name) = delivery.event.channel() else { return Ok(()) };
            let Some(message) = news(&delivery.event, Timestamp::now()) else { return Ok(()) };
            let studio = self.0.studio();
            let Some(channel) = studio.channels.named(name).await.map_err(|err| later(&err))? else {
                return Ok(());
            };
            let room =
                Rooms::new(self.0.store().clone()).state(channel.id).await.map_err(|err| later(&err))?;
            if !room.settings.system_messages {
                return Ok(());
            }
            studio.say_in_room(name, message).await.map_err(|err| later(&err))
        })
    }
}

#[cfg(test)]
mod tests {
    use millrace_core::event::{SpecVersion, StreamEnded, StreamStarted, Subject};
    use millrace_core::ids::BroadcastId;
    use millrace_core::trace::Cause;

    use super::*;

    fn event(body: EventBody) -> Event {
        Event {
            specversion: SpecVersion::V1,
            id: uuid::Uuid::from_u128(7),
            source: "/nodes/one".into(),
            subject: Subject::Channel("studio".parse().unwrap()),
            time: Timestamp::from_second(1_000).unwrap(),
            cause: Cause::default(),
            body,
        }
    }

    #[test]
    fn a_room_says_that_a_broadcast_began_and_ended_while_it_is_news() {
        let broadcast = BroadcastId(uuid::Uuid::from_u128(1));
        let at = |second| Timestamp::from_second(second).unwrap();
        let began = event(EventBody::StreamStarted(StreamStarted { broadcast, encoder: None }));
        let said = news(&began, at(1_100)).unwrap();
        assert_eq!((said.event, said.id.0, said.at), (Some(Happening::WentLive), began.id, began.time));
        assert_eq!(news(&began, at(1_121)), None, "a new group begins with what is old");
        let ended =
            |reason| news(&event(EventBody::StreamEnded(StreamEnded { broadcast, reason })), at(1_000));
        assert_eq!(ended(EndReason::Unpublished).unwrap().event, Some(Happening::Ended));
        assert_eq!(ended(EndReason::TakenOver), None);
        assert_eq!(ended(EndReason::ServerStopping), None);
    }
}
