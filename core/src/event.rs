//! What crosses the bus: CloudEvents 1.0 envelopes around one versioned enum per topic.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::chat::{
    ChatBan, ChatMessage, ChatPardon, ChatPresence, HeldMessage, MessageDeleted, MessageReviewed,
    PollCounted, RoomUpdated, SubscriberChanged, UserBarred, UserTimedOut, UserUnbarred,
};
use crate::ids::{BroadcastId, ChannelName, NodeName, SessionId, StreamKeyId, UserId};
use crate::playback::Access;
use crate::trace::Cause;

/// A CloudEvents 1.0 envelope (structured JSON). `id` is the idempotency key; `subject` is the bus key: events of one
/// channel, of one person, or of one node, keep their order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Always `1.0`.
    pub specversion: SpecVersion,
    /// UUIDv7.
    pub id: uuid::Uuid,
    /// Which node says so: `/nodes/{name}`.
    pub source: String,
    /// What it is about.
    pub subject: Subject,
    /// When it happened.
    pub time: Timestamp,
    /// What made it happen: `correlationid` and `traceparent`. Unknown: the bus adds that of the task that publishes it.
    #[serde(flatten)]
    pub cause: Cause,
    /// `type` and `data`.
    #[serde(flatten)]
    pub body: EventBody,
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Subject {
    /// A channel; on the wire its name.
    Channel(ChannelName),
    /// A person; on the wire `users/{id}`, which is no channel's name.
    User(UserId),
    /// A node; on the wire `nodes/{name}`, which is no channel's name.
    Node(NodeName),
}

/// A text is the subject of none of our events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a channel nor users/ID nor nodes/NAME")]
pub struct SubjectError(String);

impl Subject {
    const NODES: &'static str = "nodes/";
    const USERS: &'static str = "users/";

    /// The key of the event on the bus.
    #[must_use]
    pub fn key(&self) -> Cow<'_, str> {
        match self {
            Self::Channel(name) => Cow::Borrowed(name.as_str()),
            Self::User(id) => Cow::Owned(format!("{}{id}", Self::USERS)),
            Self::Node(name) => Cow::Owned(format!("{}{name}", Self::NODES)),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
}

impl TryFrom<String> for Subject {
    type Error = SubjectError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let parsed = match text.split_once('/') {
            Some(("nodes", name)) => name.parse().ok().map(Self::Node),
            Some(("users", id)) => id.parse().ok().map(Self::User),
            _ => text.parse().ok().map(Self::Channel),
        };
        parsed.ok_or(SubjectError(text))
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.key().into_owned()
    }
}

impl From<ChannelName> for Subject {
    fn from(name: ChannelName) -> Self {
        Self::Channel(name)
    }
}

/// The only version of the envelope we speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpecVersion {
    /// CloudEvents 1.0.
    #[serde(rename = "1.0")]
    V1,
}

