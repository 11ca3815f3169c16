//! `/api/v1/channels/{name}/chat/vips`: whom the channel honours.

use axum::extract::State;
use axum::http::StatusCode;
use millrace_core::chat::RoomUpdated;
use millrace_core::event::EventBody;

use super::{Told, note, rooms, tell};
use crate::ApiState;
use crate::auth::{Person, Scope};
use crate::chat::VIPS_MAX;
use crate::error::ApiError;
use crate::routes::channels::{Standing, with_standing};
use crate::routes::lists::limit_reached;
use crate::routes::params::{AndPerson, OfChannel};
use crate::routes::path::Path;
use crate::routes::problems::{LimitReached, NoSuchChannel, SignedIn};
use crate::routes::profile::{NoSuchPerson, person_named};

/// Honours a person in a room: no slow mode for them; harmless if it is so already. For the owner of the channel.
#[utoipa::path(put, path = "/api/v1/channels/{name}/chat/vips/{person}", operation_id = "honourChatter", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, AndPerson),
    responses(
        (status = 204, description = "They are a VIP of the channel"),
        SignedIn, NoSuchChannel, NoSuchPerson, LimitReached, Told,
    ))]
pub(crate) async fn honour(
    State(state): State<ApiState>,
    person: Person,
    Path((name, other)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    set_vip(&state, &person, &name, &other, true).await
}

/// Honours a person no more; harmless if it is so already. For the owner of the channel.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/chat/vips/{person}", operation_id = "dishonourChatter", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, AndPerson),
    responses((status = 204, description = "They are no VIP"), SignedIn, NoSuchChannel, NoSuchPerson, Told))]
pub(crate) async fn dishonour(
    State(state): State<ApiState>,
    person: Person,
    Path((name, other)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    set_vip(&state, &person, &name, &other, false).await
}

async fn set_vip(
    state: &ApiState,
    person: &Person,
    name: &str,
    other: &str,
    is_vip: bool,
) -> Result<StatusCode, ApiError> {
    let channel = with_standing(state, person, name, Standing::Owner, Scope::Chat).await?;
    let other = person_named(state, other).await?;
    let rooms = rooms(state);
    let now = rooms.state(channel.id).await?.vips;
    if is_vip && now.len() >= VIPS_MAX && !now.contains(&other.id) {
        return Err(limit_reached("VIPs of this channel", VIPS_MAX).into());
    }
    let change = |room: &mut RoomUpdated| {
        room.vips.retain(|vip| *vip != other.id);
        if is_vip {
            room.vips.push(other.id);
        }
    };
    let room = rooms.change(channel.id, change).await?;
    let action = if is_vip { "chat.vip" } else { "chat.unvip" };
    note(state, person, &channel, (action, other.name.to_string(), "")).await?;
    tell(state, &channel, EventBody::RoomUpdated(Box::new(room))).await?;
    Ok(StatusCode::NO_CONTENT)
}
