//! `millrace.chat.v1`: the frames of the WebSocket, one JSON object each. `docs/chat.md` describes it for people.
//!
//! Both sides pass over types and fields that they do not know, so that a page of yesterday goes on while the servers are
//! renewed.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use jiff::Timestamp;
use millrace_core::chat::{
    Author, Badge, ChatMessage, Decision, HeldMessage, Links, MessageReviewed, NONCE_MAX, Poll, PollStage,
    Raid, Removed, RoomUpdated,
};
use millrace_core::ids::{ChannelName, MessageId, UserId};
use serde::{Deserialize, Serialize};

/// The name of the protocol in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL: &str = "millrace.chat.v1";
/// Longest frame of a page, in bytes.
pub const MAX_FRAME_BYTES: usize = 8 * 1024;

/// What a page says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientFrame {
    /// First of all, once.
    Hello {
        /// The last message that it has shown.
        #[serde(default)]
        resume: Option<MessageId>,
    },
    /// Something is to be said.
    Send(Draft),
    /// Are you there?
    Ping,
    /// Of another version.
    #[serde(other)]
    #[cfg_attr(test, schemars(skip))]
    Unknown,
}

/// What somebody wants to say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Draft {
    /// What the page calls it: `[A-Za-z0-9_-]{1,64}`.
    pub nonce: String,
    /// As it was typed.
    pub text: String,
    /// What it answers.
    #[serde(default)]
    pub reply_to: Option<MessageId>,
}

impl Draft {
    /// Whether the nonce is one.
    #[must_use]
    pub fn has_nonce(&self) -> bool {
        (1..=NONCE_MAX).contains(&self.nonce.len())
            && self.nonce.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    }
}

/// What the server says.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ServerFrame<'a> {
    /// The answer to `hello`.
    Welcome {
        /// The room.
        room: &'a RoomView,
        /// Who the person is here; absent for who only reads.
        #[serde(skip_serializing_if = "Option::is_none")]
        you: Option<&'a You>,
        /// What was said, oldest first.
        messages: &'a [Arc<ChatMessage>],
        /// These are what was missed; else they take the place of everything that is shown.
        resumed: bool,
        /// Who is here.
        chatters: &'a Chatters,
        /// The poll that runs, or closed a moment ago.
        #[serde(skip_serializing_if = "Option::is_none")]
        poll: Option<PollView<'a>>,
        /// Seconds between two signs of life.
        heartbeat_s: u64,
    },
    /// Something was said.
    Messages {
        /// In order.
        messages: &'a [Arc<ChatMessage>],
    },
    /// It is said, and will not be lost.
    Ack {
        /// Of the draft.
        nonce: &'a str,
        /// Of the message.
        id: MessageId,
    },
    /// It waits for somebody who moderates. What becomes of it is told later: the message itself, or that it is refused.
    Held {
        /// Of the draft.
        nonce: &'a str,
        /// Of the message.
        id: MessageId,
        /// For the person.
        detail: &'a str,
    },
    /// For who moderates: what waits for them has changed.
    Queue {
        /// What waits now too.
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        waiting: &'a [HeldMessage],
        /// What waits no more.
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        reviewed: &'a [MessageReviewed],
    },
    /// It is not said.
    Refused {
        /// Of the draft, if there was one.
        #[serde(skip_serializing_if = "Option::is_none")]
        nonce: Option<&'a str>,
        /// Why.
        #[serde(flatten)]
        refusal: &'a Refusal,
    },
    /// Something is taken away.
    Removed(&'a Removed),
    /// The room has changed.
    Room {
        /// As it is now.
        room: &'a RoomView,
    },
    /// What this person may do has changed.
    You {
        /// As it is now.
        you: &'a You,
    },
    /// The poll of the room, as it is now.
    Poll {
        /// The poll.
        poll: PollView<'a>,
    },
    /// Who is here.
    Chatters {
        /// As it is now.
        chatters: &'a Chatters,
    },
    /// This server stops.
    Reconnect {
        /// Milliseconds after which to connect again.
        after_ms: u64,
    },
    /// Yes.
    Pong,
}

impl ServerFrame<'_> {
    /// The frame as it is sent.
    #[must_use]
    pub fn to_text(&self) -> Utf8Bytes {
        serde_json::to_string(self).expect("frames are made of what JSON can say").into()
    }
}

/// A poll as a page sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PollView<'a> {
    /// Which.
    pub id: uuid::Uuid,
    /// What is asked.
    pub question: &'a str,
    /// What can be answered.
    pub answers: &'a [String],
    /// Votes for each answer; empty while nobody has counted.
    pub counts: &'a [u64],
    /// When it closes, or closed.
    pub closes_at: Timestamp,
    /// Whether one can vote, but for the time.
    pub open: bool,
}

impl<'a> PollView<'a> {
    /// What everybody may know: all of it.
    #[must_use]
    pub fn new(poll: &'a Poll) -> Self {
        Self {
            id: poll.id,
            question: &poll.question,
            answers: &poll.answers,
            counts: &poll.counts,
            closes_at: poll.closes_at,
            open: poll.stage == PollStage::Open,
        }
    }
}

