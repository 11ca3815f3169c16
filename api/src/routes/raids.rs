//! `/api/v1/channels/{name}/raid`: sending everybody who watches to another channel.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use millrace_core::ids::ChannelName;
use millrace_http::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::channels::owned;
use super::lists::{private, time};
use super::params::OfChannel;
use super::path::Path;
use super::problems::{Invalid, JsonBody, NoSuchChannel, SignedIn, problems};
use super::streams::{NotLive, not_live};
use crate::ApiState;
use crate::accounts::{Channel, Playback};
use crate::auth::{Input, Person, invalid};
use crate::chat::{Rooms, standing};
use crate::error::ApiError;
use crate::raids::{COUNTDOWN_MS, RAID_EVERY_MS, RaidPlan, call_off, plan, planned};

/// A raid that is about to go.
#[derive(Debug, Serialize, ToSchema)]
pub struct RaidView {
    /// Where to.
    #[schema(value_type = String, example = "garage")]
    target: ChannelName,
    /// When it goes; until then it can be called off.
    #[schema(value_type = String, format = "date-time")]
    at: Timestamp,
}

/// Where everybody is to go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRaid {
    /// The name of a live channel that everybody may watch.
    #[schema(example = "garage")]
    target: String,
}

problems! {
    /// Not too often.
    NotAgain => [too_soon(RAID_EVERY_MS)];
    /// There may be none.
    NoRaid => [no_raid()];
}

fn too_soon(wait_ms: i64) -> Problem {
    let seconds = wait_ms.max(0).div_euclid(1_000) + 1;
    let detail = "This channel began a raid a moment ago. Wait a minute.";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-raids", "Too many raids", detail)
        .with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

fn no_raid() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no-raid", "No raid", "No raid of this channel is about to go.")
}

fn view(plan: &RaidPlan) -> RaidView {
    RaidView { target: plan.target_name.clone(), at: time(plan.at) }
}

/// The channel that is to be raided, if it is live, for everybody, and takes a raid of this one.
async fn target(state: &ApiState, source: &Channel, name: &str) -> Result<Channel, ApiError> {
    let refused = |detail: &str| ApiError::from(invalid("/target", detail));
    let not_live = || refused("There is no live channel of this name that everybody may watch.");
    let name: ChannelName =
        name.trim().trim_start_matches('@').to_lowercase().parse().map_err(|_| not_live())?;
    if name == source.name {
        return Err(refused("This is the channel itself. Choose another one."));
    }
    let target = state.studio().channels.named(&name).await?.ok_or_else(not_live)?;
    let is_live = state.with_directory(|directory| directory.get(&target.name).is_some());
    if !is_live || target.playback != Playback::Public {
        return Err(not_live());
    }
    let rooms = Rooms::new(state.store().clone());
    let unwanted = if rooms.state(target.id).await?.settings.takes_raids {
        let known = standing(state, &target.name, source.owner).await?;
        let moderates = target.moderators.contains(&source.owner);
        known.is_silenced(moderates, state.now_ms())
            || state.studio().follows.is_blocked(source.owner, target.id).await?
    } else {
        true
    };
    if unwanted {
        return Err(refused("This channel takes no raid of yours. Choose another one."));
    }
    Ok(target)
}

/// Sends everybody who watches a channel to another live one, twenty seconds from now. For its owner.
#[utoipa::path(post, path = "/api/v1/channels/{name}/raid", operation_id = "startRaid", tag = "Channels",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel), request_body = NewRaid,
    responses(
        (status = 202, description = "It goes soon", body = RaidView),
        SignedIn, JsonBody, NoSuchChannel, NotLive, Invalid, NotAgain,
    ))]
pub(crate) async fn start(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    Input { value: new, .. }: Input<NewRaid>,
) -> Result<Response, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    let viewers = state.with_directory(|directory| directory.get(&channel.name).map(|stream| stream.viewers));
    let viewers = viewers.ok_or_else(not_live)?;
    let target = target(&state, &channel, &new.target).await?;
    let now = state.now_ms();
    if let Some(last) = planned(&state, channel.id).await? {
        let wait = last.asked_at.saturating_add(RAID_EVERY_MS).saturating_sub(now);
        if wait > 0 {
            return Err(too_soon(wait).into());
        }
    }
    let at = now.saturating_add(COUNTDOWN_MS);
    let raid = RaidPlan {
        id: state.new_id(),
        channel: channel.id,
        name: channel.name,
        target: target.id,
        target_name: target.name,
        by: person.user,
        asked_at: now,
        at,
        due: Some(at),
        viewers: i64::try_from(viewers).unwrap_or(i64::MAX),
    };
    plan(&state, &raid).await?;
    Ok((StatusCode::ACCEPTED, private(Json(view(&raid)))).into_response())
}

/// Shows the raid that is about to go. For the owner of the channel.
#[utoipa::path(get, path = "/api/v1/channels/{name}/raid", operation_id = "getRaid", tag = "Channels",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel),
    responses((status = 200, description = "It", body = RaidView), SignedIn, NoSuchChannel, NoRaid))]
pub(crate) async fn show(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    let plan = planned(&state, channel.id).await?.filter(|plan| plan.due.is_some());
    let plan = plan.ok_or_else(no_raid)?;
    Ok(private(Json(view(&plan))))
}

/// Calls a raid off that is about to go; harmless if there is none. For the owner of the channel.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/raid", operation_id = "cancelRaid", tag = "Channels",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel),
    responses((status = 204, description = "Nobody goes"), SignedIn, NoSuchChannel))]
pub(crate) async fn cancel(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    call_off(&state, channel.id, &channel.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
#[path = "raids_tests.rs"]
mod tests;
