//! `/api/v1/channels/{name}/webhooks`: programs of the owner that are told what happens on a channel.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use millrace_core::trace::Cause;
use millrace_http::problem::{FieldProblem, Problem};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::channels::{no_such_channel, owned};
use super::lists::{Page, invalid_fields, limit_reached, private, time};
use super::params::{ById, OfChannel};
use super::path::Path;
use super::problems::{InvalidFields, JsonBody, LimitReached, NoSuchChannel, SignedIn, problems};
use crate::ApiState;
use crate::accounts::Channel;
use crate::auth::{Input, Person};
use crate::channels::line;
use crate::error::ApiError;
use crate::outgoing::address::{self, ENDPOINT_MAX_BYTES};
use crate::webhooks::kind::TEST;
use crate::webhooks::{Attempt, Disabled, NoAnswer, SigningSecret, Webhook, WebhookError, WebhookEvent};

/// Most characters of a name.
const NAME_MAX: usize = 50;
/// Between two tests of a webhook, in milliseconds.
const TEST_EVERY_MS: i64 = 5_000;

/// Somewhere that is told what happens on a channel.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookView {
    /// Its id (UUIDv7).
    #[schema(value_type = String, format = "uuid")]
    id: Uuid,
    /// What its owner calls it.
    #[schema(example = "bot")]
    name: String,
    /// Where it is.
    #[schema(example = "https://bot.example.org/millrace")]
    url: String,
    /// What it is told.
    events: BTreeSet<WebhookEvent>,
    /// When it was made.
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    /// Why it is told nothing; absent while it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<Disabled>,
    /// Since when it takes nothing; absent while it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    failing_since: Option<Timestamp>,
    /// Deliveries that wait.
    waiting: u64,
    /// Events that it never got.
    lost: i64,
}

/// A webhook with its secret: the only time that it is told.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewWebhookView {
    /// What stays readable of it.
    #[serde(flatten)]
    webhook: WebhookView,
    /// What deliveries are signed with (Standard Webhooks).
    #[schema(example = "whsec_…")]
    secret: String,
}

/// A webhook that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// 1 to 50 characters.
    #[schema(example = "bot")]
    name: String,
    /// An https address on the public internet.
    #[schema(example = "https://bot.example.org/millrace", max_length = 1024)]
    url: String,
    /// What it is told: at least one.
    #[schema(example = json!(["message.sent", "stream.started"]))]
    events: BTreeSet<WebhookEvent>,
}

/// What is to change of a webhook; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookEdit {
    /// 1 to 50 characters.
    #[schema(example = "bot")]
    name: Option<String>,
    /// An https address on the public internet.
    #[schema(example = "https://bot.example.org/millrace", max_length = 1024)]
    url: Option<String>,
    /// What it is told: at least one.
    #[schema(example = json!(["message.sent", "stream.started"]))]
    events: Option<BTreeSet<WebhookEvent>>,
    /// Whether it is told anything. What waits is dropped when it is turned off; turned on, it is told what happens from
    /// then on.
    enabled: Option<bool>,
}

/// One try to deliver something.
#[derive(Debug, Serialize, ToSchema)]
pub struct WebhookAttempt {
    /// What was delivered: `webhook-id` without `msg_`.
    #[schema(value_type = String, format = "uuid")]
    delivery: Uuid,
    /// When.
    #[schema(value_type = String, format = "date-time")]
    at: Timestamp,
    /// From 1.
    number: u32,
    /// The type of the first event.
    #[schema(example = "message.sent")]
    first: String,
    /// How many events.
    events: u32,
    /// How long the receiver took, in milliseconds.
    took_ms: i64,
    /// What it answered; absent if it did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 204)]
    status: Option<u16>,
    /// Why it did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<NoAnswer>,
}

impl From<&Attempt> for WebhookAttempt {
    fn from(attempt: &Attempt) -> Self {
        Self {
            delivery: attempt.delivery,
            at: time(attempt.at),
            number: attempt.number,
            first: attempt.first.clone(),
            events: attempt.events,
            took_ms: attempt.took_ms,
            status: attempt.status,
            error: attempt.error,
        }
    }
}

async fn view(state: &ApiState, hook: Webhook) -> Result<WebhookView, ApiError> {
    Ok(WebhookView {
        id: hook.id,
        waiting: state.webhooks().waiting(hook.id).await?,
        name: hook.name,
        url: hook.url,
        events: hook.events,
        created_at: time(hook.created_at),
        disabled: hook.disabled,
        failing_since: hook.failing_since.map(time),
        lost: hook.lost,
    })
}

async fn with_secret(state: &ApiState, hook: Webhook) -> Result<Response, ApiError> {
    let secret = hook.secret.reveal().to_owned();
    let view = NewWebhookView { webhook: view(state, hook).await?, secret };
    Ok((StatusCode::CREATED, private(Json(view))).into_response())
}

