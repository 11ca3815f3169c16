//! `/api/v1/channels/{name}/chat/held`: messages that wait for somebody who moderates.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use millrace_core::chat::{Decision, HoldReason};
use millrace_core::ids::{MessageId, UserId};
use millrace_http::problem::Problem;
use millrace_store::After;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::line::ChatLine;
use super::messages::AndMessage;
use super::{Told, kept_by, note, rooms, untold};
use crate::ApiState;
use crate::accounts::{Channel, User};
use crate::auth::{Input, Person};
use crate::chat::{Held, tell_reviewed};
use crate::error::ApiError;
use crate::routes::lists::{Asked, Page, cursor, private};
use crate::routes::params::{OfChannel, Paging};
use crate::routes::path::Path;
use crate::routes::problems::{JsonBody, NoSuchChannel, NoSuchThing, Paged, SignedIn, problems};

/// A message that waits.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeldLine {
    /// As it would be said.
    message: ChatLine,
    /// Why it waits.
    why: HeldBecause,
    /// When it expires.
    #[schema(value_type = String, format = "date-time")]
    until: Timestamp,
}

/// Why a message waits.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeldBecause {
    /// It has a link.
    Link,
    /// It has a blocked term.
    BlockedTerm,
    /// The person said nothing here before.
    NewPerson,
    /// Everything waits.
    Everything,
}

impl From<HoldReason> for HeldBecause {
    fn from(why: HoldReason) -> Self {
        match why {
            HoldReason::Link => Self::Link,
            HoldReason::BlockedTerm => Self::BlockedTerm,
            HoldReason::NewPerson => Self::NewPerson,
            HoldReason::Everything => Self::Everything,
        }
    }
}

/// What is decided about a message that waits.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HeldReview {
    /// What.
    decision: HeldDecision,
}

/// Whether a message that waits is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeldDecision {
    /// It is said, now.
    Allow,
    /// It is not said; the author is told.
    Deny,
}

problems! {
    /// Somebody else decided first.
    Decided => [decided("ben did not let it through.")];
}

fn decided(how: &str) -> Problem {
    let detail = format!("This message does not wait any more: {how}");
    Problem::new(StatusCode::CONFLICT, "already-decided", "Already decided", detail)
}

/// Lists messages that wait for somebody who moderates, oldest first. For the owner and moderators of the channel.
#[utoipa::path(get, path = "/api/v1/channels/{name}/chat/held", operation_id = "listHeldMessages", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, Paging),
    responses((status = 200, description = "A page of them", body = Page<HeldLine>), SignedIn, Paged, NoSuchChannel))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    let asked = Asked::parse(&uri)?;
    let found = rooms(&state).held(channel.id, asked.after, asked.limit).await?;
    let last = found.last().filter(|_| found.len() == asked.limit);
    let next_cursor = last.map(|last| cursor(&After { value: last.at.into(), id: last.id.to_string() }));
    let items = found.into_iter().map(|held| HeldLine {
        until: held.expires(),
        why: held.why.into(),
        message: ChatLine::of(held.message, false),
    });
    Ok(private(Json(Page { items: items.collect(), next_cursor })))
}

/// Lets a message that waits be said, or does not. The first decision holds; the same again is harmless. For the owner and
/// moderators of the channel.
#[utoipa::path(put, path = "/api/v1/channels/{name}/chat/held/{message}", operation_id = "reviewHeldMessage", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, AndMessage), request_body = HeldReview,
    responses(
        (status = 204, description = "It is said, or its author is told that it is not"),
        SignedIn, JsonBody, NoSuchChannel, NoSuchThing, Decided, Told,
    ))]
pub(crate) async fn review(
    State(state): State<ApiState>,
    person: Person,
    Path((name, message)): Path<(String, String)>,
    Input { value: HeldReview { decision }, .. }: Input<HeldReview>,
) -> Result<StatusCode, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    let id: MessageId = message.parse().map_err(|_| Problem::not_found())?;
    let rooms = rooms(&state);
    let held = rooms.held_one(channel.id, id).await?.ok_or_else(Problem::not_found)?;
    let (wanted, action) = match decision {
        HeldDecision::Allow => (Decision::Allowed, "chat.allow"),
        HeldDecision::Deny => (Decision::Denied, "chat.deny"),
    };
    let reviewed = match held.decision {
        Some(_) => Err(Box::new(held)),
        None => rooms
            .decide(id, wanted, Some(person.user), state.now_ms())
            .await?
            .ok_or_else(Problem::not_found)?,
    };
    let held = match reviewed {
        Ok(held) => {
            if held.decision == Some(wanted) {
                note(&state, &person, &channel, (action, id.to_string(), "")).await?;
            }
            held
        }
        Err(held) => *held,
    };
    // Also what was decided before, but perhaps not told.
    if held.untold.is_some() {
        tell_or_fail(&state, &channel, &held).await?;
    }
    if held.decision == Some(wanted) {
        return Ok(StatusCode::NO_CONTENT);
    }
    Err(decided(&how(&state, &held).await?).into())
}

/// What somebody wanted to say who may say nothing now waits no more.
pub(super) async fn deny_all_of(
    state: &ApiState,
    channel: &Channel,
    person: &Person,
    user: UserId,
) -> Result<(), ApiError> {
    let rooms = rooms(state);
    for held in rooms.held_of(channel.id, user).await? {
        let denied = rooms.decide(held.id, Decision::Denied, Some(person.user), state.now_ms()).await?;
        if let Some(Ok(held)) = denied {
            tell_or_fail(state, channel, &held).await?;
        }
    }
    Ok(())
}

async fn tell_or_fail(state: &ApiState, channel: &Channel, held: &Held) -> Result<(), ApiError> {
    tell_reviewed(state, &channel.name, held).await.map_err(|err| {
        tracing::error!(stream.id = %channel.name, %err, "the chat of {} is not told what was decided", channel.name);
        untold().into()
    })
}

/// What was decided, for whoever wanted something else.
async fn how(state: &ApiState, held: &Held) -> Result<String, ApiError> {
    let by = match held.by {
        Some(by) => state.store().get::<User>(&by.to_string()).await?.map(|user| user.value.name.to_string()),
        None => None,
    };
    let by = by.unwrap_or_else(|| "somebody".to_owned());
    Ok(match held.decision {
        Some(Decision::Allowed) => format!("{by} let it through."),
        Some(Decision::Denied) => format!("{by} did not let it through."),
        Some(Decision::Expired) | None => "nobody decided in time.".to_owned(),
    })
}
