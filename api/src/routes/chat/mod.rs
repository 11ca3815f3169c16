//! Chat rooms beside their WebSocket: `/api/v1/channels/{name}/chat`, its messages, and who keeps order there.

pub mod bars;
pub mod emotes;
pub mod held;
pub mod line;
pub mod messages;
pub mod pins;
pub mod polls;
pub mod rules;
pub mod sanctions;
pub mod subscribers;
pub mod vips;

use axum::http::{HeaderValue, StatusCode, header};
use millrace_core::event::EventBody;
use millrace_http::problem::Problem;

use super::channels::{Standing, may_watch, seen, standing, with_standing};
use super::problems::problems;
use crate::ApiState;
use crate::accounts::Channel;
use crate::auth::audit::Audit;
use crate::auth::{Person, Scope, forbidden};
use crate::chat::Rooms;
use crate::error::ApiError;

problems! {
    /// Chat has to be told.
    Told => [untold()];
}

fn untold() -> Problem {
    let detail = "It is kept, but the chat servers cannot be told right now. Do it again in a few seconds.";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "chat-unavailable", "Chat unavailable", detail)
        .with_header(header::RETRY_AFTER, HeaderValue::from_static("5"))
}

fn rooms(state: &ApiState) -> Rooms {
    Rooms::new(state.store().clone())
}

/// The channel, for somebody who may keep order in its room.
async fn kept_by(state: &ApiState, person: &Person, name: &str) -> Result<Channel, ApiError> {
    with_standing(state, person, name, Standing::Moderator, Scope::Chat).await
}

/// The channel, for somebody who may read its room; whether they moderate it.
async fn read_by(state: &ApiState, person: Option<&Person>, name: &str) -> Result<(Channel, bool), ApiError> {
    let channel = seen(state, person, name).await?;
    if !may_watch(state, person, &channel).await? {
        return Err(forbidden("Only followers of this channel may read its chat.").into());
    }
    let moderates = person.is_some_and(|person| standing(person, &channel) >= Standing::Moderator);
    Ok((channel, moderates))
}

/// Tells every node of chat.
async fn tell(state: &ApiState, channel: &Channel, body: EventBody) -> Result<(), ApiError> {
    let told = state.studio().tell_room(&channel.name, body).await;
    told.map_err(|err| {
        tracing::error!(stream.id = %channel.name, %err, "the chat of {} is not told what was done", channel.name);
        untold().into()
    })
}

/// Notes who did it.
async fn note(
    state: &ApiState,
    person: &Person,
    channel: &Channel,
    what: (&str, String, &str),
) -> Result<(), ApiError> {
    let (action, target, detail) = what;
    let entry = Audit {
        id: state.new_id(),
        at: state.now_ms(),
        by: Some(person.user),
        action: action.to_owned(),
        target,
        detail: detail.to_owned(),
        scope: format!("channel:{}", channel.id),
    };
    Ok(state.store().insert(&entry).await?)
}