/// A room as a page sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RoomView {
    /// Whose.
    pub channel: ChannelName,
    /// Seconds between two messages of one person; 0: none.
    pub slow_mode_s: u32,
    /// For how many seconds somebody must have followed; absent: everybody may speak.
    pub followers_only_s: Option<u32>,
    /// Only who subscribes may speak.
    pub subscribers_only: bool,
    /// No two messages that are alike.
    pub unique: bool,
    /// How old an account must be, in seconds.
    pub account_age_s: u32,
    /// Who may send links.
    pub links: Links,
    /// What whoever comes in should know.
    pub rules: String,
    /// Nothing but emotes.
    pub emote_only: bool,
    /// Another number: the emotes of the room are others, and can be asked for anew.
    pub emotes: i64,
    /// The message on top.
    pub pinned: Option<ChatMessage>,
    /// Most characters of a message.
    pub max_length: u16,
    /// Where the broadcaster sends everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raid: Option<Raid>,
}

impl RoomView {
    /// What of the settings everybody may know.
    #[must_use]
    pub fn new(channel: ChannelName, state: &RoomUpdated) -> Self {
        let RoomUpdated { settings, pinned, .. } = state;
        Self {
            channel,
            slow_mode_s: settings.slow_mode_s,
            followers_only_s: settings.followers_only_s,
            subscribers_only: settings.subscribers_only,
            unique: settings.unique,
            account_age_s: settings.account_age_s,
            links: settings.links,
            rules: settings.rules.clone(),
            emote_only: settings.emote_only,
            emotes: state.emotes_version,
            pinned: pinned.as_deref().cloned(),
            max_length: settings.max_length,
            raid: state.raid.clone(),
        }
    }
}

/// Who the person is in the room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct You {
    /// Their name and badges.
    #[serde(flatten)]
    pub author: Author,
    /// Whether they moderate here.
    pub moderates: bool,
    /// Whether they may say something.
    pub may_send: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<WhyNot>,
}

/// Why somebody may say nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WhyNot {
    /// As in a refusal.
    pub code: Code,
    /// For the person.
    pub detail: String,
    /// Until when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Who is here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Chatters {
    /// People who are signed in.
    pub count: u64,
    /// Some of their names, at most [`PRESENT_NAMES_MAX`](millrace_core::chat::PRESENT_NAMES_MAX).
    pub names: Vec<ChannelName>,
    /// Everybody, also who only reads.
    pub readers: u64,
}

/// Why something is not said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[error("{detail}")]
pub struct Refusal {
    /// For programs.
    pub code: Code,
    /// For the person: what to do.
    pub detail: String,
    /// Milliseconds after which it may be tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<i64>,
}

impl Refusal {
    /// For good.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry_after_ms: None }
    }

    /// For now.
    #[must_use]
    pub fn after(code: Code, wait_ms: i64, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), retry_after_ms: Some(wait_ms) }
    }

    /// Not now, for no fault of the person: the same again, under the same nonce.
    #[must_use]
    pub fn temporarily_unavailable() -> Self {
        Self::after(
            Code::TemporarilyUnavailable,
            2_000,
            "Chat cannot take messages right now. Yours is sent again by itself.",
        )
    }
}

/// What the author of a message that waits is told.
pub(crate) const HELD: &str = "A moderator looks at your message before others see it.";

impl Refusal {
    /// What the author is told of a message that waited and is not said; `None`: it is said.
    pub(crate) fn of_review(decision: Decision) -> Option<Self> {
        match decision {
            Decision::Allowed => None,
            Decision::Denied => {
                Some(Self::new(Code::Denied, "A moderator decided not to show your message."))
            }
            Decision::Expired => Some(Self::new(
                Code::ReviewExpired,
                "No moderator looked at your message in time. You may send it again.",
            )),
        }
    }
}

/// Why, for programs. Stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Whoever reads only must sign in to speak.
    NotSignedIn,
    /// The frame is not as it should be.
    Malformed,
    /// Nothing is left of the text.
    Empty,
    /// The text has too many characters.
    TooLong,
    /// The message that it answers is not there any more.
    ReplyUnknown,
    /// Everybody waits between two messages here.
    SlowMode,
    /// Too many messages.
    RateLimited,
    /// Only who follows the channel may speak.
    FollowersOnly,
    /// Only who subscribes to the channel may speak.
    SubscribersOnly,
    /// Somebody said that already.
    NotUnique,
    /// The account is too new for this room.
    AccountTooNew,
    /// A term that nobody may say here.
    BlockedTerm,
    /// No links here.
    LinksNotAllowed,
    /// Nothing but emotes here.
    EmotesOnly,
    /// Somebody who moderates did not let it through.
    Denied,
    /// It waited for somebody who moderates, and nobody decided in time.
    ReviewExpired,
    /// For a while.
    TimedOut,
    /// For good.
    Banned,
    /// Not now.
    TemporarilyUnavailable,
}

