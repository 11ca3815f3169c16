//! `/api/v1/me/notices…`: what happened on channels that one follows.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use millrace_core::ids::{BroadcastId, ChannelName};
use millrace_http::problem::Problem;
use millrace_store::{After, Document};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::lists::{Asked, Page, bad_parameter, cursor, time};
use super::params::Paging;
use super::problems::{JsonBody, Paged, SignedIn, problems};
use super::profile::avatar_url;
use crate::ApiState;
use crate::accounts::User;
use crate::auth::{Input, Person, Scope};
use crate::error::ApiError;
use crate::notices::{NoticeKind, Place, UNREAD_COUNTED};

/// One notice.
#[derive(Debug, Serialize, ToSchema)]
pub struct NoticeView {
    /// Names it.
    #[schema(example = "0198c6d2-0000-7000-8000-000000000000:live")]
    id: String,
    /// What happened.
    kind: NoticeKind,
    /// On which channel.
    #[schema(value_type = String, example = "studio")]
    channel: ChannelName,
    /// Whose channel it is.
    #[schema(example = "Ada L.")]
    streamer: String,
    /// Their picture; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/avatars/0198c6d2-0000-7000-8000-000000000000")]
    avatar_url: Option<String>,
    /// The broadcast's title when it began; may be empty.
    #[schema(example = "Building a boat, day 12")]
    title: String,
    /// Its category when it began; may be empty.
    #[schema(example = "Crafts")]
    category: String,
    /// When.
    #[schema(value_type = String, format = "date-time")]
    at: Timestamp,
    /// Whether this broadcast goes on.
    live: bool,
    /// Whether one has read it.
    read: bool,
}

/// What is new.
#[derive(Debug, Serialize, ToSchema)]
pub struct Unread {
    /// How many notices one has not read. They are not counted beyond 100.
    #[schema(example = 2, maximum = 100)]
    unread: usize,
}

/// Up to where one has read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadThrough {
    /// The id of the newest notice that one has seen.
    #[schema(example = "0198c6d2-0000-7000-8000-000000000000:live", max_length = 100)]
    through: String,
}

/// What one wants of notices.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NoticeSettings {
    /// Whether one wants any, here or pushed.
    #[schema(example = true)]
    enabled: bool,
}

fn private(answer: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], answer).into_response()
}

problems! {
    /// Names a notice.
    NoSuchNotice => [no_such_notice()];
}

/// Lists one's notices, newest first.
#[utoipa::path(get, path = "/api/v1/me/notices", operation_id = "listNotices", tag = "Notices",
    security(("session" = []), ("token" = ["read"])),
    params(Paging),
    responses((status = 200, description = "A page of them", body = Page<NoticeView>), SignedIn, Paged))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    person: Person,
    uri: Uri,
) -> Result<Response, ApiError> {
    person.require(Scope::Read)?;
    let asked = Asked::parse(&uri)?;
    let after = asked.after.map(|after| place(&after)).transpose()?;
    let listed = state.notices().of(person.user, after, asked.limit).await?;
    let next_cursor =
        listed.next.map(|(at, broadcast)| cursor(&After { value: at.into(), id: broadcast.to_string() }));
    let mut items = Vec::with_capacity(listed.items.len());
    for (notice, channel) in listed.items {
        let Some(owner) = state.store().get::<User>(&channel.owner.to_string()).await? else { continue };
        let running = |directory: &crate::directory::Directory| {
            directory.get(&channel.name).is_some_and(|stream| stream.broadcast == notice.broadcast)
        };
        items.push(NoticeView {
            id: notice.id(),
            kind: notice.kind,
            live: state.with_directory(running),
            channel: channel.name,
            streamer: owner.value.display_name,
            avatar_url: avatar_url(owner.value.avatar.as_deref()),
            title: notice.title.clone(),
            category: notice.category.clone(),
            at: time(notice.at),
            read: notice.at <= listed.read_at,
        });
    }
    Ok(private(Json(Page { items, next_cursor })))
}

fn place(after: &After) -> Result<Place, Problem> {
    let wrong = || bad_parameter("cursor", "is next_cursor of the page before");
    let broadcast = after.id.parse().map(BroadcastId).map_err(|_| wrong())?;
    Ok((after.value.as_i64().ok_or_else(wrong)?, broadcast))
}

/// Counts one's notices that are new.
#[utoipa::path(get, path = "/api/v1/me/notices/unread", operation_id = "countUnreadNotices", tag = "Notices",
    security(("session" = []), ("token" = ["read"])),
    responses((status = 200, description = "How many", body = Unread), SignedIn))]
pub(crate) async fn unread(State(state): State<ApiState>, person: Person) -> Result<Response, ApiError> {
    person.require(Scope::Read)?;
    let unread = state.notices().unread(person.user).await?;
    debug_assert!(unread <= UNREAD_COUNTED);
    Ok(private(Json(Unread { unread })))
}

/// Says up to where one has read; harmless if one had read further.
#[utoipa::path(post, path = "/api/v1/me/notices/read", operation_id = "readNotices", tag = "Notices",
    security(("session" = []), ("token" = ["channels"])),
    request_body = ReadThrough,
    responses((status = 204, description = "They are read"), SignedIn, JsonBody, NoSuchNotice))]
pub(crate) async fn read(
    State(state): State<ApiState>,
    person: Person,
    Input { value: read, .. }: Input<ReadThrough>,
) -> Result<StatusCode, ApiError> {
    person.require(Scope::Channels)?;
    // Ids are UUIDs with a word behind them: nothing longer is asked for.
    let through = if read.through.len() <= 100 { read.through.as_str() } else { "" };
    let read = state.notices().read(person.user, through).await?;
    read.map(|()| StatusCode::NO_CONTENT).ok_or_else(|| no_such_notice().into())
}

fn no_such_notice() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no-such-notice",
        "No such notice",
        "There is no such notice, or it is too old. Load the list again.",
    )
}

/// Shows what one wants of notices.
#[utoipa::path(get, path = "/api/v1/me/notices/settings", operation_id = "getNoticeSettings", tag = "Notices",
    security(("session" = []), ("token" = ["read"])),
    responses((status = 200, description = "It", body = NoticeSettings), SignedIn))]
pub(crate) async fn settings(State(state): State<ApiState>, person: Person) -> Result<Response, ApiError> {
    person.require(Scope::Read)?;
    let reader = state.notices().reader(person.user).await?;
    Ok(private(Json(NoticeSettings { enabled: !reader.off })))
}

/// Turns all notices off or on again. What happened while they were off is not told later.
#[utoipa::path(patch, path = "/api/v1/me/notices/settings", operation_id = "editNoticeSettings", tag = "Notices",
    security(("session" = []), ("token" = ["channels"])),
    request_body = NoticeSettings,
    responses((status = 200, description = "It", body = NoticeSettings), SignedIn, JsonBody))]
pub(crate) async fn turn(
    State(state): State<ApiState>,
    person: Person,
    Input { value: settings, .. }: Input<NoticeSettings>,
) -> Result<Response, ApiError> {
    person.require(Scope::Channels)?;
    state.notices().turn(person.user, settings.enabled, state.now_ms()).await?;
    Ok(private(Json(settings)))
}

#[cfg(test)]
#[path = "notices_tests.rs"]
mod tests;
