//! `/api/v1/channels/{name}/chat/sanctions`: who may say nothing.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use millrace_core::chat::{ChatBan, ChatPardon, UserTimedOut};
use millrace_core::event::{EventBody, UserBanned, UserUnbanned};
use millrace_http::problem::{FieldProblem, Problem};
use millrace_store::After;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::held::deny_all_of;
use super::pins::unpin_if;
use super::{Told, kept_by, note, rooms, tell};
use crate::ApiState;
use crate::accounts::{Role, User};
use crate::auth::{Input, Person, forbidden};
use crate::chat::Sanction;
use crate::error::ApiError;
use crate::routes::channels::{Standing, standing};
use crate::routes::lists::{Asked, Page, cursor, invalid_fields, private, time};
use crate::routes::params::{AndPerson, OfChannel, Paging};
use crate::routes::path::Path;
use crate::routes::problems::{InvalidFields, JsonBody, NoSuchChannel, Paged, SignedIn, problems};
use crate::routes::profile::{NoSuchPerson, Profile, person_named};

/// Longest time-out, in seconds: four weeks. What is longer is a ban.
const TIMEOUT_MAX_S: u32 = 28 * 24 * 3_600;
/// Most characters of a reason.
const REASON_MAX: usize = 200;

/// Somebody who may say nothing in a room.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChatSanction {
    /// Who.
    #[serde(flatten)]
    person: Profile,
    /// Until when; null: for good.
    #[schema(value_type = Option<String>, format = "date-time", required)]
    until: Option<Timestamp>,
    /// Why: the person is told.
    #[schema(example = "advertising")]
    reason: String,
    /// Since when.
    #[schema(value_type = String, format = "date-time")]
    at: Timestamp,
}

/// For how long, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatSanctionEdit {
    /// 1 s to four weeks; absent: for good.
    #[serde(default)]
    #[schema(example = 600)]
    seconds: Option<u32>,
    /// The person is told. At most 200 characters.
    #[serde(default)]
    #[schema(example = "advertising")]
    reason: String,
}

problems! {
    /// Nobody keeps order among those who keep it.
    Untouchable => [untouchable()];
}

fn untouchable() -> Problem {
    forbidden(
        "Nobody but the owner of the channel may do this to somebody who moderates it, and nobody to its owner.",
    )
}

/// Lists who was banned or timed out in a room, newest first. For its owner and moderators.
#[utoipa::path(get, path = "/api/v1/channels/{name}/chat/sanctions", operation_id = "listChatSanctions", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, Paging),
    responses((status = 200, description = "A page of them", body = Page<ChatSanction>), SignedIn, Paged, NoSuchChannel))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    let asked = Asked::parse(&uri)?;
    let found = rooms(&state).sanctions(channel.id, asked.after, asked.limit).await?;
    let last = found.last().filter(|_| found.len() == asked.limit);
    let next_cursor = last
        .map(|last| cursor(&After { value: last.at.into(), id: Sanction::id_of(last.channel, last.user) }));
    let mut items = Vec::new();
    for sanction in found {
        let user = state.store().get::<User>(&sanction.user.to_string()).await?;
        items.extend(user.map(|user| ChatSanction {
            person: Profile::of(&user),
            until: sanction.until.map(time),
            reason: sanction.reason,
            at: time(sanction.at),
        }));
    }
    Ok(private(Json(Page { items, next_cursor })))
}

/// Bans a person from a room, or times them out; what they said is taken away. For its owner and moderators.
#[utoipa::path(put, path = "/api/v1/channels/{name}/chat/sanctions/{person}", operation_id = "sanctionChatter", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, AndPerson), request_body = ChatSanctionEdit,
    responses(
        (status = 204, description = "The person says nothing there"),
        SignedIn, JsonBody, NoSuchChannel, NoSuchPerson, InvalidFields, Untouchable, Told,
    ))]
pub(crate) async fn impose(
    State(state): State<ApiState>,
    person: Person,
    Path((name, other)): Path<(String, String)>,
    Input { value: edit, .. }: Input<ChatSanctionEdit>,
) -> Result<StatusCode, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    let reason = edit.check().map_err(invalid_fields)?;
    let other = person_named(&state, &other).await?;
    let touchable = other.id != channel.owner
        && other.role != Role::Admin
        && (!channel.moderators.contains(&other.id) || standing(&person, &channel) == Standing::Owner);
    if !touchable {
        return Err(untouchable().into());
    }
    let now = state.now_ms();
    let until = edit.seconds.map(|seconds| now.saturating_add(i64::from(seconds) * 1_000));
    let sanction = Sanction {
        channel: channel.id,
        user: other.id,
        until,
        reason: reason.clone(),
        by: person.user,
        at: now,
    };
    rooms(&state).impose(&sanction).await?;
    let action = if until.is_some() { "chat.timeout" } else { "chat.ban" };
    note(&state, &person, &channel, (action, other.name.to_string(), &reason)).await?;
    let (user, by) = (other.id, person.user);
    let body = match until {
        Some(until) => EventBody::UserTimedOut(UserTimedOut { user, until: time(until), reason, by }),
        None => EventBody::UserBanned(UserBanned { chat: Some(ChatBan { user, reason, by }) }),
    };
    tell(&state, &channel, body).await?;
    deny_all_of(&state, &channel, &person, user).await?;
    unpin_if(&state, &channel, |pinned| pinned.author.as_ref().is_some_and(|author| author.id == user))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

impl ChatSanctionEdit {
    /// The reason, in one line.
    fn check(&self) -> Result<String, Vec<FieldProblem>> {
        let mut problems = Vec::new();
        if self.seconds.is_some_and(|seconds| !(1..=TIMEOUT_MAX_S).contains(&seconds)) {
            let detail = "is 1 to 2419200, which is four weeks; leave it out to ban for good";
            problems.push(FieldProblem { pointer: "/seconds".to_owned(), detail: detail.to_owned() });
        }
        let reason = reason_of(&self.reason);
        problems.extend(reason.as_ref().err().cloned());
        if problems.is_empty() { Ok(reason.unwrap_or_default()) } else { Err(problems) }
    }
}

/// A reason in one line.
pub(super) fn reason_of(text: &str) -> Result<String, FieldProblem> {
    if text.chars().count() > REASON_MAX {
        let detail = "has at most 200 characters".to_owned();
        return Err(FieldProblem { pointer: "/reason".to_owned(), detail });
    }
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Lifts a ban or a time-out; harmless if there is none. For the owner and moderators of the channel.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/chat/sanctions/{person}", operation_id = "pardonChatter", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, AndPerson),
    responses((status = 204, description = "The person may speak"), SignedIn, NoSuchChannel, NoSuchPerson, Told))]
pub(crate) async fn pardon(
    State(state): State<ApiState>,
    person: Person,
    Path((name, other)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    let other = person_named(&state, &other).await?;
    if rooms(&state).pardon(channel.id, other.id).await? {
        note(&state, &person, &channel, ("chat.pardon", other.name.to_string(), "")).await?;
    }
    let pardon = ChatPardon { user: other.id, by: person.user };
    tell(&state, &channel, EventBody::UserUnbanned(UserUnbanned { chat: Some(pardon) })).await?;
    Ok(StatusCode::NO_CONTENT)
}