impl Code {
    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotSignedIn => "not_signed_in",
            Self::Malformed => "malformed",
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::ReplyUnknown => "reply_unknown",
            Self::SlowMode => "slow_mode",
            Self::RateLimited => "rate_limited",
            Self::FollowersOnly => "followers_only",
            Self::SubscribersOnly => "subscribers_only",
            Self::NotUnique => "not_unique",
            Self::AccountTooNew => "account_too_new",
            Self::BlockedTerm => "blocked_term",
            Self::LinksNotAllowed => "links_not_allowed",
            Self::EmotesOnly => "emotes_only",
            Self::Denied => "denied",
            Self::ReviewExpired => "review_expired",
            Self::TimedOut => "timed_out",
            Self::Banned => "banned",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
        }
    }
}

/// Why a socket is closed (RFC 6455 §7.4.2: those from 4000 are ours).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Closing {
    /// It breaks the rules of WebSocket.
    NoWebSocket,
    /// What should be text is none.
    NoText,
    /// A frame or a message is longer than [`MAX_FRAME_BYTES`].
    TooLong,
    /// It does not speak this protocol.
    Protocol,
    /// The session ended.
    SessionEnded,
    /// This person may not read here.
    Forbidden,
    /// There is no such channel.
    NoSuchChannel,
    /// It reads too slowly.
    TooSlow,
    /// The person or the address has too many already.
    TooMany,
    /// Nothing is heard of it.
    Idle,
    /// This server stops.
    Stopping,
    /// Not now.
    Unavailable,
    /// It says too much.
    TooFast,
}

impl Closing {
    /// The code and the sentence.
    #[must_use]
    pub fn parts(self) -> (u16, &'static str) {
        match self {
            Self::NoWebSocket => (1002, "This is not WebSocket as RFC 6455 has it."),
            Self::NoText => (1007, "This is not UTF-8."),
            Self::TooLong => (1009, "A frame has at most 8 KiB."),
            Self::Protocol => (4000, "This is not millrace.chat.v1. Reload the page."),
            Self::SessionEnded => (4001, "You are signed out. Sign in to speak."),
            Self::Forbidden => (4003, "You may not read the chat of this channel."),
            Self::NoSuchChannel => (4004, "There is no such channel."),
            Self::TooSlow => (4008, "Your connection is too slow for this chat."),
            Self::TooMany => (4009, "Too many connections. Close other pages of this site."),
            Self::Idle => (4010, "Nothing was heard of you."),
            Self::Stopping => (4012, "The server restarts."),
            Self::Unavailable => (4013, "Chat is not available right now."),
            Self::TooFast => (4029, "Too much was sent."),
        }
    }
}

/// Somebody who may be named in a frame.
#[must_use]
pub fn moderates(badges: &[Badge]) -> bool {
    badges.iter().any(|badge| matches!(badge, Badge::Broadcaster | Badge::Admin | Badge::Moderator))
}

/// For whom a frame is.
pub(crate) type Recipient = Option<UserId>;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Option<ClientFrame> {
        serde_json::from_str(json).ok()
    }

    #[test]
    fn what_pages_say_is_read_and_what_newer_ones_say_is_passed_over() {
        assert_eq!(read(r#"{"type":"hello"}"#), Some(ClientFrame::Hello { resume: None }));
        assert_eq!(read(r#"{"type":"ping","since":7}"#), Some(ClientFrame::Ping));
        assert_eq!(read(r#"{"type":"dance","how":{"fast":true}}"#), Some(ClientFrame::Unknown));
        let draft = Draft { nonce: "a".into(), text: "hi".into(), reply_to: None };
        assert_eq!(
            read(r#"{"type":"send","nonce":"a","text":"hi","mood":"good"}"#),
            Some(ClientFrame::Send(draft))
        );
        for bad in
            ["", "7", "{}", r#"{"type":7}"#, r#"{"type":"send"}"#, r#"{"type":"hello","resume":"x"}"#, "[]"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_nonce_is_short_and_plain() {
        let nonce =
            |nonce: &str| Draft { nonce: nonce.into(), text: String::new(), reply_to: None }.has_nonce();
        assert!(nonce("a") && nonce(&"Z_-9".repeat(16)));
        assert!(!nonce("") && !nonce(&"x".repeat(65)) && !nonce("a b") && !nonce("\u{e9}"));
    }

    #[test]
    fn frames_are_objects_with_their_type() {
        let refusal = Refusal::after(Code::SlowMode, 1500, "Wait 2 s.");
        let json: serde_json::Value =
            serde_json::from_str(&ServerFrame::Refused { nonce: Some("n"), refusal: &refusal }.to_text())
                .unwrap();
        assert_eq!(
            json,
            serde_json::json!({ "type": "refused", "nonce": "n", "code": "slow_mode", "detail": "Wait 2 s.", "retry_after_ms": 1500 })
        );
        let removed = Removed::All(true);
        assert_eq!(ServerFrame::Removed(&removed).to_text().as_str(), r#"{"type":"removed","all":true}"#);
        assert_eq!(ServerFrame::Pong.to_text().as_str(), r#"{"type":"pong"}"#);
        assert_eq!(serde_json::to_value(Code::ReplyUnknown).unwrap(), Code::ReplyUnknown.name());
    }
}
