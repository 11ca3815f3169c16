//! Who follows what: `/api/v1/channels/{name}/follow`, `/followers`, `/blocks`, `/api/v1/me/follows`.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use millrace_core::ids::ChannelName;
use millrace_http::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::channels::{Standing, may_watch, no_such_channel, seen, with_standing};
use super::lists::{Asked, Page, cursor, limit_reached, private, time};
use super::params::{AndPerson, OfChannel, Paging};
use super::path::Path;
use super::problems::{JsonBody, LimitReached, NoSuchChannel, Paged, SignedIn, problems};
use super::profile::NoSuchPerson;
use super::profile::{Profile, person_named};
use crate::ApiState;
use crate::accounts::Playback;
use crate::auth::{Input, Person, Scope};
use crate::channels::FollowError;
use crate::error::ApiError;

/// A channel that one follows.
#[derive(Debug, Serialize, ToSchema)]
pub struct Followed {
    /// The channel's name.
    #[schema(value_type = String, example = "studio")]
    channel: ChannelName,
    /// Of its next or running broadcast.
    title: String,
    /// Whether it is live.
    live: bool,
    /// Where the newest thumbnail of what is live is, as in a stream; absent if there is none, or one may not watch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/live/studio/thumb.jpg?v=1795233660")]
    thumbnail_url: Option<String>,
    /// Whether one wants no notices of it.
    muted: bool,
    /// Since when.
    #[schema(value_type = String, format = "date-time")]
    followed_at: Timestamp,
}

/// How one follows a channel.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FollowEdit {
    /// Whether one wants no notices when it goes live.
    #[schema(example = true)]
    muted: bool,
}

/// Somebody who follows a channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct Follower {
    /// Who.
    #[serde(flatten)]
    person: Profile,
    /// Since when.
    #[schema(value_type = String, format = "date-time")]
    followed_at: Timestamp,
}

/// Somebody who may not follow a channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct Blocked {
    /// Who.
    #[serde(flatten)]
    person: Profile,
    /// Since when.
    #[schema(value_type = String, format = "date-time")]
    blocked_at: Timestamp,
}

problems! {
    /// Not whom the channel blocks.
    MayNotFollow => [blocked()];
    /// For who follows it.
    NotFollowed => [not_followed()];
}

fn blocked() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "blocked", "Blocked", "This channel does not let you follow it.")
}

/// Follows a channel; harmless if one does already.
#[utoipa::path(put, path = "/api/v1/channels/{name}/follow", operation_id = "followChannel", tag = "Following",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel),
    responses(
        (status = 204, description = "You follow it"),
        SignedIn, NoSuchChannel, MayNotFollow, LimitReached,
    ))]
pub(crate) async fn follow(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    person.require(Scope::Channels)?;
    let channel = seen(&state, Some(&person), &name).await?;
    let studio = state.studio();
    let followed =
        studio.follows.follow(person.user, channel.id, state.now_ms(), studio.config.max_follows).await;
    match followed {
        Ok(true) => {
            studio.tell_followed(&channel.name, person.user).await;
            Ok(StatusCode::NO_CONTENT)
        }
        Ok(false) => Ok(StatusCode::NO_CONTENT),
        Err(FollowError::Blocked) => Err(blocked().into()),
        Err(FollowError::TooMany { limit }) => Err(limit_reached("channels that you follow", limit).into()),
        Err(FollowError::NotFound) => Err(no_such_channel().into()),
        Err(FollowError::Store(error)) => Err(error.into()),
    }
}

/// Follows a channel no more; harmless if one does not.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/follow", operation_id = "unfollowChannel", tag = "Following",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel),
    responses((status = 204, description = "You do not follow it"), SignedIn, NoSuchChannel))]
pub(crate) async fn unfollow(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    person.require(Scope::Channels)?;
    // Whoever follows a channel that became private may leave it.
    let name: ChannelName = name.parse().map_err(|_| no_such_channel())?;
    let channel = state.studio().channels.named(&name).await?.ok_or_else(no_such_channel)?;
    let changed = state.studio().follows.unfollow(person.user, channel.id).await?;
    if !changed && channel.playback == Playback::Private {
        seen(&state, Some(&person), name.as_str()).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Says whether one wants notices of a channel that one follows.
#[utoipa::path(patch, path = "/api/v1/channels/{name}/follow", operation_id = "muteChannel", tag = "Following",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel), request_body = FollowEdit,
    responses((status = 204, description = "It is so"), SignedIn, JsonBody, NoSuchChannel, NotFollowed))]
pub(crate) async fn mute(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    Input { value: edit, .. }: Input<FollowEdit>,
) -> Result<StatusCode, ApiError> {
    person.require(Scope::Channels)?;
    let channel = seen(&state, Some(&person), &name).await?;
    let muted = state.studio().follows.mute(person.user, channel.id, edit.muted, state.now_ms()).await?;
    muted.map(|()| StatusCode::NO_CONTENT).ok_or_else(|| not_followed().into())
}

