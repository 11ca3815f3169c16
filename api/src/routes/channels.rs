//! `/api/v1/channels` and what belongs to one's own: `/api/v1/me/channels`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use millrace_core::event::StoppedBy;
use millrace_core::ids::{BroadcastId, ChannelId, ChannelName};
use millrace_core::ladder::{ChannelLadder, LadderMode, LadderPlan};
use millrace_core::playback::Access;
use millrace_http::problem::{FieldProblem, Problem};
use millrace_store::Words;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::chat::emotes::remove_pictures;
use super::lists::{Asked, Page, cursor, invalid_fields, limit_reached, private, time};
use super::params::{AndPerson, OfChannel, Paging};
use super::path::Path;
use super::problems::{
    Anyone, Changed, InvalidFields, JsonBody, LimitReached, MayBeRefused, NoSuchChannel, Paged, SignedIn,
    problems,
};
use super::profile::NoSuchPerson;
use super::profile::{Profile, person_named};
use super::streams::NotLive;
use super::streams::{Stream, not_live};
use crate::ApiState;
use crate::accounts::{Broadcast, Channel, Playback, Role, User};
use crate::auth::audit::Audit;
use crate::auth::{Input, Person, Scope, forbidden, not_signed_in};
use crate::channels::{ChannelEdit, ChannelError, LadderEdit, LadderView, live_found};
use crate::chat::Rooms;
use crate::error::ApiError;

/// Channels of one person that are listed; more than any limit.
const OWN_MAX: usize = 1_000;

/// A channel, live or not.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChannelView {
    /// Its id (UUIDv7).
    #[schema(value_type = String, format = "uuid")]
    id: ChannelId,
    /// Its name, `[a-z0-9_]{3,25}`.
    #[schema(value_type = String, example = "studio")]
    name: ChannelName,
    /// Whose it is.
    owner: Profile,
    /// Of the next or running broadcast.
    title: String,
    /// Empty for none.
    category: String,
    /// In lower case.
    tags: Vec<String>,
    /// BCP 47; empty for none.
    language: String,
    /// What it is about.
    description: String,
    /// Who may watch.
    playback: Playback,
    /// Its rungs; for its owner and admins of the site.
    #[serde(skip_serializing_if = "Option::is_none")]
    ladder: Option<LadderView>,
    /// How many follow it.
    followers: i64,
    /// Whether who asks follows it; absent for somebody who is not signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    following: Option<bool>,
    /// Whether who asks follows it and wants no notices of it; absent for somebody who does not follow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    muted: Option<bool>,
    /// Whether who asks moderates it or owns it; absent for somebody who is not signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    moderating: Option<bool>,
    /// When it was made.
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    /// The running broadcast, for those who may watch it.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<Stream>,
}

/// A channel that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewChannel {
    /// `[a-z0-9_]{3,25}`; cannot be changed later.
    #[schema(example = "studio")]
    name: String,
}

/// A broadcast of a channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct BroadcastView {
    /// Its id (UUIDv7).
    id: String,
    /// The title when it began.
    title: String,
    /// The category when it began.
    category: String,
    /// When its first media arrived.
    #[schema(value_type = String, format = "date-time")]
    started_at: Timestamp,
    /// Absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    ended_at: Option<Timestamp>,
    /// Most viewers at once, approximately; of a running broadcast, until now.
    peak_viewers: i64,
}

/// What one person may do with one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    Stranger,
    Moderator,
    Owner,
}

fn is_admin(person: &Person) -> bool {
    person.role == Role::Admin && person.scopes.contains(Scope::Admin)
}

pub(super) fn standing(person: &Person, channel: &Channel) -> Standing {
    if person.user == channel.owner || is_admin(person) {
        Standing::Owner
    } else if channel.moderators.contains(&person.user) {
        Standing::Moderator
    } else {
        Standing::Stranger
    }
}

pub(super) fn no_such_channel() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no-such-channel",
        "No such channel",
        "There is no channel of this name. Check it for typing errors.",
    )
}

/// The channel of this name, if whoever asks may know of it.
pub(super) async fn seen(state: &ApiState, person: Option<&Person>, name: &str) -> Result<Channel, ApiError> {
    let name: ChannelName = name.parse().map_err(|_| no_such_channel())?;
    let channel = state.studio().channels.named(&name).await?.ok_or_else(no_such_channel)?;
    let hidden = channel.playback == Playback::Private;
    if hidden && person.is_none_or(|person| standing(person, &channel) == Standing::Stranger) {
        return Err(no_such_channel().into());
    }
    Ok(channel)
}

