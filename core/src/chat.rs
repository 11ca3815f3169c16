//! What is said and done in chat rooms: the data of the events on `millrace.chat`, which are also what the WebSocket
//! protocol hands to pages. A room is a channel's; events of a room are about the channel and keep their order.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::ids::{ChannelName, MessageId, UserId};

/// The group that keeps the history: where it goes on is what the history does not have yet.
pub const HISTORY_GROUP: &str = "chat-history";
/// Most characters of a message's nonce.
pub const NONCE_MAX: usize = 64;

/// A message. Data of `message.sent.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChatMessage {
    /// Made by the node that took it; that of the event too.
    pub id: MessageId,
    /// When the node took it.
    pub at: Timestamp,
    /// How it is shown.
    pub kind: MessageKind,
    /// Who said it; absent for what the site says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Author>,
    /// Plain text, cleaned: at most [`RoomSettings::max_length`] characters.
    pub text: String,
    /// What the author called it before it had an id: saying it again under the same nonce is no second message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// What it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<Quote>,
    /// Who is called by `@name` in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<ChannelName>,
    /// What happened, if the site says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Happening>,
    /// Who made it happen, if the site says that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub news: Option<News>,
}

/// How a message is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// As it is.
    Text,
    /// `/me waves`: what the author does.
    Action,
    /// The site says it.
    System,
}

/// Who said a message, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Author {
    /// The account.
    pub id: UserId,
    /// As it is written in addresses and after `@`.
    pub name: ChannelName,
    /// As it is shown.
    pub display_name: String,
    /// What the person is in this room, the greatest first. Those of newer versions are passed over.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "known")]
    pub badges: Vec<Badge>,
}

fn known<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Badge>, D::Error> {
    let all = Vec::<serde_json::Value>::deserialize(deserializer)?;
    Ok(all.into_iter().filter_map(|badge| serde_json::from_value(badge).ok()).collect())
}

/// What somebody is in a room. The greater ones come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Badge {
    /// Whose channel it is.
    Broadcaster,
    /// An administrator of the site.
    Admin,
    /// Moderates the channel.
    Moderator,
    /// Somebody whom the broadcaster honours: no slow mode for them.
    Vip,
    /// Subscribes to the channel, as its owner says.
    Subscriber,
    /// Speaks through an API token.
    Bot,
}

/// The message that another one answers, as it was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Quote {
    /// Which.
    pub id: MessageId,
    /// Whose.
    pub name: ChannelName,
    /// How it begins: at most [`QUOTE_MAX`] characters.
    pub text: String,
}

/// Most characters of a quote.
pub const QUOTE_MAX: usize = 100;

/// Something that the site says in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// A broadcast began.
    WentLive,
    /// The broadcast ended.
    Ended,
    /// A poll closed: the text has its result, and the message the id of the poll.
    PollClosed,
    /// Of another version.
    #[serde(other)]
    Else,
}

/// Something that people did, which the site says in a room.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum News {
    /// Some people follow the channel now.
    Follow {
        /// As some of them are shown: the first ones, at most [`FOLLOW_NAMES_MAX`].
        names: Vec<String>,
        /// How many they are.
        count: u64,
    },
    /// A broadcaster sends their viewers here.
    Raid {
        /// From which channel.
        channel: ChannelName,
        /// How its owner is shown.
        display_name: String,
        /// How many watched there.
        viewers: u64,
    },
    /// Something that only newer versions know.
    #[cfg_attr(feature = "schema", schemars(skip))]
    #[serde(other)]
    Unknown,
}

/// Most names in [`News::Follow`].
pub const FOLLOW_NAMES_MAX: usize = 2;

/// What is taken away. Data of `message.deleted.v1` with who did it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Removed {
    /// These.
    Messages(Vec<MessageId>),
    /// Everything that somebody said.
    Author(UserId),
    /// Everything that was said so far; always true.
    All(bool),
}

/// Data of `message.deleted.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageDeleted {
    /// What.
    #[serde(flatten)]
    pub removed: Removed,
    /// Who did it.
    pub by: UserId,
}

/// Data of `user.timed_out.v1`. What the person said is taken away too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserTimedOut {
    /// Whom.
    pub user: UserId,
    /// Until when they say nothing here.
    pub until: Timestamp,
    /// Why: shown to the person. May be empty.
    pub reason: String,
    /// Who did it.
    pub by: UserId,
}

/// Somebody is banned from a room: in the data of `user.banned.v1`. What the person said is taken away too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatBan {
    /// Whom.
    pub user: UserId,
    /// Why: shown to the person. May be empty.
    pub reason: String,
    /// Who did it.
    pub by: UserId,
}

/// A ban or a time-out of a room is lifted: in the data of `user.unbanned.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatPardon {
    /// Whom.
    pub user: UserId,
    /// Who did it.
    pub by: UserId,
}

