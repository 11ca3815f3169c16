//! `/api/v1/admin/chat/bans` and `/api/v1/me/chat/bans`: who may say nothing in all rooms of the site, or of an owner.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use millrace_core::chat::{UserBarred, UserUnbarred};
use millrace_core::event::EventBody;
use millrace_core::ids::UserId;
use millrace_http::problem::Problem;
use millrace_store::{After, Document};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::held::deny_all_of;
use super::sanctions::reason_of;
use super::{Told, rooms, untold};
use crate::ApiState;
use crate::accounts::{Role, User};
use crate::auth::audit::Audit;
use crate::auth::{Input, Person, Scope, forbidden};
use crate::chat::{ChatBar, OWNER_BARS_MAX, SITE_BARS_MAX};
use crate::error::ApiError;
use crate::routes::lists::{Asked, Page, cursor, invalid_fields, limit_reached, private, time};
use crate::routes::params::{AndPerson, Paging};
use crate::routes::path::Path;
use crate::routes::problems::{InvalidFields, JsonBody, LimitReached, Paged, SignedIn, problems};
use crate::routes::profile::{NoSuchPerson, Profile, person_named};

/// How many of the last messages of a person that waited, or wait, are looked at.
const HELD_LOOKED_AT: usize = 1_000;

/// Somebody who may say nothing in many rooms.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatBan {
    /// Who.
    #[serde(flatten)]
    person: Profile,
    /// Why: the person is told.
    #[schema(example = "advertising")]
    reason: String,
    /// Since when.
    #[schema(value_type = String, format = "date-time")]
    at: Timestamp,
}

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatBanEdit {
    /// The person is told. At most 200 characters.
    #[serde(default)]
    #[schema(example = "advertising")]
    reason: String,
}

problems! {
    /// For others only, and nobody who administers the site.
    NotThem => [not_them()];
}

fn not_them() -> Problem {
    forbidden("Nobody bans themselves or an admin of this site.")
}

async fn list(state: &ApiState, owner: Option<UserId>, uri: &Uri) -> Result<Response, ApiError> {
    let asked = Asked::parse(uri)?;
    let found = rooms(state).bars(owner, asked.after, asked.limit).await?;
    let last = found.last().filter(|_| found.len() == asked.limit);
    let next_cursor = last.map(|last| cursor(&After { value: last.at.into(), id: last.id() }));
    let mut items = Vec::new();
    for bar in found {
        let user = state.store().get::<User>(&bar.user.to_string()).await?;
        items.extend(user.map(|user| ChatBan {
            person: Profile::of(&user),
            reason: bar.reason,
            at: time(bar.at),
        }));
    }
    Ok(private(Json(Page { items, next_cursor })))
}

/// Notes who did it.
async fn note(
    state: &ApiState,
    person: &Person,
    owner: Option<UserId>,
    (action, target, detail): (&str, &User, &str),
) -> Result<(), ApiError> {
    let entry = Audit {
        id: state.new_id(),
        at: state.now_ms(),
        by: Some(person.user),
        action: action.to_owned(),
        target: target.name.to_string(),
        detail: detail.to_owned(),
        scope: owner.map_or_else(|| "site".to_owned(), |owner| format!("person:{owner}")),
    };
    Ok(state.store().insert(&entry).await?)
}

async fn tell(state: &ApiState, user: UserId, body: EventBody) -> Result<StatusCode, ApiError> {
    state.studio().tell_rooms(user, body).await.map_err(|err| {
        tracing::error!(user.id = %user, %err, "chat is not told who is banned");
        untold()
    })?;
    Ok(StatusCode::NO_CONTENT)
}

async fn ban(
    state: &ApiState,
    person: &Person,
    owner: Option<UserId>,
    name: &str,
    edit: &ChatBanEdit,
) -> Result<StatusCode, ApiError> {
    let reason = reason_of(&edit.reason).map_err(|problem| invalid_fields(vec![problem]))?;
    let other = person_named(state, name).await?;
    if other.id == person.user || other.role == Role::Admin {
        return Err(not_them().into());
    }
    let limit = if owner.is_some() { OWNER_BARS_MAX } else { SITE_BARS_MAX };
    let rooms = rooms(state);
    if rooms.bar(owner, other.id).await?.is_none() && rooms.count_bars(owner).await? >= limit as u64 {
        return Err(limit_reached("people in this list", limit).into());
    }
    let bar = ChatBar {
        list: ChatBar::list_of(owner),
        user: other.id,
        reason: reason.clone(),
        by: person.user,
        at: state.now_ms(),
    };
    rooms.put_bar(&bar).await?;
    note(state, person, owner, ("chat.ban_everywhere", &other, &reason)).await?;
    let told =
        tell(state, other.id, EventBody::UserBarred(UserBarred { owner, reason, by: person.user })).await?;
    // What they wanted to say waits no more.
    let waiting = rooms.held_by(other.id, HELD_LOOKED_AT).await?;
    let channels: BTreeSet<_> =
        waiting.iter().filter(|held| held.until.is_some()).map(|held| held.channel).collect();
    for channel in channels {
        if let Some(channel) = state.studio().channels.get(channel).await?
            && owner.is_none_or(|owner| owner == channel.owner)
        {
            deny_all_of(state, &channel, person, other.id).await?;
        }
    }
    Ok(told)
}

