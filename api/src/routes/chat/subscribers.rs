//! `/api/v1/channels/{name}/subscribers`: who subscribes to a channel, as its owner says.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use jiff::Timestamp;
use millrace_core::chat::SubscriberChanged;
use millrace_core::event::EventBody;
use millrace_http::problem::{FieldProblem, Problem};
use millrace_store::After;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Told, kept_by, note, rooms, tell};
use crate::ApiState;
use crate::accounts::User;
use crate::auth::{Input, Person, Scope};
use crate::chat::{SUBSCRIBERS_MAX, Subscriber};
use crate::error::ApiError;
use crate::routes::channels::{Standing, seen, standing, with_standing};
use crate::routes::lists::{Asked, Page, cursor, invalid_fields, limit_reached, private, time};
use crate::routes::params::{AndPerson, OfChannel, Paging};
use crate::routes::path::Path;
use crate::routes::problems::{
    InvalidFields, JsonBody, LimitReached, NoSuchChannel, Paged, SignedIn, problems,
};
use crate::routes::profile::{NoSuchPerson, Profile, person_named};

/// Somebody who subscribes to a channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubscriberView {
    /// Who.
    #[serde(flatten)]
    person: Profile,
    /// Since when.
    #[schema(value_type = String, format = "date-time")]
    since: Timestamp,
    /// Until when; null: until it is said otherwise.
    #[schema(value_type = Option<String>, format = "date-time", required)]
    until: Option<Timestamp>,
}

/// For how long somebody subscribes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriberEdit {
    /// A time to come; absent or null: until it is said otherwise.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "date-time", example = "2036-01-01T00:00:00Z")]
    until: Option<Timestamp>,
}

problems! {
    /// Names somebody who may not subscribe.
    NoSuchSubscriber => [no_such_subscriber()];
}

fn no_such_subscriber() -> Problem {
    let detail = "This person does not subscribe to this channel.";
    Problem::new(StatusCode::NOT_FOUND, "no-such-subscriber", "No such subscriber", detail)
}

fn view(user: &User, subscriber: &Subscriber) -> SubscriberView {
    SubscriberView {
        person: Profile::of(user),
        since: time(subscriber.at),
        until: subscriber.until.map(time),
    }
}

/// Lists who subscribes to a channel, the newest first. For its owner and moderators.
#[utoipa::path(get, path = "/api/v1/channels/{name}/subscribers", operation_id = "listSubscribers", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, Paging),
    responses((status = 200, description = "A page of them", body = Page<SubscriberView>), SignedIn, Paged, NoSuchChannel))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, ApiError> {
    let channel = kept_by(&state, &person, &name).await?;
    let asked = Asked::parse(&uri)?;
    let found = rooms(&state).subscribers(channel.id, asked.after, asked.limit).await?;
    let last = found.last().filter(|_| found.len() == asked.limit);
    let next_cursor = last
        .map(|last| cursor(&After { value: last.at.into(), id: Subscriber::id_of(last.channel, last.user) }));
    let mut items = Vec::new();
    for subscriber in found.into_iter().filter(|subscriber| subscriber.holds(state.now_ms())) {
        let user = state.store().get::<User>(&subscriber.user.to_string()).await?;
        items.extend(user.map(|user| view(&user.value, &subscriber)));
    }
    Ok(private(Json(Page { items, next_cursor })))
}

/// Shows whether and until when a person subscribes to a channel. For its owner and moderators, and for the person.
#[utoipa::path(get, path = "/api/v1/channels/{name}/subscribers/{person}", operation_id = "getSubscriber", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, AndPerson),
    responses(
        (status = 200, description = "They subscribe to it", body = SubscriberView),
        SignedIn, NoSuchChannel, NoSuchPerson, NoSuchSubscriber,
    ))]
pub(crate) async fn show(
    State(state): State<ApiState>,
    person: Person,
    Path((name, other)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    person.require(Scope::Chat)?;
    let channel = seen(&state, Some(&person), &name).await?;
    let other = person_named(&state, &other).await?;
    if other.id != person.user && standing(&person, &channel) < Standing::Moderator {
        kept_by(&state, &person, &name).await?;
    }
    let found = rooms(&state).subscriber(channel.id, other.id).await?;
    let found = found.filter(|subscriber| subscriber.holds(state.now_ms())).ok_or_else(no_such_subscriber)?;
    Ok(private(Json(view(&other, &found))))
}

/// Says that a person subscribes to a channel, or until another time. For its owner, and their programs.
#[utoipa::path(put, path = "/api/v1/channels/{name}/subscribers/{person}", operation_id = "addSubscriber", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, AndPerson), request_body = SubscriberEdit,
    responses(
        (status = 204, description = "They subscribe to it"),
        SignedIn, JsonBody, NoSuchChannel, NoSuchPerson, InvalidFields, LimitReached, Told,
    ))]
pub(crate) async fn add(
    State(state): State<ApiState>,
    person: Person,
    Path((name, other)): Path<(String, String)>,
    Input { value: SubscriberEdit { until }, .. }: Input<SubscriberEdit>,
) -> Result<StatusCode, ApiError> {
    let channel = with_standing(&state, &person, &name, Standing::Owner, Scope::Chat).await?;
    let now_ms = state.now_ms();
    if until.is_some_and(|until| until.as_millisecond() <= now_ms) {
        let detail = "is a time to come; leave it out for one without end".to_owned();
        return Err(invalid_fields(vec![FieldProblem { pointer: "/until".to_owned(), detail }]).into());
    }
    let other = person_named(&state, &other).await?;
    let subscriber = Subscriber {
        channel: channel.id,
        user: other.id,
        until: until.map(Timestamp::as_millisecond),
        at: now_ms,
    };
    if !rooms(&state).subscribe(&subscriber).await? {
        return Err(limit_reached("subscribers of this channel", SUBSCRIBERS_MAX).into());
    }
    let detail = until.map(|until| until.to_string()).unwrap_or_default();
    note(&state, &person, &channel, ("chat.subscriber", other.name.to_string(), &detail)).await?;
    let changed = SubscriberChanged { user: other.id, subscribes: true, until };
    tell(&state, &channel, EventBody::SubscriberChanged(changed)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Says that a person does not subscribe to a channel any more; harmless if they do not. For its owner, and their programs.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/subscribers/{person}", operation_id = "removeSubscriber", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, AndPerson),
    responses((status = 204, description = "They do not subscribe to it"), SignedIn, NoSuchChannel, NoSuchPerson, Told))]
pub(crate) async fn remove(
    State(state): State<ApiState>,
    person: Person,
    Path((name, other)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let channel = with_standing(&state, &person, &name, Standing::Owner, Scope::Chat).await?;
    let other = person_named(&state, &other).await?;
    rooms(&state).unsubscribe(channel.id, other.id).await?;
    note(&state, &person, &channel, ("chat.unsubscriber", other.name.to_string(), "")).await?;
    let changed = SubscriberChanged { user: other.id, subscribes: false, until: None };
    tell(&state, &channel, EventBody::SubscriberChanged(changed)).await?;
    Ok(StatusCode::NO_CONTENT)
}