/// A webhook of somebody's own channel.
async fn found(
    state: &ApiState,
    person: &Person,
    name: &str,
    id: &str,
) -> Result<(Channel, Webhook), ApiError> {
    let channel = owned(state, person, name).await?;
    let id: Uuid = id.parse().map_err(|_| no_such_webhook())?;
    let hook = state.webhooks().get(channel.id, id).await?.ok_or_else(no_such_webhook)?;
    Ok((channel, hook))
}

problems! {
    /// Names a webhook.
    NoSuchWebhook => [no_such_webhook()];
    /// Where this site has some.
    NoWebhooks => [no_webhooks()];
    /// For one that is on, now and then.
    Testable => [turned_off(), too_soon(TEST_EVERY_MS)];
}

fn no_such_webhook() -> Problem {
    let detail = "This channel has no such webhook. Reload the page and look.";
    Problem::new(StatusCode::NOT_FOUND, "no-such-webhook", "No such webhook", detail)
}

fn no_webhooks() -> Problem {
    let detail = "This site has no webhooks. Read the chat by its WebSocket instead.";
    Problem::new(StatusCode::CONFLICT, "no-webhooks", "No webhooks", detail)
}

fn turned_off() -> Problem {
    let detail = "This webhook is turned off. Turn it on first.";
    Problem::new(StatusCode::CONFLICT, "webhook-disabled", "Webhook disabled", detail)
}

fn too_soon(wait_ms: i64) -> Problem {
    let seconds = wait_ms.max(0).div_euclid(1_000) + 1;
    let detail = "A test was sent a moment ago. Look what became of it, and try again in some seconds.";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-tests", "Too many tests", detail)
        .with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

/// What is wrong with fields of a webhook, or the name in one line.
fn check(
    state: &ApiState,
    name: Option<&str>,
    url: Option<&str>,
    events: Option<&BTreeSet<WebhookEvent>>,
) -> Result<Option<String>, ApiError> {
    let mut problems = Vec::new();
    let name = match name.map(|name| line("/name", name, 1, NAME_MAX)).transpose() {
        Ok(name) => name,
        Err(problem) => {
            problems.push(problem);
            None
        }
    };
    let mut wrong =
        |pointer: &str, detail: String| problems.push(FieldProblem { pointer: pointer.to_owned(), detail });
    let allowed = state.webhooks().config().private_receivers;
    if let Some(Err(reason)) = url.map(|url| address::endpoint(url, allowed)) {
        wrong(
            "/url",
            format!(
                "{reason}; write an https address on the public internet, at most {ENDPOINT_MAX_BYTES} bytes"
            ),
        );
    }
    if events.is_some_and(BTreeSet::is_empty) {
        wrong("/events", "is empty; name at least one".to_owned());
    }
    if problems.is_empty() { Ok(name) } else { Err(invalid_fields(problems).into()) }
}

/// Lists the webhooks of a channel, oldest first. For its owner.
#[utoipa::path(get, path = "/api/v1/channels/{name}/webhooks", operation_id = "listWebhooks", tag = "Webhooks",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel),
    responses(
        (status = 200, description = "All of them, on one page", body = Page<WebhookView>),
        SignedIn, NoSuchChannel,
    ))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    let mut items = Vec::new();
    for hook in state.webhooks().of(channel.id).await? {
        items.push(view(&state, hook).await?);
    }
    Ok(private(Json(Page { items, next_cursor: None })))
}

/// Makes a webhook and tells its secret this once. What happens from now on is delivered to it.
#[utoipa::path(post, path = "/api/v1/channels/{name}/webhooks", operation_id = "createWebhook", tag = "Webhooks",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel), request_body = NewWebhook,
    responses(
        (status = 201, description = "The webhook with its secret", body = NewWebhookView),
        SignedIn, JsonBody, NoSuchChannel, InvalidFields, LimitReached, NoWebhooks,
    ))]
pub(crate) async fn create(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    Input { value: new, .. }: Input<NewWebhook>,
) -> Result<Response, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    if state.webhooks().config().max_per_channel == 0 {
        return Err(no_webhooks().into());
    }
    let called = check(&state, Some(&new.name), Some(&new.url), Some(&new.events))?;
    let now = state.now_ms();
    let hook = Webhook {
        id: state.new_id(),
        channel: channel.id,
        name: called.unwrap_or_default(),
        url: new.url,
        events: new.events,
        secret: SigningSecret::random(),
        previous: None,
        created_at: now,
        since: now,
        due: None,
        woken: 0,
        failures: 0,
        failing_since: None,
        disabled: None,
        lost: 0,
        tested_at: 0,
        recent: Vec::new(),
    };
    state.webhooks().create(&hook).await.map_err(|error| match error {
        WebhookError::TooMany { limit } => limit_reached("webhooks of this channel", limit).into(),
        WebhookError::NotFound => ApiError::from(no_such_channel()),
        WebhookError::Store(error) => error.into(),
    })?;
    with_secret(&state, hook).await
}