/// The channel of this name, for somebody with at least this standing who may do this.
pub(super) async fn with_standing(
    state: &ApiState,
    person: &Person,
    name: &str,
    least: Standing,
    scope: Scope,
) -> Result<Channel, ApiError> {
    person.require(scope)?;
    let channel = seen(state, Some(person), name).await?;
    if standing(person, &channel) < least {
        let detail = match least {
            Standing::Owner => "Only the owner of this channel may do this.",
            _ => "Only the owner and the moderators of this channel may do this.",
        };
        return Err(forbidden(detail).into());
    }
    Ok(channel)
}

pub(super) async fn owned(state: &ApiState, person: &Person, name: &str) -> Result<Channel, ApiError> {
    with_standing(state, person, name, Standing::Owner, Scope::Channels).await
}

/// Whether somebody may watch a channel.
pub(crate) async fn may_watch(
    state: &ApiState,
    person: Option<&Person>,
    channel: &Channel,
) -> Result<bool, ApiError> {
    let Some(person) = person else {
        return Ok(matches!(channel.playback, Playback::Public | Playback::Unlisted));
    };
    Ok(match channel.playback {
        Playback::Public | Playback::Unlisted => true,
        _ if standing(person, channel) >= Standing::Moderator => true,
        Playback::Followers => state.studio().follows.follows(person.user, channel.id).await?,
        Playback::Private => false,
    })
}

async fn view(state: &ApiState, person: Option<&Person>, channel: Channel) -> Result<ChannelView, ApiError> {
    let owner = state.store().get::<User>(&channel.owner.to_string()).await?;
    let owner = owner.map(|kept| Profile::of(&kept.value)).ok_or_else(no_such_channel)?;
    let follow = match person {
        Some(person) => state.studio().follows.get(person.user, channel.id).await?,
        None => None,
    };
    let stream = if may_watch(state, person, &channel).await? {
        state.with_directory(|directory| directory.get(&channel.name).cloned())
    } else {
        None
    };
    let stream = stream.map(|stream| Stream::of(state, stream, channel.playback));
    let owner_or_admin = person.filter(|person| standing(person, &channel) == Standing::Owner);
    let ladder =
        owner_or_admin.map(|person| LadderView::of(&channel.ladder, state.ladder(), is_admin(person)));
    Ok(ChannelView {
        id: channel.id,
        owner,
        following: person.map(|_| follow.is_some()),
        muted: follow.map(|follow| follow.muted),
        moderating: person.map(|person| standing(person, &channel) >= Standing::Moderator),
        stream,
        ladder,
        name: channel.name,
        title: channel.title,
        category: channel.category,
        tags: channel.tags,
        language: channel.language,
        description: channel.description,
        playback: channel.playback,
        followers: channel.followers,
        created_at: time(channel.created_at),
    })
}

fn name_taken() -> Problem {
    Problem::new(StatusCode::CONFLICT, "name-taken", "Name taken", "This name is taken. Choose another one.")
        .with_error("/name", "is taken")
}

pub(super) fn refused(error: ChannelError, what: &str) -> ApiError {
    match error {
        ChannelError::NameTaken => name_taken().into(),
        ChannelError::TooMany { limit } => limit_reached(what, limit).into(),
        ChannelError::NotFound => no_such_channel().into(),
        ChannelError::Store(error) => error.into(),
    }
}

problems! {
    /// Names are taken once.
    NameTaken => [name_taken()];
}

/// Makes a channel.
#[utoipa::path(post, path = "/api/v1/channels", operation_id = "createChannel", tag = "Channels",
    security(("session" = []), ("token" = ["channels"])),
    request_body = NewChannel,
    responses(
        (status = 201, description = "The channel", body = ChannelView),
        SignedIn, JsonBody, NameTaken, LimitReached, InvalidFields,
    ))]
