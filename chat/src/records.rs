//! What chat asks others for: who somebody is, what a room is, what was said before.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use axum::http::HeaderMap;
use jiff::Timestamp;
use millrace_core::chat::{ChatMessage, Decision, HoldReason, RoomUpdated};
use millrace_core::ids::{ChannelId, ChannelName, MessageId, SessionId, UserId};
use millrace_http::problem::Problem;

/// A future of a question.
pub type RecordsFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The store does not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("what chat asks for is not available: {0}")]
pub struct Away(pub String);

/// Whoever connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// Where from; that of the browser, if a proxy that is trusted says so.
    pub address: IpAddr,
    /// Who it is; absent for who only reads.
    pub chatter: Option<Chatter>,
}

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chatter {
    /// The account.
    pub user: UserId,
    /// As it is written.
    pub name: ChannelName,
    /// As it is shown.
    pub display_name: String,
    /// Whose end closes the connection; none for an API token.
    pub session: Option<SessionId>,
    /// Administers the site.
    pub admin: bool,
    /// Speaks through an API token.
    pub bot: bool,
    /// Since when the account is there, in milliseconds since 1970.
    pub since_ms: i64,
}

/// A room as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomRecord {
    /// The channel, whatever it is called: another one may get its name.
    pub channel: ChannelId,
    /// Since when it is there, in milliseconds since 1970.
    pub since_ms: i64,
    /// Whose channel it is.
    pub owner: UserId,
    /// Who moderates it.
    pub moderators: Vec<UserId>,
    /// Rules, what is pinned, whom it honours, its emotes.
    pub state: RoomUpdated,
    /// Names of the emotes that every room of the site has.
    pub site_emotes: Vec<String>,
    /// How whoever runs the site is reached. May be empty.
    pub site_contact: String,
}

/// What is said of somebody in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sanction {
    /// Milliseconds since 1970; absent: for good.
    pub until_ms: Option<i64>,
    /// Why. May be empty.
    pub reason: String,
}

/// Somebody subscribes to the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscription {
    /// Milliseconds since 1970; absent: until it is said otherwise.
    pub until_ms: Option<i64>,
}

/// What a room knows of somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// If they may say nothing.
    pub sanction: Option<Sanction>,
    /// If they may say nothing on any channel of the owner: why.
    pub owner_ban: Option<String>,
    /// If they may say nothing on any channel: why.
    pub site_ban: Option<String>,
    /// Since when they follow the channel, in milliseconds since 1970.
    pub following_since_ms: Option<i64>,
    /// If they subscribe to the channel.
    pub subscription: Option<Subscription>,
}

/// What became of a message that was to wait for somebody who moderates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holding {
    /// It waits, durably, until then: it was put there now, or by an earlier try with the same nonce.
    Waits {
        /// Its id: that of the first try.
        id: MessageId,
        /// When it expires.
        until: Timestamp,
    },
    /// It waited before, and this was decided.
    Reviewed(MessageId, Decision),
    /// Too many messages of the author wait: so many.
    Full(usize),
}

/// What is found of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// It is there.
    Room(Box<RoomRecord>),
    /// There is no such channel, or the person may not know of it.
    None,
    /// The person may not read it.
    Forbidden,
}

/// What chat asks others for. Implemented where the parts are put together.
pub trait Records: Send + Sync + 'static {
    /// Who sends these headers from `peer`.
    ///
    /// # Errors
    /// What the API would answer: a foreign origin, a token that is no good, the store is away.
    fn visit<'a>(
        &'a self,
        headers: &'a HeaderMap,
        peer: SocketAddr,
    ) -> RecordsFuture<'a, Result<Visit, Problem>>;

    /// The room of a channel, for this person.
    fn room<'a>(
        &'a self,
        channel: &'a ChannelName,
        chatter: Option<&'a Chatter>,
    ) -> RecordsFuture<'a, Result<Record, Away>>;

    /// What the room knows of somebody.
    fn standing<'a>(
        &'a self,
        channel: &'a ChannelName,
        user: UserId,
    ) -> RecordsFuture<'a, Result<Standing, Away>>;

    /// The last messages that are kept of a room, oldest first, without what was taken away.
    fn recent<'a>(
        &'a self,
        channel: &'a ChannelName,
        limit: usize,
    ) -> RecordsFuture<'a, Result<Vec<Arc<ChatMessage>>, Away>>;

    /// Whether somebody said something in the room that was not taken away, as far back as is kept.
    fn has_spoken<'a>(
        &'a self,
        channel: &'a ChannelName,
        user: UserId,
    ) -> RecordsFuture<'a, Result<bool, Away>>;

    /// Lets a message wait for somebody who moderates. It is durable when this returns.
    fn hold<'a>(
        &'a self,
        channel: &'a ChannelName,
        message: &'a ChatMessage,
        why: HoldReason,
    ) -> RecordsFuture<'a, Result<Holding, Away>>;
}