/// Type and data of an event; the version is part of the type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum EventBody {
    /// A broadcast's first media arrived.
    #[serde(rename = "stream.started.v1")]
    StreamStarted(StreamStarted),
    /// The newest measurements of a live broadcast, every [`STREAM_UPDATE_INTERVAL`]; each replaces the one before.
    #[serde(rename = "stream.updated.v1")]
    StreamUpdated(StreamUpdated),
    /// A live broadcast has another thumbnail.
    #[serde(rename = "thumbnail.updated.v1")]
    ThumbnailUpdated(ThumbnailUpdated),
    /// The publisher is gone; the reconnect window runs.
    #[serde(rename = "stream.interrupted.v1")]
    StreamInterrupted(StreamInterrupted),
    /// A publisher is back, or another one took over.
    #[serde(rename = "stream.resumed.v1")]
    StreamResumed(StreamResumed),
    /// The broadcast is over.
    #[serde(rename = "stream.ended.v1")]
    StreamEnded(StreamEnded),
    /// The running broadcast is to end now, and its encoder is not to begin the next by reconnecting.
    #[serde(rename = "stream.stop.v1")]
    StreamStop(StreamStop),
    /// A stream key publishes no more: what it publishes now ends.
    #[serde(rename = "key.revoked.v1")]
    KeyRevoked(KeyRevoked),
    /// What is kept about the channel has changed: read it again.
    #[serde(rename = "channel.updated.v1")]
    ChannelUpdated(ChannelUpdated),
    /// Somebody follows a channel.
    #[serde(rename = "channel.followed.v1")]
    ChannelFollowed(ChannelFollowed),
    /// A session of somebody ended: its access tokens are no good any more.
    #[serde(rename = "session.revoked.v1")]
    SessionRevoked(SessionRevoked),
    /// Somebody has an account now.
    #[serde(rename = "user.registered.v1")]
    UserRegistered(UserRegistered),
    /// Somebody may do something else than before.
    #[serde(rename = "user.role_changed.v1")]
    UserRoleChanged(UserRoleChanged),
    /// Somebody is banned, from the site or from a room.
    #[serde(rename = "user.banned.v1")]
    UserBanned(UserBanned),
    /// Somebody is banned no more, or timed out no more.
    #[serde(rename = "user.unbanned.v1")]
    UserUnbanned(UserUnbanned),
    /// Somebody's account is gone.
    #[serde(rename = "user.deleted.v1")]
    UserDeleted(UserDeleted),
    /// What the owner says of the site has changed: read it again.
    #[serde(rename = "site.updated.v1")]
    SiteUpdated(SiteUpdated),
    /// Something was said in a room.
    #[serde(rename = "message.sent.v1")]
    MessageSent(Box<ChatMessage>),
    /// Something that was said is taken away.
    #[serde(rename = "message.deleted.v1")]
    MessageDeleted(MessageDeleted),
    /// A message waits for somebody who moderates.
    #[serde(rename = "message.held.v1")]
    MessageHeld(Box<HeldMessage>),
    /// A message waits no more.
    #[serde(rename = "message.reviewed.v1")]
    MessageReviewed(MessageReviewed),
    /// Somebody says nothing in a room for a while.
    #[serde(rename = "user.timed_out.v1")]
    UserTimedOut(UserTimedOut),
    /// Somebody subscribes to a channel, or no more.
    #[serde(rename = "subscriber.changed.v1")]
    SubscriberChanged(SubscriberChanged),
    /// Somebody says nothing in many rooms.
    #[serde(rename = "user.barred.v1")]
    UserBarred(UserBarred),
    /// Somebody may speak there again.
    #[serde(rename = "user.unbarred.v1")]
    UserUnbarred(UserUnbarred),
    /// The rules of a room, what is pinned there, or whom it honours changed.
    #[serde(rename = "room.updated.v1")]
    RoomUpdated(Box<RoomUpdated>),
    /// Who watches a channel, as one node sees it, every [`STREAM_UPDATE_INTERVAL`]; each replaces the one before.
    #[serde(rename = "viewers.counted.v1")]
    ViewersCounted(ViewersCounted),
    /// Who is in a chat room, as one node sees it; each replaces the one before.
    #[serde(rename = "chat.presence.v1")]
    ChatPresence(ChatPresence),
    /// How people have voted so far in the poll of a room.
    #[serde(rename = "poll.counted.v1")]
    PollCounted(PollCounted),
    /// A node is there, and owns these broadcasts, until the lease runs out.
    #[serde(rename = "node.leased.v1")]
    NodeLeased(NodeLeased),
    /// A node stopped; it owns nothing any more.
    #[serde(rename = "node.left.v1")]
    NodeLeft(NodeLeft),
}

/// Why what came over the bus is no event for us.
#[derive(Debug, thiserror::Error)]
pub enum Unread {
    /// Another version says something that this one does not know: it is passed over.
    #[error("events of type {kind} are unknown here")]
    Unknown {
        /// Its `type`, or its `specversion`.
        kind: String,
    },
    /// It is no event at all.
    #[error("it cannot be read as an event: {0}")]
    Malformed(#[source] serde_json::Error),
}

/// What every version of an event has.
#[derive(Deserialize)]
struct Envelope {
    specversion: String,
    r#type: String,
}

impl Event {
    /// The channel that it is about, if it is about one.
    #[must_use]
    pub fn channel(&self) -> Option<&ChannelName> {
        match &self.subject {
            Subject::Channel(name) => Some(name),
            Subject::User(_) | Subject::Node(_) => None,
        }
    }