pub(crate) async fn create(
    State(state): State<ApiState>,
    person: Person,
    Input { value: new, .. }: Input<NewChannel>,
) -> Result<Response, ApiError> {
    person.require_streamer()?;
    let name: ChannelName = new.name.parse().map_err(|error: millrace_core::ids::ChannelNameError| {
        let detail = error.to_string();
        invalid_fields(vec![FieldProblem { pointer: "/name".to_owned(), detail }])
    })?;
    let channel = Channel {
        id: ChannelId(state.new_id()),
        name,
        owner: person.user,
        title: String::new(),
        category: String::new(),
        tags: Vec::new(),
        language: state.site().known().values.language.clone(),
        description: String::new(),
        playback: Playback::Public,
        ladder: ChannelLadder::default(),
        followers: 0,
        planned: 0,
        moderators: Vec::new(),
        created_at: state.now_ms(),
    };
    let studio = state.studio();
    let limit = if person.role == Role::Admin { OWN_MAX } else { studio.config.max_per_person };
    studio.channels.create(&channel, limit).await.map_err(|error| refused(error, "channels of yours"))?;
    let location = HeaderValue::try_from(format!("/api/v1/channels/{}", channel.name));
    let location = location.expect("a channel name is a header value");
    let view = view(&state, Some(&person), channel).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(view)).into_response())
}

/// Finds public channels by words of their name, title, category and tags: those that are live first, then those with
/// most followers.
#[utoipa::path(get, path = "/api/v1/channels", operation_id = "searchChannels", tag = "Channels",
    security((), ("session" = []), ("token" = [])),
    params(("q" = Option<String>, Query, description = "Every word of it begins a word of the channel",
            max_length = 100, example = "boat"), Paging),
    responses(
        (status = 200, description = "A page of what was found", body = Page<ChannelView>),
        Anyone, Paged,
    ))]
pub(crate) async fn search(
    State(state): State<ApiState>,
    person: Option<Person>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let asked = Asked::parse(&uri)?;
    let text = asked.text("q")?.unwrap_or_default();
    let studio = state.studio();
    let words = Words::of(text);
    let live = state.with_directory(|directory| {
        live_found(directory.iter().filter_map(|stream| studio.card(&stream.channel)), &words)
    });
    let (found, next) = studio.channels.search(text, &live, asked.after.as_ref(), asked.limit).await?;
    let mut items = Vec::with_capacity(found.len());
    for channel in found {
        items.push(view(&state, person.as_ref(), channel).await?);
    }
    Ok(private(Json(Page { items, next_cursor: next.as_ref().map(cursor) })))
}

/// Shows a channel.
#[utoipa::path(get, path = "/api/v1/channels/{name}", operation_id = "getChannel", tag = "Channels",
    security((), ("session" = []), ("token" = [])),
    params(OfChannel),
    responses((status = 200, description = "The channel", body = ChannelView), Anyone, NoSuchChannel))]
pub(crate) async fn show(
    State(state): State<ApiState>,
    person: Option<Person>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let channel = seen(&state, person.as_ref(), &name).await?;
    Ok(private(Json(view(&state, person.as_ref(), channel).await?)))
}

/// Changes a channel; what is absent stays.
#[utoipa::path(patch, path = "/api/v1/channels/{name}", operation_id = "editChannel", tag = "Channels",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel),
    request_body = ChannelEdit,
    responses(
        (status = 200, description = "The channel", body = ChannelView),
        SignedIn, JsonBody, NoSuchChannel, InvalidFields, Changed,
    ))]
pub(crate) async fn edit(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    Input { value: edit, .. }: Input<ChannelEdit>,
) -> Result<Response, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    let mut edit = edit.cleaned().map_err(invalid_fields)?;
    // The one that it has stays, even if the site does not list it any more.
    if let Some(category) = edit.category.as_mut().filter(|category| **category != channel.category) {
        let known = state.site().known();
        *category =
            known.values.category("/category", category).map_err(|problem| invalid_fields(vec![problem]))?;
    }
    if let Some(ladder) = &edit.ladder {
        edit.by_admin = is_admin(&person);
        may_have(&state, &person, &channel, ladder)?;
    }
    let studio = state.studio();
    let channel =
        studio.channels.update(channel.id, &edit).await.map_err(|error| refused(error, "channels"))?;
    if edit.ladder.is_some() && edit.by_admin {
        note_ladder(&state, &person, &channel).await?;
    }
    studio.updated(&channel.name, channel.playback.access()).await;
    Ok(private(Json(view(&state, Some(&person), channel).await?)))
}

/// Whether somebody may have such rungs made. What is not changed may stay, whatever the site makes now.
fn may_have(
    state: &ApiState,
    person: &Person,
    channel: &Channel,
    ladder: &LadderEdit,
) -> Result<(), ApiError> {
    let (site, before) = (state.ladder(), &channel.ladder);
    ladder.check(site, &before.wish).map_err(invalid_fields)?;
    let wish = ladder.wish();
    if !is_admin(person) && wish != before.wish && before.takes_admin(&wish, site) {
        let detail = "This is more than the site makes, and takes the processors of its machines: only an admin of the site \
            may choose it. Ask one, or choose less.";
        return Err(forbidden(detail).into());
    }
    Ok(())
}