fn not_followed() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "not-followed",
        "Not followed",
        "You do not follow this channel. Follow it first.",
    )
}

/// Lists what one follows, newest first.
#[utoipa::path(get, path = "/api/v1/me/follows", operation_id = "listMyFollows", tag = "Following",
    security(("session" = []), ("token" = ["read"])),
    params(Paging),
    responses((status = 200, description = "A page of them", body = Page<Followed>), SignedIn, Paged))]
pub(crate) async fn mine(
    State(state): State<ApiState>,
    person: Person,
    uri: Uri,
) -> Result<Response, ApiError> {
    person.require(Scope::Read)?;
    let asked = Asked::parse(&uri)?;
    let page = state.studio().follows.of(person.user, asked.after, asked.limit).await?;
    let next_cursor = page.next.as_ref().map(cursor);
    let mut items = Vec::new();
    for (follow, channel) in page.items {
        if channel.playback == Playback::Private && channel.owner != person.user {
            continue;
        }
        let stream = state.with_directory(|directory| directory.get(&channel.name).cloned());
        let mut thumbnail_url = None;
        if let Some(made_at) = stream.as_ref().and_then(|stream| stream.thumbnail_at)
            && may_watch(&state, Some(&person), &channel).await?
        {
            let link = state.playback().link(&channel.name, channel.playback.access(), state.now_ms());
            thumbnail_url = link.thumbnail(made_at);
        }
        items.push(Followed {
            live: stream.is_some(),
            thumbnail_url,
            channel: channel.name,
            title: channel.title,
            muted: follow.muted,
            followed_at: time(follow.followed_at),
        });
    }
    Ok(private(Json(Page { items, next_cursor })))
}

/// Lists who follows a channel, newest first. For its owner.
#[utoipa::path(get, path = "/api/v1/channels/{name}/followers", operation_id = "listFollowers", tag = "Following",
    security(("session" = []), ("token" = ["read"])),
    params(OfChannel, Paging),
    responses(
        (status = 200, description = "A page of them", body = Page<Follower>),
        SignedIn, Paged, NoSuchChannel,
    ))]
pub(crate) async fn followers(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let channel = with_standing(&state, &person, &name, Standing::Owner, Scope::Read).await?;
    let asked = Asked::parse(&uri)?;
    let page = state.studio().follows.followers(channel.id, asked.after, asked.limit).await?;
    let next_cursor = page.next.as_ref().map(cursor);
    let items = page
        .items
        .iter()
        .map(|(follow, user)| Follower { person: Profile::of(user), followed_at: time(follow.followed_at) })
        .collect();
    Ok(private(Json(Page { items, next_cursor })))
}

/// Lists who may not follow a channel, newest first. For its owner and moderators.
#[utoipa::path(get, path = "/api/v1/channels/{name}/blocks", operation_id = "listBlocks", tag = "Following",
    security(("session" = []), ("token" = ["read"])),
    params(OfChannel, Paging),
    responses(
        (status = 200, description = "A page of them", body = Page<Blocked>),
        SignedIn, Paged, NoSuchChannel,
    ))]
pub(crate) async fn blocks(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let channel = with_standing(&state, &person, &name, Standing::Moderator, Scope::Read).await?;
    let asked = Asked::parse(&uri)?;
    let page = state.studio().follows.blocked(channel.id, asked.after, asked.limit).await?;
    let next_cursor = page.next.as_ref().map(cursor);
    let items = page
        .items
        .iter()
        .map(|(since, user)| Blocked { person: Profile::of(user), blocked_at: time(*since) })
        .collect();
    Ok(private(Json(Page { items, next_cursor })))
}

/// Keeps a person from following a channel; harmless if it is so already. For its owner and moderators.
#[utoipa::path(put, path = "/api/v1/channels/{name}/blocks/{person}", operation_id = "blockPerson", tag = "Following",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel, AndPerson),
    responses(
        (status = 204, description = "The person does not follow it and cannot"),
        SignedIn, NoSuchChannel, NoSuchPerson,
    ))]
pub(crate) async fn block(
    State(state): State<ApiState>,
    person: Person,
    Path((name, other)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let channel = with_standing(&state, &person, &name, Standing::Moderator, Scope::Channels).await?;
    let other = person_named(&state, &other).await?;
    state.studio().follows.block(channel.id, other.id, state.now_ms()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets a person follow a channel again; harmless if it may. For its owner and moderators.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/blocks/{person}", operation_id = "unblockPerson", tag = "Following",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel, AndPerson),
    responses(
        (status = 204, description = "The person may follow it"),
        SignedIn, NoSuchChannel, NoSuchPerson,
    ))]
pub(crate) async fn unblock(
    State(state): State<ApiState>,
    person: Person,
    Path((name, other)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let channel = with_standing(&state, &person, &name, Standing::Moderator, Scope::Channels).await?;
    let other = person_named(&state, &other).await?;
    state.studio().follows.unblock(channel.id, other.id).await?;
    Ok(StatusCode::NO_CONTENT)
}