/// Data of `subscriber.changed.v1`: somebody subscribes to the channel from now on, or no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriberChanged {
    /// Who.
    pub user: UserId,
    /// Whether they do.
    pub subscribes: bool,
    /// Until when; absent: until it is said otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Data of `user.barred.v1`, about a person: they say nothing in any room of an owner, or of the site. What they said there is
/// taken away too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserBarred {
    /// In the rooms of all channels of this person; absent: in all rooms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
    /// Why: shown to the person. May be empty.
    pub reason: String,
    /// Who did it.
    pub by: UserId,
}

/// Data of `user.unbarred.v1`, about a person: that is lifted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserUnbarred {
    /// In the rooms of all channels of this person; absent: in all rooms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<UserId>,
    /// Who did it.
    pub by: UserId,
}

/// Data of `room.updated.v1`: everything that is set, each replaces the one before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomUpdated {
    /// The rules.
    pub settings: RoomSettings,
    /// The message on top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<Box<ChatMessage>>,
    /// Whom the broadcaster honours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vips: Vec<UserId>,
    /// The channel's own emotes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub emotes: Vec<Emote>,
    /// Counts the changes of [`Self::emotes`].
    #[serde(default)]
    pub emotes_version: i64,
    /// The poll that runs, or the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll: Option<Poll>,
    /// Where the broadcaster sends everybody who watches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raid: Option<Raid>,
    /// Counts the changes of the room: the greater one is the newer.
    pub version: i64,
}

/// A question to everybody in a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// Which.
    pub id: uuid::Uuid,
    /// One line.
    pub question: String,
    /// One line each, no two alike.
    pub answers: Vec<String>,
    /// When it began.
    pub opened_at: Timestamp,
    /// When it closes unless somebody closes it before; when it closed.
    pub closes_at: Timestamp,
    /// Whether one can vote.
    pub stage: PollStage,
    /// Votes for each answer once it is [`PollStage::Closed`]; empty before: [`PollCounted`] has them then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counts: Vec<u64>,
}

/// How far a poll is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PollStage {
    /// People vote.
    Open,
    /// Nobody votes any more, and the votes are counted.
    Closing,
    /// The result is known.
    Closed,
}

/// Data of `poll.counted.v1`: how people have voted so far; each replaces the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollCounted {
    /// Which poll.
    pub poll: uuid::Uuid,
    /// Votes for each answer.
    pub counts: Vec<u64>,
}

/// A broadcaster sends everybody who watches to another channel.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raid {
    /// Which of them.
    pub id: uuid::Uuid,
    /// Where to.
    pub target: ChannelName,
    /// When: until then it can be called off.
    pub at: Timestamp,
    /// They go now.
    #[serde(default)]
    pub gone: bool,
}

/// A picture that stands where its name is said between colons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emote {
    /// `[a-zA-Z0-9_]{2,32}`.
    pub name: String,
    /// Names the picture. Another picture has another one.
    pub picture: uuid::Uuid,
    /// Whether the picture moves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub animated: bool,
}

impl Emote {
    /// Whether an emote can be called so.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        (2..=32).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }
}

/// The rules of a room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RoomSettings {
    /// Seconds between two messages of one person; 0: as fast as the rate allows.
    pub slow_mode_s: u32,
    /// For how many seconds somebody must have followed the channel; absent: everybody may speak.
    pub followers_only_s: Option<u32>,
    /// Only who subscribes may speak, beside who moderates and VIPs.
    pub subscribers_only: bool,
    /// No two messages that are alike within a while.
    pub unique: bool,
    /// How old an account must be, in seconds.
    pub account_age_s: u32,
    /// Who may send links.
    pub links: Links,
    /// Nothing but emotes and Unicode's pictures.
    pub emote_only: bool,
    /// Which messages wait for somebody who moderates.
    pub hold: Hold,
    /// Words and phrases that nobody may say; matched without regard to case and accents, at borders of words.
    pub blocked_terms: Vec<String>,
    /// What whoever comes in should know. May be empty.
    pub rules: String,
    /// What whoever is banned or timed out can do about it: they read it with the reason. May be empty.
    pub appeal: String,
    /// Whether the room says that a broadcast began or ended.
    pub system_messages: bool,
    /// Whether the room says who follows the channel.
    pub follow_messages: bool,
    /// Whether the room says who sends their viewers here.
    pub raid_messages: bool,
    /// Whether others may send their viewers here.
    pub takes_raids: bool,
    /// Most characters of a message.
    pub max_length: u16,
}

impl Default for RoomSettings {
    fn default() -> Self {
        Self {
            slow_mode_s: 0,
            followers_only_s: None,
            subscribers_only: false,
            unique: false,
            account_age_s: 0,
            links: Links::Allowed,
            emote_only: false,
            hold: Hold::Off,
            blocked_terms: Vec::new(),
            rules: String::new(),
            appeal: String::new(),
            system_messages: true,
            follow_messages: true,
            raid_messages: true,
            takes_raids: true,
            max_length: 500,
        }
    }
}

