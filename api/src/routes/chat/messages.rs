//! `/api/v1/channels/{name}/chat/messages`: what was said.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use millrace_core::chat::{MessageDeleted, Removed};
use millrace_core::event::EventBody;
use millrace_core::ids::MessageId;
use millrace_http::problem::Problem;
use millrace_store::{After, Words};
use utoipa::IntoParams;

use super::line::ChatLine;
use super::pins::unpin_if;
use super::{Told, kept_by, note, read_by, rooms, tell};
use crate::ApiState;
use crate::accounts::Channel;
use crate::auth::{Person, Scope, forbidden};
use crate::chat::{Message, Search};
use crate::error::ApiError;
use crate::routes::channels::{Standing, seen, standing};
use crate::routes::lists::{Asked, Page, cursor, private};
use crate::routes::params::{OfChannel, Paging};
use crate::routes::path::Path;
use crate::routes::problems::{Anyone, MayBeRefused, NoSuchChannel, NoSuchThing, Paged, SignedIn, problems};
use crate::routes::profile::{NoSuchPerson, person_named};

/// From which message on.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Before {
    /// The id of a message: what was said before it. For pages that begin with what the WebSocket showed.
    #[param(example = "0198c6d2-0000-7000-8000-000000000000", format = "uuid")]
    #[expect(dead_code, reason = "only described")]
    before: Option<String>,
}

/// What moderators look for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only described")]
pub(crate) struct Sought {
    /// For who moderates: only what this person said.
    #[param(example = "ben", pattern = "^[a-z0-9_]{3,25}$")]
    author: Option<String>,
    /// For who moderates: only messages with words that begin with each of these. At most 100 characters.
    #[param(example = "spoil", max_length = 100)]
    q: Option<String>,
}

/// Which message of the channel.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct AndMessage {
    /// Its id.
    #[param(example = "0198c6d2-0000-7000-8000-000000000000", format = "uuid")]
    #[expect(dead_code, reason = "only described")]
    message: String,
}

/// Lists what was said in a room, newest first. Who moderates also sees what was taken away, and can look for what somebody
/// said and for words: a page of what is found may be short or empty, and still have a next one.
#[utoipa::path(get, path = "/api/v1/channels/{name}/chat/messages", operation_id = "listChatMessages", tag = "Chat",
    security((), ("session" = []), ("token" = [])),
    params(OfChannel, Paging, Before, Sought),
    responses(
        (status = 200, description = "A page of them", body = Page<ChatLine>),
        Anyone, Paged, NoSuchChannel, NoSuchThing, NoSuchPerson, MayBeRefused, OnlyModerators,
    ))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    person: Option<Person>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let (channel, moderates) = read_by(&state, person.as_ref(), &name).await?;
    let asked = Asked::parse(&uri)?;
    let search = sought(&state, &asked, moderates).await?;
    let after = match asked.id::<MessageId>("before")? {
        Some(id) => {
            let message = message_of(&state, &channel, id).await?;
            Some(After { value: message.seq.into(), id: message.id.to_string() })
        }
        None => asked.after,
    };
    let rooms = rooms(&state);
    let (found, next) = match search {
        Some(search) => {
            let found = rooms.search(channel.id, &search, after, asked.limit).await?;
            (found.messages, found.next)
        }
        None => {
            let found = rooms.messages(channel.id, after, asked.limit).await?;
            let last = found.last().filter(|_| found.len() == asked.limit);
            let next = last.map(|last| After { value: last.seq.into(), id: last.id.to_string() });
            (found, next)
        }
    };
    let shown = found.into_iter().filter(|kept| moderates || kept.removed_by.is_none());
    let items = shown.map(|kept| ChatLine::of(kept.message, kept.removed_by.is_some())).collect();
    Ok(private(Json(Page { items, next_cursor: next.as_ref().map(cursor) })))
}

problems! {
    /// Looking for messages is for who moderates.
    OnlyModerators => [only_moderators()];
}

fn only_moderators() -> Problem {
    forbidden("Only the owner and moderators of this channel may look for messages.")
}

/// What is looked for, if anything.
async fn sought(state: &ApiState, asked: &Asked, moderates: bool) -> Result<Option<Search>, ApiError> {
    let (author, words) = (asked.name("author")?, asked.text("q")?.map(Words::of));
    if author.is_none() && words.is_none() {
        return Ok(None);
    }
    if !moderates {
        return Err(only_moderators().into());
    }
    let author = match author {
        Some(name) => Some(person_named(state, name).await?.id),
        None => None,
    };
    Ok(Some(Search { author, words }))
}

/// Takes a message away; harmless if it is gone already. For the owner and moderators of the channel, and for who said it.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/chat/messages/{message}", operation_id = "deleteChatMessage", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, AndMessage),
    responses((status = 204, description = "Nobody is shown it any more"), SignedIn, NoSuchChannel, NoSuchThing, Told))]
pub(crate) async fn delete(
    State(state): State<ApiState>,
    person: Person,
    Path((name, message)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    person.require(Scope::Chat)?;
    let channel = seen(&state, Some(&person), &name).await?;
    let id: MessageId = message.parse().map_err(|_| Problem::not_found())?;
    if standing(&person, &channel) >= Standing::Moderator {
        // Also what the history does not have yet.
        note(&state, &person, &channel, ("chat.delete", id.to_string(), "")).await?;
    } else if message_of(&state, &channel, id).await?.author != Some(person.user) {
        kept_by(&state, &person, &name).await?;
    }
    let removed = Removed::Messages(vec![id]);
    tell(&state, &channel, EventBody::MessageDeleted(MessageDeleted { removed, by: person.user })).await?;
    unpin_if(&state, &channel, |pinned| pinned.id == id).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn message_of(
    state: &ApiState,
    channel: &Channel,
    id: MessageId,
) -> Result<Message, ApiError> {
    Ok(rooms(state).message(channel.id, id).await?.ok_or_else(Problem::not_found)?)
}

/// Takes everything away that was said in a room. For its owner and moderators.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/chat/messages", operation_id = "clearChat", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel),
    responses((status = 204, description = "The room is empty"), SignedIn, NoSuchChannel, Told))]
pub(crate) async fn clear(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    note(&state, &person, &channel, ("chat.clear", channel.name.to_string(), "")).await?;
    let removed = Removed::All(true);
    tell(&state, &channel, EventBody::MessageDeleted(MessageDeleted { removed, by: person.user })).await?;
    unpin_if(&state, &channel, |_| true).await?;
    Ok(StatusCode::NO_CONTENT)
}
