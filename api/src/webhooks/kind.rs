//! Sans-IO: what a webhook can be told.

use millrace_core::event::EventBody;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum WebhookEvent {
    /// Something was said in the room, by a person or by the site.
    #[serde(rename = "message.sent")]
    MessageSent,
    /// Something that was said was taken away.
    #[serde(rename = "message.removed")]
    MessageRemoved,
    /// Somebody says nothing in the room for a while.
    #[serde(rename = "person.timed_out")]
    PersonTimedOut,
    /// Somebody says nothing in the room any more.
    #[serde(rename = "person.banned")]
    PersonBanned,
    /// A ban or a time-out was lifted.
    #[serde(rename = "person.pardoned")]
    PersonPardoned,
    /// The rules of the room, or the message on top, are others.
    #[serde(rename = "room.updated")]
    RoomUpdated,
    /// A broadcast began.
    #[serde(rename = "stream.started")]
    StreamStarted,
    /// A broadcast ended.
    #[serde(rename = "stream.ended")]
    StreamEnded,
    /// Somebody follows the channel.
    #[serde(rename = "channel.followed")]
    ChannelFollowed,
}

/// What the owner sends to see whether it arrives. It cannot be asked for, and always comes.
pub const TEST: &str = "webhook.test";

impl WebhookEvent {
    /// As it is written.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::MessageSent => "message.sent",
            Self::MessageRemoved => "message.removed",
            Self::PersonTimedOut => "person.timed_out",
            Self::PersonBanned => "person.banned",
            Self::PersonPardoned => "person.pardoned",
            Self::RoomUpdated => "room.updated",
            Self::StreamStarted => "stream.started",
            Self::StreamEnded => "stream.ended",
            Self::ChannelFollowed => "channel.followed",
        }
    }

    /// Which of them an event of the bus about a channel is, if any.
    #[must_use]
    pub const fn of(body: &EventBody) -> Option<Self> {
        match body {
            EventBody::MessageSent(_) => Some(Self::MessageSent),
            EventBody::MessageDeleted(_) => Some(Self::MessageRemoved),
            EventBody::UserTimedOut(_) => Some(Self::PersonTimedOut),
            EventBody::UserBanned(banned) if banned.chat.is_some() => Some(Self::PersonBanned),
            EventBody::UserUnbanned(pardoned) if pardoned.chat.is_some() => Some(Self::PersonPardoned),
            EventBody::RoomUpdated(_) => Some(Self::RoomUpdated),
            EventBody::StreamStarted(_) => Some(Self::StreamStarted),
            EventBody::StreamEnded(_) => Some(Self::StreamEnded),
            EventBody::ChannelFollowed(_) => Some(Self::ChannelFollowed),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use millrace_core::event::{UserBanned, UserDeleted};

    use super::*;

    #[test]
    fn kinds_are_written_as_they_are_named() {
        for kind in [
            WebhookEvent::MessageSent,
            WebhookEvent::MessageRemoved,
            WebhookEvent::PersonTimedOut,
            WebhookEvent::PersonBanned,
            WebhookEvent::PersonPardoned,
            WebhookEvent::RoomUpdated,
            WebhookEvent::StreamStarted,
            WebhookEvent::StreamEnded,
            WebhookEvent::ChannelFollowed,
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    #[test]
    fn what_the_site_does_to_people_is_no_channels() {
        assert_eq!(WebhookEvent::of(&EventBody::UserBanned(UserBanned::default())), None);
        assert_eq!(WebhookEvent::of(&EventBody::UserDeleted(UserDeleted {})), None);
    }
}