    /// The node that it is about, if it is about one.
    #[must_use]
    pub fn node(&self) -> Option<&NodeName> {
        match &self.subject {
            Subject::Node(name) => Some(name),
            Subject::Channel(_) | Subject::User(_) => None,
        }
    }

    /// Reads an event as it is on the wire.
    ///
    /// # Errors
    /// [`Unread`].
    pub fn read(json: &[u8]) -> Result<Self, Unread> {
        serde_json::from_slice(json).or_else(|err| {
            // Only what is wrong is read twice.
            let Envelope { specversion, r#type } = serde_json::from_slice(json).map_err(Unread::Malformed)?;
            if specversion != "1.0" {
                return Err(Unread::Unknown { kind: format!("CloudEvents {specversion}") });
            }
            if !EventBody::TYPES.contains(&r#type.as_str()) {
                return Err(Unread::Unknown { kind: r#type });
            }
            Err(Unread::Malformed(err))
        })
    }

    /// The event as it is on the wire.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("events are made of what JSON can say")
    }
}

impl EventBody {
    /// Its `type`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::StreamStarted(_) => "stream.started.v1",
            Self::StreamUpdated(_) => "stream.updated.v1",
            Self::ThumbnailUpdated(_) => "thumbnail.updated.v1",
            Self::StreamInterrupted(_) => "stream.interrupted.v1",
            Self::StreamResumed(_) => "stream.resumed.v1",
            Self::StreamEnded(_) => "stream.ended.v1",
            Self::StreamStop(_) => "stream.stop.v1",
            Self::KeyRevoked(_) => "key.revoked.v1",
            Self::ChannelUpdated(_) => "channel.updated.v1",
            Self::ChannelFollowed(_) => "channel.followed.v1",
            Self::SessionRevoked(_) => "session.revoked.v1",
            Self::UserRegistered(_) => "user.registered.v1",
            Self::UserRoleChanged(_) => "user.role_changed.v1",
            Self::UserBanned(_) => "user.banned.v1",
            Self::UserUnbanned(_) => "user.unbanned.v1",
            Self::UserDeleted(_) => "user.deleted.v1",
            Self::SiteUpdated(_) => "site.updated.v1",
            Self::MessageSent(_) => "message.sent.v1",
            Self::MessageDeleted(_) => "message.deleted.v1",
            Self::MessageHeld(_) => "message.held.v1",
            Self::MessageReviewed(_) => "message.reviewed.v1",
            Self::UserTimedOut(_) => "user.timed_out.v1",
            Self::SubscriberChanged(_) => "subscriber.changed.v1",
            Self::UserBarred(_) => "user.barred.v1",
            Self::UserUnbarred(_) => "user.unbarred.v1",
            Self::RoomUpdated(_) => "room.updated.v1",
            Self::ViewersCounted(_) => "viewers.counted.v1",
            Self::ChatPresence(_) => "chat.presence.v1",
            Self::PollCounted(_) => "poll.counted.v1",
            Self::NodeLeased(_) => "node.leased.v1",
            Self::NodeLeft(_) => "node.left.v1",
        }
    }

    /// Every type that this version knows.
    pub const TYPES: &'static [&'static str] = &[
        "stream.started.v1",
        "stream.updated.v1",
        "thumbnail.updated.v1",
        "stream.interrupted.v1",
        "stream.resumed.v1",
        "stream.ended.v1",
        "stream.stop.v1",
        "key.revoked.v1",
        "channel.updated.v1",
        "channel.followed.v1",
        "session.revoked.v1",
        "user.registered.v1",
        "user.role_changed.v1",
        "user.banned.v1",
        "user.unbanned.v1",
        "user.deleted.v1",
        "site.updated.v1",
        "message.sent.v1",
        "message.deleted.v1",
        "message.held.v1",
        "message.reviewed.v1",
        "user.timed_out.v1",
        "subscriber.changed.v1",
        "user.barred.v1",
        "user.unbarred.v1",
        "room.updated.v1",
        "viewers.counted.v1",
        "chat.presence.v1",
        "poll.counted.v1",
        "node.leased.v1",
        "node.left.v1",
    ];
}

/// How often a live broadcast's measurements are published.
pub const STREAM_UPDATE_INTERVAL: std::time::Duration = std::time::Duration::from_secs(2);