/// Admins of the site see what admins allowed.
async fn note_ladder(state: &ApiState, person: &Person, channel: &Channel) -> Result<(), ApiError> {
    let LadderPlan { mode, rungs } = channel.ladder.comes_to(state.ladder());
    let detail = match mode {
        LadderMode::Off => "off".to_owned(),
        LadderMode::OnDemand => format!("on demand: {}", rungs.join(", ")),
        LadderMode::Always => format!("always: {}", rungs.join(", ")),
    };
    let entry = Audit {
        id: state.new_id(),
        at: state.now_ms(),
        by: Some(person.user),
        action: "channel.ladder".to_owned(),
        target: channel.name.to_string(),
        detail,
        scope: "site".to_owned(),
    };
    Ok(state.store().insert(&entry).await?)
}

/// Removes a channel with its keys, follows and history; its broadcast ends.
#[utoipa::path(delete, path = "/api/v1/channels/{name}", operation_id = "deleteChannel", tag = "Channels",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel),
    responses((status = 204, description = "It is gone"), SignedIn, NoSuchChannel))]
pub(crate) async fn delete(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    take_down(&state, &channel, StoppedBy::Owner).await.map_err(|error| refused(error, "channels"))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a channel, and ends what it broadcasts.
pub(super) async fn take_down(
    state: &ApiState,
    channel: &Channel,
    by: StoppedBy,
) -> Result<(), ChannelError> {
    let studio = state.studio();
    let keys = studio.keys.of(channel.id).await?;
    let emotes = Rooms::new(state.store().clone()).state(channel.id).await?.emotes;
    studio.channels.delete(channel.id).await?;
    remove_pictures(state, &emotes).await;
    for key in keys {
        studio.revoked(&channel.name, key.id).await;
    }
    studio.stop(&channel.name, by).await;
    // What there is of it goes with it.
    studio.updated(&channel.name, Access::Token).await;
    Ok(())
}

/// Lists one's own channels, oldest first.
#[utoipa::path(get, path = "/api/v1/me/channels", operation_id = "listMyChannels", tag = "Channels",
    security(("session" = []), ("token" = ["read"])),
    responses(
        (status = 200, description = "All of them, on one page", body = Page<ChannelView>),
        SignedIn,
    ))]
pub(crate) async fn mine(State(state): State<ApiState>, person: Person) -> Result<Response, ApiError> {
    person.require(Scope::Read)?;
    let mut items = Vec::new();
    for channel in state.studio().channels.of(person.user, OWN_MAX).await? {
        items.push(view(&state, Some(&person), channel).await?);
    }
    Ok(private(Json(Page { items, next_cursor: None })))
}

/// Shows the running broadcast of one's channel, with what is measured of it. For its owner and moderators.
#[utoipa::path(get, path = "/api/v1/channels/{name}/stream", operation_id = "getChannelStream", tag = "Channels",
    security(("session" = []), ("token" = ["read"])),
    params(OfChannel),
    responses(
        (status = 200, description = "The running broadcast", body = Stream),
        SignedIn, NoSuchChannel, NotLive,
    ))]
pub(crate) async fn stream(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let channel = with_standing(&state, &person, &name, Standing::Moderator, Scope::Read).await?;
    let stream = state.with_directory(|directory| directory.get(&channel.name).cloned());
    let stream = Stream::of(&state, stream.ok_or_else(not_live)?, channel.playback);
    Ok(private(Json(stream)))
}

/// Stops the running broadcast. Its encoder is told, and for a while none can begin the next: encoders reconnect by
/// themselves.
#[utoipa::path(post, path = "/api/v1/channels/{name}/stream/stop", operation_id = "stopStream", tag = "Channels",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel),
    responses(
        (status = 202, description = "It ends within two seconds"),
        SignedIn, NoSuchChannel, NotLive,
    ))]
pub(crate) async fn stop(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    if state.with_directory(|directory| directory.get(&channel.name).is_none()) {
        return Err(not_live().into());
    }
    let by = if person.user == channel.owner { StoppedBy::Owner } else { StoppedBy::Site };
    state.studio().stop(&channel.name, by).await;
    Ok(StatusCode::ACCEPTED)
}

