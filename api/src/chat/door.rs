//! Who comes to a room, and what is known of them there.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};
use millrace_core::chat::{Emote, RoomUpdated};
use millrace_core::ids::{ChannelName, UserId};
use millrace_http::problem::Problem;

use super::{ChatBar, Rooms, Sanction, Subscriber};
use crate::ApiState;
use crate::accounts::{Channel, Role, User};
use crate::auth::csrf;
use crate::auth::limits::address_of;
use crate::auth::person::{Person, who};
use crate::auth::tokens::Scope;
use crate::error::{ApiError, store_unavailable};
use crate::routes::channels::may_watch;

/// Whoever connects to chat.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Where from.
    pub address: IpAddr,
    /// Who is signed in, and their account; absent for everybody else.
    pub person: Option<(Person, User)>,
}

/// What is found of a room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entrance {
    /// Come in: the channel, what is set in its room, and the emotes that every room has.
    Room(Box<Channel>, Box<RoomUpdated>, Vec<Emote>),
    /// There is no such channel.
    None,
    /// The person may not read it.
    Forbidden,
}

/// Who sends these headers.
///
/// # Errors
/// 401 for a token that is no good, 403 for a page of another origin and for a token that may not chat, 503 while the store
/// is away.
pub async fn visitor(state: &ApiState, headers: &HeaderMap, peer: SocketAddr) -> Result<Visitor, Problem> {
    let address = address_of(state, peer.ip(), headers);
    let by_token = headers.contains_key(header::AUTHORIZATION);
    // A page elsewhere would speak with the cookies of whoever looks at it.
    if !by_token && headers.contains_key(header::ORIGIN) && !csrf::is_from_here(state, headers) {
        return Err(csrf::foreign_origin());
    }
    let person = who(state, headers).await.map_err(|ApiError(problem)| problem)?;
    let Some(person) = person else { return Ok(Visitor { address, person: None }) };
    person.require(Scope::Chat)?;
    let user = state.store().get::<User>(&person.user.to_string()).await.map_err(|_| store_unavailable())?;
    // Who is gone or banned only reads.
    let user = user.map(|kept| kept.value).filter(|user| user.banned_at.is_none());
    Ok(Visitor { address, person: user.map(|user| (person, user)) })
}

/// The room of a channel, for somebody. What they see of it is what they see of the broadcast.
///
/// # Errors
/// The store is away.
pub async fn enter(state: &ApiState, name: &ChannelName, user: Option<UserId>) -> Result<Entrance, ApiError> {
    let Some(channel) = state.studio().channels.named(name).await? else { return Ok(Entrance::None) };
    let person = match user {
        Some(user) => state.store().get::<User>(&user.to_string()).await?.map(|kept| Person::of(&kept.value)),
        None => None,
    };
    if !may_watch(state, person.as_ref(), &channel).await? {
        return Ok(Entrance::Forbidden);
    }
    let rooms = Rooms::new(state.store().clone());
    let (room, emotes) = (rooms.state(channel.id).await?, rooms.site_emotes().await?);
    Ok(Entrance::Room(Box::new(channel), Box::new(room), emotes))
}

/// What is known of somebody in a room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// What its moderators said of them.
    pub sanction: Option<Sanction>,
    /// The ban from all channels of its owner.
    pub owner_ban: Option<ChatBar>,
    /// The ban from all channels of the site.
    pub site_ban: Option<ChatBar>,
    /// Since when they follow the channel, in milliseconds since 1970.
    pub following_since: Option<i64>,
    /// If they subscribe to it.
    pub subscriber: Option<Subscriber>,
}

impl Known {
    /// Whether they may say nothing. Who moderates is held by the site alone.
    #[must_use]
    pub fn is_silenced(&self, moderates: bool, now_ms: i64) -> bool {
        let holds = |sanction: &Sanction| sanction.until.is_none_or(|until| until > now_ms);
        let here = self.owner_ban.is_some() || self.sanction.as_ref().is_some_and(holds);
        self.site_ban.is_some() || here && !moderates
    }
}

/// What is known of somebody in the room of a channel; nothing, if there is none.
///
/// # Errors
/// The store is away.
pub async fn standing(state: &ApiState, name: &ChannelName, user: UserId) -> Result<Known, ApiError> {
    let Some(channel) = state.studio().channels.named(name).await? else { return Ok(Known::default()) };
    let rooms = Rooms::new(state.store().clone());
    let follow = state.studio().follows.get(user, channel.id).await?;
    Ok(Known {
        sanction: rooms.sanction(channel.id, user).await?,
        owner_ban: rooms.bar(Some(channel.owner), user).await?,
        site_ban: rooms.bar(None, user).await?,
        following_since: follow.map(|follow| follow.followed_at),
        subscriber: rooms.subscriber(channel.id, user).await?,
    })
}

impl Visitor {
    /// Whether the person administers the site.
    #[must_use]
    pub fn is_admin(person: &Person) -> bool {
        person.role == Role::Admin
    }
}