/// Data of `stream.started.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamStarted {
    /// The broadcast.
    pub broadcast: BroadcastId,
    /// The encoder's name, if it gave one.
    pub encoder: Option<String>,
}

/// Data of `stream.updated.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamUpdated {
    /// The broadcast.
    pub broadcast: BroadcastId,
    /// What was measured.
    pub health: StreamHealth,
    /// Viewers, approximately.
    pub viewers: u64,
}

/// Data of `thumbnail.updated.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThumbnailUpdated {
    /// The broadcast.
    pub broadcast: BroadcastId,
    /// The path of the newest thumbnail; where a playback token is needed, without it.
    pub url: String,
    /// The same of its storyboard, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storyboard_url: Option<String>,
}

/// Data of `stream.interrupted.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamInterrupted {
    /// The broadcast.
    pub broadcast: BroadcastId,
    /// When the broadcast ends unless a publisher comes back.
    pub until: Timestamp,
}

/// Data of `stream.resumed.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamResumed {
    /// The broadcast.
    pub broadcast: BroadcastId,
    /// The encoder's name, if it gave one.
    pub encoder: Option<String>,
}

/// Data of `stream.ended.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamEnded {
    /// The broadcast.
    pub broadcast: BroadcastId,
    /// Why.
    pub reason: EndReason,
}

/// Data of `stream.stop.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamStop {
    /// Who wants it.
    pub by: StoppedBy,
}

/// Who stops a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoppedBy {
    /// The owner of the channel, in the stream manager.
    Owner,
    /// An administrator of the site, or the channel is gone.
    Site,
}

/// Data of `key.revoked.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyRevoked {
    /// Which; it never publishes again.
    pub key: StreamKeyId,
}

/// Data of `channel.updated.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelUpdated {
    /// Whether its media needs a playback token from now on.
    pub access: Access,
}

/// Data of `channel.followed.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelFollowed {
    /// Who.
    pub user: UserId,
}

/// Data of `session.revoked.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionRevoked {
    /// Which.
    pub session: SessionId,
}

/// Data of `user.registered.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserRegistered {
    /// As it is written in addresses.
    pub name: ChannelName,
}

/// Data of `user.role_changed.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserRoleChanged {
    /// `viewer`, `streamer`, `admin`; there may be more.
    pub role: String,
}

/// Data of `user.banned.v1`: about a person, from the site; about a channel, from its chat.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UserBanned {
    /// On `millrace.chat`: who, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<ChatBan>,
}

/// Data of `user.unbanned.v1`: about a person, by the site; about a channel, in its chat.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct UserUnbanned {
    /// On `millrace.chat`: who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<ChatPardon>,
}

/// Data of `user.deleted.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UserDeleted {}

/// Data of `site.updated.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SiteUpdated {}

/// Data of `viewers.counted.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewersCounted {
    /// Of everybody who watches through the node: [`ViewerSketch::to_text`](crate::viewers::ViewerSketch::to_text).
    /// Those of all nodes merge.
    pub sketch: String,
}

/// Data of `node.leased.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeLeased {
    /// Of this life of the node: a restart makes a new one.
    pub boot: uuid::Uuid,
    /// Where other nodes reach its HTTP listener: `http://HOST:PORT`.
    pub url: String,
    /// What it runs.
    pub roles: Vec<String>,
    /// Milliseconds, from when this is heard until the node counts as lost.
    pub lease_ms: u64,
    /// Connections of publishers that it takes.
    pub capacity: u64,
    /// Connections of publishers that it has.
    pub load: u64,
    /// Its broadcasts, at most [`LEASED_STREAMS_MAX`].
    pub streams: Vec<LeasedStream>,
}

/// Most broadcasts in a lease, so that it fits into an event. A machine carries far fewer.
pub const LEASED_STREAMS_MAX: usize = 400;
/// Most characters of an encoder's name in a lease.
pub const LEASED_ENCODER_MAX: usize = 64;

