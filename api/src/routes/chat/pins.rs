//! `/api/v1/channels/{name}/chat/pinned`: the message on top.

use axum::extract::State;
use axum::http::StatusCode;
use millrace_core::chat::{ChatMessage, RoomUpdated};
use millrace_core::event::EventBody;
use millrace_core::ids::MessageId;
use millrace_http::problem::Problem;
use serde::Deserialize;
use utoipa::ToSchema;

use super::messages::message_of;
use super::{Told, kept_by, note, rooms, tell};
use crate::ApiState;
use crate::accounts::Channel;
use crate::auth::{Input, Person};
use crate::error::ApiError;
use crate::routes::params::OfChannel;
use crate::routes::path::Path;
use crate::routes::problems::{JsonBody, NoSuchChannel, NoSuchThing, SignedIn};

/// Which message.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatPin {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    message: MessageId,
}

/// Puts a message on top of a room. For its owner and moderators.
#[utoipa::path(put, path = "/api/v1/channels/{name}/chat/pinned", operation_id = "pinChatMessage", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel), request_body = ChatPin,
    responses((status = 204, description = "It is on top"), SignedIn, JsonBody, NoSuchChannel, NoSuchThing, Told))]
pub(crate) async fn pin(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    Input { value: pin, .. }: Input<ChatPin>,
) -> Result<StatusCode, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    let message = message_of(&state, &channel, pin.message).await?;
    if message.removed_by.is_some() {
        return Err(Problem::not_found().into());
    }
    set_pinned(&state, &person, &channel, Some(message.message)).await
}

/// Takes away what is on top of a room. For its owner and moderators.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/chat/pinned", operation_id = "unpinChatMessage", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel),
    responses((status = 204, description = "Nothing is on top"), SignedIn, NoSuchChannel, Told))]
pub(crate) async fn unpin(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    set_pinned(&state, &person, &channel, None).await
}

/// What was taken away is not on top any more either.
pub(super) async fn unpin_if(
    state: &ApiState,
    channel: &Channel,
    goes: impl Fn(&ChatMessage) -> bool + Send + Sync,
) -> Result<(), ApiError> {
    let rooms = rooms(state);
    let room = rooms.state(channel.id).await?;
    if !room.pinned.as_deref().is_some_and(&goes) {
        return Ok(());
    }
    let change = |room: &mut RoomUpdated| {
        if room.pinned.as_deref().is_some_and(&goes) {
            room.pinned = None;
        }
    };
    let room = rooms.change(channel.id, change).await?;
    tell(state, channel, EventBody::RoomUpdated(Box::new(room))).await
}

async fn set_pinned(
    state: &ApiState,
    person: &Person,
    channel: &Channel,
    message: Option<ChatMessage>,
) -> Result<StatusCode, ApiError> {
    let target = message.as_ref().map(|message| message.id.to_string()).unwrap_or_default();
    let pinned = message.map(Box::new);
    let room = rooms(state).change(channel.id, |room| room.pinned.clone_from(&pinned)).await?;
    note(state, person, channel, ("chat.pin", target, "")).await?;
    tell(state, channel, EventBody::RoomUpdated(Box::new(room))).await?;
    Ok(StatusCode::NO_CONTENT)
}