impl BroadcastView {
    /// `running`: how many watch the channel's running broadcast right now.
    fn of(broadcast: Broadcast, running: Option<(BroadcastId, u64)>) -> Self {
        let now = running.filter(|(id, _)| *id == broadcast.id).map_or(0, |(_, viewers)| viewers);
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        Self {
            id: broadcast.id.to_string(),
            title: broadcast.title,
            category: broadcast.category,
            started_at: time(broadcast.started_at),
            ended_at: broadcast.ended_at.map(time),
            peak_viewers: broadcast.peak_viewers.max(now),
        }
    }
}

/// Lists the broadcasts of a channel, newest first. What not everybody may watch is listed for those who may.
#[utoipa::path(get, path = "/api/v1/channels/{name}/broadcasts", operation_id = "listBroadcasts", tag = "Channels",
    security((), ("session" = []), ("token" = [])),
    params(OfChannel, Paging),
    responses(
        (status = 200, description = "A page of them", body = Page<BroadcastView>),
        Anyone, Paged, NoSuchChannel, MayBeRefused,
    ))]
pub(crate) async fn broadcasts(
    State(state): State<ApiState>,
    person: Option<Person>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let asked = Asked::parse(&uri)?;
    let channel = seen(&state, person.as_ref(), &name).await?;
    if !may_watch(&state, person.as_ref(), &channel).await? {
        let refusal = || forbidden("Only followers of this channel may see its broadcasts.");
        return Err(if person.is_some() { refusal() } else { not_signed_in() }.into());
    }
    let (found, next) = state.studio().history.of(channel.id, asked.after, asked.limit).await?;
    // Of a running one the history learns the viewers now and then only.
    let running = state.with_directory(|directory| {
        directory.get(&channel.name).map(|stream| (stream.broadcast, stream.viewers))
    });
    let items = found.into_iter().map(|broadcast| BroadcastView::of(broadcast, running)).collect();
    Ok(private(Json(Page { items, next_cursor: next.as_ref().map(cursor) })))
}

/// Lists the moderators of a channel.
#[utoipa::path(get, path = "/api/v1/channels/{name}/moderators", operation_id = "listModerators", tag = "Channels",
    security(("session" = []), ("token" = ["read"])),
    params(OfChannel),
    responses(
        (status = 200, description = "All of them, on one page", body = Page<Profile>),
        SignedIn, NoSuchChannel,
    ))]
pub(crate) async fn moderators(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let channel = with_standing(&state, &person, &name, Standing::Moderator, Scope::Read).await?;
    let mut items = Vec::with_capacity(channel.moderators.len());
    for moderator in &channel.moderators {
        if let Some(user) = state.store().get::<User>(&moderator.to_string()).await? {
            items.push(Profile::of(&user.value));
        }
    }
    Ok(private(Json(Page { items, next_cursor: None })))
}

/// Makes a person moderator of a channel; harmless if it is one.
#[utoipa::path(put, path = "/api/v1/channels/{name}/moderators/{person}", operation_id = "addModerator", tag = "Channels",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel, AndPerson),
    responses(
        (status = 204, description = "The person moderates the channel"),
        SignedIn, NoSuchChannel, NoSuchPerson, LimitReached,
    ))]
pub(crate) async fn appoint(
    State(state): State<ApiState>,
    person: Person,
    Path((name, moderator)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    let moderator = person_named(&state, &moderator).await?;
    let limit = state.studio().config.max_moderators;
    let appointed = state.studio().channels.appoint(channel.id, moderator.id, limit).await;
    let channel = appointed.map_err(|error| refused(error, "moderators of this channel"))?;
    // Chat keeps who moderates.
    state.studio().updated(&channel.name, channel.playback.access()).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a person moderator no more; harmless if it is none.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/moderators/{person}", operation_id = "removeModerator", tag = "Channels",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel, AndPerson),
    responses(
        (status = 204, description = "The person does not moderate the channel"),
        SignedIn, NoSuchChannel, NoSuchPerson,
    ))]
pub(crate) async fn dismiss(
    State(state): State<ApiState>,
    person: Person,
    Path((name, moderator)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    let moderator = person_named(&state, &moderator).await?;
    let dismissed = state.studio().channels.dismiss(channel.id, moderator.id).await;
    let channel = dismissed.map_err(|error| refused(error, "moderators of this channel"))?;
    state.studio().updated(&channel.name, channel.playback.access()).await;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
#[path = "channels_tests.rs"]
mod tests;