/// A broadcast that a node owns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeasedStream {
    /// The channel.
    pub channel: ChannelName,
    /// The broadcast.
    pub broadcast: BroadcastId,
    /// When its first media arrived, by the clock of the node.
    pub started_at: Timestamp,
    /// Whether its media needs a playback token.
    pub access: Access,
    /// While the publisher is away: when the broadcast ends unless one comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interrupted_until: Option<Timestamp>,
    /// The encoder's name, if it gave one, or the first [`LEASED_ENCODER_MAX`] characters of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<String>,
    /// Milliseconds for which nobody may take the channel from its publisher, who took it from another.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub held_ms: u64,
    /// Greater than every media sequence number used so far; 0 before the first.
    #[serde(default)]
    pub next_msn: u64,
    /// Seconds between keyframes, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyframe_interval: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Data of `node.left.v1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeLeft {
    /// Which life of it.
    pub boot: uuid::Uuid,
}

/// Why a broadcast ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The publisher said so (`FCUnpublish`, `deleteStream`, `closeStream`).
    Unpublished,
    /// The reconnect window ran out.
    ReconnectWindowElapsed,
    /// What was sent cannot be packaged.
    Refused,
    /// This server stops.
    ServerStopping,
    /// Somebody stopped it: its owner, an administrator, or whoever revoked its stream key.
    Stopped,
    /// A publisher on another node took the channel over: a broadcast goes on there.
    TakenOver,
    /// Its node is not heard of any more.
    NodeLost,
}

/// What is measured of a live broadcast. Everything that is not known yet is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StreamHealth {
    /// The video track.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub video: Option<VideoHealth>,
    /// The audio track.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub audio: Option<AudioHealth>,
    /// Bits per second of audio and video that arrived, over the last ten seconds.
    pub bitrate: u64,
    /// What the streamer should know, each once.
    #[serde(default)]
    pub warnings: Vec<StreamWarning>,
}

/// What is measured of the video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoHealth {
    /// RFC 6381, `avc1.64001f`.
    pub codec: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Frames per second, measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub frame_rate: Option<f64>,
    /// Seconds between the last two keyframes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub keyframe_interval: Option<f64>,
    /// Bits per second over the last ten seconds.
    pub bitrate: u64,
    /// Whether the encoder uses B-frames.
    pub b_frames: bool,
}

/// What is measured of the audio.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioHealth {
    /// RFC 6381, `mp4a.40.2`.
    pub codec: String,
    /// Samples per second.
    pub sample_rate: u32,
    /// Channels.
    pub channels: u8,
    /// Bits per second over the last ten seconds.
    pub bitrate: u64,
}