/// Changes a webhook, or turns it on or off; what is absent stays.
#[utoipa::path(patch, path = "/api/v1/channels/{name}/webhooks/{id}", operation_id = "editWebhook", tag = "Webhooks",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel, ById), request_body = WebhookEdit,
    responses(
        (status = 200, description = "The webhook", body = WebhookView),
        SignedIn, JsonBody, NoSuchChannel, NoSuchWebhook, InvalidFields,
    ))]
pub(crate) async fn edit(
    State(state): State<ApiState>,
    person: Person,
    Path((name, id)): Path<(String, String)>,
    Input { value: edit, .. }: Input<WebhookEdit>,
) -> Result<Response, ApiError> {
    let (_, hook) = found(&state, &person, &name, &id).await?;
    let called = check(&state, edit.name.as_deref(), edit.url.as_deref(), edit.events.as_ref())?;
    let now = state.now_ms();
    let change = |mut hook: Webhook| {
        hook.name = called.clone().unwrap_or(hook.name);
        hook.url = edit.url.clone().unwrap_or(hook.url);
        hook.events = edit.events.clone().unwrap_or(hook.events);
        match edit.enabled {
            Some(true) if hook.disabled.is_some() => hook.enabled(now),
            // Whoever delivers right now drops what waits.
            Some(false) if hook.disabled.is_none() => {
                Webhook { disabled: Some(Disabled::Owner), ..hook }.woken(now)
            }
            _ => hook,
        }
    };
    let changed = state.webhooks().change(hook.id, change).await?.ok_or_else(no_such_webhook)?;
    Ok(private(Json(view(&state, changed).await?)))
}

/// Removes a webhook with what waits for it.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/webhooks/{id}", operation_id = "deleteWebhook", tag = "Webhooks",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel, ById),
    responses((status = 204, description = "It is told nothing more"), SignedIn, NoSuchChannel, NoSuchWebhook))]
pub(crate) async fn delete(
    State(state): State<ApiState>,
    person: Person,
    Path((name, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let (_, hook) = found(&state, &person, &name, &id).await?;
    state.webhooks().remove(hook.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a webhook another secret and tells it this once. For a day deliveries are signed with the old one too.
#[utoipa::path(post, path = "/api/v1/channels/{name}/webhooks/{id}/rotate", operation_id = "rotateWebhookSecret",
    tag = "Webhooks",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel, ById),
    responses(
        (status = 201, description = "The webhook with its new secret", body = NewWebhookView),
        SignedIn, NoSuchChannel, NoSuchWebhook,
    ))]
pub(crate) async fn rotate(
    State(state): State<ApiState>,
    person: Person,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let (_, hook) = found(&state, &person, &name, &id).await?;
    let (secret, now) = (SigningSecret::random(), state.now_ms());
    let rotated = state.webhooks().change(hook.id, |hook| hook.rotated(secret.clone(), now)).await?;
    with_secret(&state, rotated.ok_or_else(no_such_webhook)?).await
}

/// Delivers an event `webhook.test`, to see whether it arrives; what became of it is among the deliveries.
#[utoipa::path(post, path = "/api/v1/channels/{name}/webhooks/{id}/test", operation_id = "testWebhook", tag = "Webhooks",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel, ById),
    responses(
        (status = 202, description = "It is delivered within seconds, behind what waits already"),
        SignedIn, NoSuchChannel, NoSuchWebhook, Testable,
    ))]
pub(crate) async fn test(
    State(state): State<ApiState>,
    person: Person,
    Path((name, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let (channel, hook) = found(&state, &person, &name, &id).await?;
    if hook.disabled.is_some() {
        return Err(turned_off().into());
    }
    let now = state.now_ms();
    let wait = hook.tested_at.saturating_add(TEST_EVERY_MS).saturating_sub(now);
    if wait > 0 {
        return Err(too_soon(wait).into());
    }
    let tested = state.webhooks().change(hook.id, |hook| Webhook { tested_at: now, ..hook }).await?;
    tested.ok_or_else(no_such_webhook)?;
    let data = json!({ "channel": channel.name, "webhook": hook.name });
    let event = json!({ "id": state.new_id(), "type": TEST, "timestamp": time(now), "data": data });
    state.webhooks().put(hook.id, channel.id, vec![event], Cause::current(), now).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Lists the last tries to deliver something to a webhook, newest first. For the owner of the channel.
#[utoipa::path(get, path = "/api/v1/channels/{name}/webhooks/{id}/deliveries", operation_id = "listWebhookDeliveries",
    tag = "Webhooks",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel, ById),
    responses(
        (status = 200, description = "All that are remembered, on one page", body = Page<WebhookAttempt>),
        SignedIn, NoSuchChannel, NoSuchWebhook,
    ))]
pub(crate) async fn deliveries(
    State(state): State<ApiState>,
    person: Person,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let (_, hook) = found(&state, &person, &name, &id).await?;
    let items = hook.recent.iter().rev().map(WebhookAttempt::from).collect();
    Ok(private(Json(Page { items, next_cursor: None })))
}

#[cfg(test)]
#[path = "webhooks_tests.rs"]
mod tests;