/// Who may send links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Links {
    /// Everybody.
    Allowed,
    /// Who moderates, and whom the broadcaster honours.
    Trusted,
    /// Nobody but the broadcaster.
    Nobody,
}

/// Which messages wait for somebody who moderates instead of being said. Each holds what those before it hold; who moderates,
/// and VIPs but for links and terms, are not held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hold {
    /// None.
    #[default]
    Off,
    /// What would be refused for a link or a blocked term.
    LinksAndTerms,
    /// What somebody says who said nothing in the room yet, as far as the history goes back.
    NewPeople,
    /// Everything.
    All,
}

/// Why a message waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum HoldReason {
    /// It has a link.
    Link,
    /// It has a blocked term.
    BlockedTerm,
    /// Nothing was said by this person before.
    NewPerson,
    /// Everything waits.
    Everything,
}

/// A message that waits for somebody who moderates. Data of `message.held.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HeldMessage {
    /// As it would have been said.
    pub message: ChatMessage,
    /// Why.
    pub why: HoldReason,
    /// When it expires.
    pub until: Timestamp,
}

/// What became of a message that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It is said.
    Allowed,
    /// It is not said.
    Denied,
    /// Nobody decided in time, or too many waited.
    Expired,
}

/// Data of `message.reviewed.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MessageReviewed {
    /// Which message.
    pub id: MessageId,
    /// Whose.
    pub author: UserId,
    /// What the author called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// What became of it.
    pub decision: Decision,
    /// Who decided; absent if it expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<UserId>,
}

/// Most names in a [`ChatPresence`].
pub const PRESENT_NAMES_MAX: usize = 50;

/// Data of `chat.presence.v1`: who is in a room, as one chat node sees it. Those of all nodes add up, approximately: whoever
/// is there at two nodes counts twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatPresence {
    /// People who are signed in.
    pub people: u64,
    /// Connections, also of those who only read.
    pub readers: u64,
    /// Some of the people, at most [`PRESENT_NAMES_MAX`].
    #[serde(default)]
    pub names: Vec<ChannelName>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_is_said_in_one_word() {
        let id = MessageId(uuid::Uuid::from_u128(7));
        let json = |removed: &Removed| serde_json::to_string(removed).unwrap();
        assert_eq!(json(&Removed::Messages(vec![id])), format!("{{\"messages\":[\"{id}\"]}}"));
        assert_eq!(json(&Removed::All(true)), "{\"all\":true}");
        let deleted = MessageDeleted {
            removed: Removed::Author(UserId(uuid::Uuid::from_u128(8))),
            by: UserId(uuid::Uuid::from_u128(9)),
        };
        let text = serde_json::to_string(&deleted).unwrap();
        assert_eq!(serde_json::from_str::<MessageDeleted>(&text).unwrap(), deleted, "{text}");
    }

    #[test]
    fn what_a_newer_version_says_of_people_does_not_spoil_its_message() {
        let read: News = serde_json::from_str(r#"{"kind":"of_tomorrow","who":"ada"}"#).unwrap();
        assert_eq!(read, News::Unknown);
        let follow = News::Follow { names: vec!["Ada".into()], count: 13 };
        let text = serde_json::to_string(&follow).unwrap();
        assert_eq!(text, r#"{"kind":"follow","names":["Ada"],"count":13}"#);
        assert_eq!(serde_json::from_str::<News>(&text).unwrap(), follow);
    }

    #[test]
    fn the_name_of_an_emote_is_short_and_plain() {
        assert!(Emote::is_name("Oak_2") && Emote::is_name("hi") && Emote::is_name(&"x".repeat(32)));
        assert!(!["", "x", "a b", "\u{e9}\u{e9}", ":a:", &"x".repeat(33)].into_iter().any(Emote::is_name));
    }

    #[test]
    fn what_a_newer_version_calls_somebody_or_something_costs_no_message() {
        let json = serde_json::json!({
            "id": uuid::Uuid::from_u128(1), "at": "2026-11-22T00:00:00Z", "kind": "system", "text": "x", "event": "of_tomorrow",
            "author": { "id": uuid::Uuid::from_u128(2), "name": "ada", "display_name": "Ada", "badges": ["founder", "vip"] },
        });
        let message: ChatMessage = serde_json::from_value(json).unwrap();
        assert_eq!(message.author.unwrap().badges, [Badge::Vip]);
        assert_eq!(message.event, Some(Happening::Else));
    }

    #[test]
    fn the_settings_of_a_newer_version_are_read_as_far_as_they_are_known() {
        let read: RoomSettings = serde_json::from_str(r#"{"slow_mode_s":5,"of_tomorrow":true}"#).unwrap();
        assert_eq!(read, RoomSettings { slow_mode_s: 5, ..RoomSettings::default() });
    }
}