/// Something the streamer should change, with a stable code and a sentence that says what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamWarning {
    /// Stable: `keyframe_interval_long`, `no_keyframe`, `unknown_track`, `timestamps_jump`, `picture_black`, …
    pub code: String,
    /// For the person.
    pub sentence: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_cloudevent_and_survives_the_round_trip() {
        let event = Event {
            specversion: SpecVersion::V1,
            id: uuid::Uuid::from_u128(7),
            source: "/nodes/one".into(),
            subject: Subject::Channel("studio".parse().unwrap()),
            time: "2026-11-21T03:04:05Z".parse().unwrap(),
            cause: Cause { correlation: Some(uuid::Uuid::from_u128(8)), trace: None },
            body: EventBody::StreamEnded(StreamEnded {
                broadcast: BroadcastId(uuid::Uuid::from_u128(9)),
                reason: EndReason::ReconnectWindowElapsed,
            }),
        };
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["specversion"], "1.0");
        assert_eq!(json["type"], "stream.ended.v1");
        assert_eq!(json["type"], event.body.kind());
        assert_eq!(json["subject"], "studio");
        assert_eq!(json["correlationid"], uuid::Uuid::from_u128(8).to_string());
        assert_eq!(json.get("traceparent"), None);
        assert_eq!(json["data"]["reason"], "reconnect_window_elapsed");
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    }

    #[test]
    fn a_subject_is_a_channel_a_person_or_a_node() {
        let read = |text: &str| Subject::try_from(text.to_owned());
        assert_eq!(read("studio"), Ok(Subject::Channel("studio".parse().unwrap())));
        assert_eq!(read("nodes/media-1:8080"), Ok(Subject::Node("media-1:8080".parse().unwrap())));
        let user = UserId(uuid::Uuid::from_u128(7));
        let users = format!("users/{user}");
        assert_eq!(read(&users), Ok(Subject::User(user)));
        for text in ["studio", "nodes/media-1:8080", &users] {
            assert_eq!(read(text).unwrap().key(), text);
        }
        for bad in ["", "nodes/", "nodes", "users/7", "nodes/a/b"] {
            // One of them is a channel's name.
            assert_eq!(read(bad).is_ok(), bad == "nodes", "{bad}");
        }
    }

    #[test]
    fn a_full_lease_fits_into_an_event() {
        let stream = LeasedStream {
            channel: "x".repeat(crate::ids::CHANNEL_NAME_MAX).parse().unwrap(),
            broadcast: BroadcastId(uuid::Uuid::max()),
            started_at: "2026-11-21T03:04:05.123456789Z".parse().unwrap(),
            access: Access::Token,
            interrupted_until: Some("2026-11-21T03:04:05.123456789Z".parse().unwrap()),
            encoder: Some("\u{1f3a5}".repeat(LEASED_ENCODER_MAX)),
            held_ms: u64::MAX,
            next_msn: u64::MAX,
            keyframe_interval: Some(8.333_333_333_333_334),
        };
        let lease = NodeLeased {
            boot: uuid::Uuid::max(),
            url: format!("http://{}:65535", "h".repeat(253)),
            roles: vec!["ingest".into(), "api".into(), "chat".into(), "worker".into()],
            lease_ms: 10_000,
            capacity: u64::MAX,
            load: u64::MAX,
            streams: vec![stream; LEASED_STREAMS_MAX],
        };
        let length = serde_json::to_vec(&EventBody::NodeLeased(lease)).unwrap().len();
        assert!(length < crate::bus::MAX_EVENT_BYTES - 1024, "{length}");
    }

    fn example() -> serde_json::Value {
        serde_json::json!({
            "specversion": "1.0", "type": "stream.stop.v1", "id": uuid::Uuid::from_u128(7), "source": "/nodes/one",
            "subject": "studio", "time": "2026-11-21T03:04:05Z", "data": { "by": "owner" },
        })
    }

    fn read(change: impl FnOnce(&mut serde_json::Value)) -> Result<Event, Unread> {
        let mut json = example();
        change(&mut json);
        Event::read(json.to_string().as_bytes())
    }

    #[test]
    fn what_a_newer_version_says_is_unknown_and_no_error_of_ours() {
        assert!(read(|_| {}).is_ok());
        assert!(read(|json| json["data"]["more"] = "of version 1.1".into()).is_ok());
        let strange = read(|json| json["traceparent"] = "00-4bf9".into());
        assert!(strange.is_ok_and(|event| event.cause.is_unknown()));
        let unknown = |change: fn(&mut serde_json::Value)| match read(change) {
            Err(Unread::Unknown { kind }) => kind,
            other => panic!("{other:?}"),
        };
        assert_eq!(unknown(|json| json["type"] = "stream.stop.v2".into()), "stream.stop.v2");
        assert_eq!(unknown(|json| json["specversion"] = "2.0".into()), "CloudEvents 2.0");
        let all_new = |json: &mut serde_json::Value| {
            json["type"] = "stream.stop.v2".into();
            json["data"] = 7.into();
            json["subject"] = "not a channel".into();
        };
        assert_eq!(unknown(all_new), "stream.stop.v2");
    }

    #[test]
    fn what_is_no_event_is_malformed() {
        assert!(matches!(Event::read(b"\xff"), Err(Unread::Malformed(_))));
        assert!(matches!(Event::read(b"{}"), Err(Unread::Malformed(_))));
        assert!(matches!(read(|json| json["data"] = 7.into()), Err(Unread::Malformed(_))));
    }

    #[test]
    fn every_type_that_is_named_is_one_that_is_known() {
        for kind in EventBody::TYPES {
            let result = read(|json| {
                json["type"] = (*kind).into();
                json["data"] = serde_json::Value::Null;
            });
            let Err(Unread::Malformed(err)) = result else { panic!("{kind}: {result:?}") };
            assert!(!err.to_string().contains("unknown variant"), "{kind}: {err}");
        }
        // The error of an unknown one lists all that are known.
        let json = serde_json::json!({ "type": "none", "data": null });
        let known = serde_json::from_value::<EventBody>(json).unwrap_err().to_string();
        let count = known.matches(".v1`").count();
        assert_eq!(count, EventBody::TYPES.len(), "{known}");
    }
}