async fn pardon(
    state: &ApiState,
    person: &Person,
    owner: Option<UserId>,
    name: &str,
) -> Result<StatusCode, ApiError> {
    let other = person_named(state, name).await?;
    if rooms(state).lift_bar(owner, other.id).await? {
        note(state, person, owner, ("chat.pardon_everywhere", &other, "")).await?;
    }
    tell(state, other.id, EventBody::UserUnbarred(UserUnbarred { owner, by: person.user })).await
}

/// Lists who may say nothing in any chat of the site, newest first.
#[utoipa::path(get, path = "/api/v1/admin/chat/bans", operation_id = "listSiteChatBans", tag = "Administration",
    security(("session" = []), ("token" = ["admin"])),
    params(Paging),
    responses((status = 200, description = "A page of them", body = Page<ChatBan>), SignedIn, Paged))]
pub(crate) async fn list_site(
    State(state): State<ApiState>,
    person: Person,
    uri: Uri,
) -> Result<Response, ApiError> {
    person.require_admin()?;
    list(&state, None, &uri).await
}

/// Bans a person from every chat of the site; what they said is taken away. They may watch and sign in.
#[utoipa::path(put, path = "/api/v1/admin/chat/bans/{person}", operation_id = "banFromAllChats", tag = "Administration",
    security(("session" = []), ("token" = ["admin"])),
    params(AndPerson), request_body = ChatBanEdit,
    responses(
        (status = 204, description = "The person says nothing anywhere"),
        SignedIn, JsonBody, NoSuchPerson, InvalidFields, NotThem, LimitReached, Told,
    ))]
pub(crate) async fn ban_site(
    State(state): State<ApiState>,
    person: Person,
    Path(other): Path<String>,
    Input { value: edit, .. }: Input<ChatBanEdit>,
) -> Result<StatusCode, ApiError> {
    person.require_admin()?;
    ban(&state, &person, None, &other, &edit).await
}

/// Lifts a ban from every chat of the site; harmless if there is none. Bans of single rooms stay.
#[utoipa::path(delete, path = "/api/v1/admin/chat/bans/{person}", operation_id = "pardonInAllChats", tag = "Administration",
    security(("session" = []), ("token" = ["admin"])),
    params(AndPerson),
    responses((status = 204, description = "The person may speak"), SignedIn, NoSuchPerson, Told))]
pub(crate) async fn pardon_site(
    State(state): State<ApiState>,
    person: Person,
    Path(other): Path<String>,
) -> Result<StatusCode, ApiError> {
    person.require_admin()?;
    pardon(&state, &person, None, &other).await
}

/// Lists who may say nothing in the chats of all one's channels, newest first.
#[utoipa::path(get, path = "/api/v1/me/chat/bans", operation_id = "listMyChatBans", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(Paging),
    responses((status = 200, description = "A page of them", body = Page<ChatBan>), SignedIn, Paged))]
pub(crate) async fn list_mine(
    State(state): State<ApiState>,
    person: Person,
    uri: Uri,
) -> Result<Response, ApiError> {
    person.require(Scope::Chat)?;
    list(&state, Some(person.user), &uri).await
}

/// Bans a person from the chats of all one's channels, also of those to come; what they said there is taken away. Who
/// moderates one of them goes on there.
#[utoipa::path(put, path = "/api/v1/me/chat/bans/{person}", operation_id = "banFromMyChats", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(AndPerson), request_body = ChatBanEdit,
    responses(
        (status = 204, description = "The person says nothing there"),
        SignedIn, JsonBody, NoSuchPerson, InvalidFields, NotThem, LimitReached, Told,
    ))]
pub(crate) async fn ban_mine(
    State(state): State<ApiState>,
    person: Person,
    Path(other): Path<String>,
    Input { value: edit, .. }: Input<ChatBanEdit>,
) -> Result<StatusCode, ApiError> {
    person.require(Scope::Chat)?;
    ban(&state, &person, Some(person.user), &other, &edit).await
}

/// Lifts a ban from the chats of all one's channels; harmless if there is none. Bans of single rooms stay.
#[utoipa::path(delete, path = "/api/v1/me/chat/bans/{person}", operation_id = "pardonInMyChats", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(AndPerson),
    responses((status = 204, description = "The person may speak there"), SignedIn, NoSuchPerson, Told))]
pub(crate) async fn pardon_mine(
    State(state): State<ApiState>,
    person: Person,
    Path(other): Path<String>,
) -> Result<StatusCode, ApiError> {
    person.require(Scope::Chat)?;
    pardon(&state, &person, Some(person.user), &other).await
}
