//! `/api/v1/channels/{name}/keys`: the secrets that publish.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use millrace_core::ids::StreamKeyId;
use millrace_http::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::channels::{no_such_channel, owned};
use super::lists::{Page, invalid_fields, limit_reached, time};
use super::params::{ById, OfChannel};
use super::path::Path;
use super::problems::{InvalidFields, JsonBody, LimitReached, NoSuchChannel, SignedIn, problems};
use crate::ApiState;
use crate::accounts::StreamKeyRecord;
use crate::auth::{Input, Person, Secret};
use crate::channels::{KEY_NAME_MAX, KeyError, NewKey, line};
use crate::error::ApiError;

/// What every stream key begins with, so that people and scanners know it.
const PREFIX: &str = "live_";
/// Characters of the secret that stay readable.
const HINT_CHARS: usize = 4;

/// A stream key without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamKeyView {
    /// Its id (UUIDv7).
    #[schema(value_type = String, format = "uuid")]
    id: StreamKeyId,
    /// What its owner calls it.
    #[schema(example = "OBS at home")]
    name: String,
    /// The last characters of the secret.
    #[schema(example = "x7Qf")]
    hint: String,
    /// When it was made.
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    /// When it was last used, to a minute; absent if never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    last_used_at: Option<Timestamp>,
}

/// A new key: the only time that its secret is told.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewStreamKeyView {
    /// What stays readable of it.
    #[serde(flatten)]
    key: StreamKeyView,
    /// What goes into the encoder's stream key field.
    #[schema(example = "live_…")]
    secret: String,
}

/// A key that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStreamKey {
    /// 1 to 50 characters.
    #[schema(example = "OBS at home")]
    name: String,
}

impl From<StreamKeyRecord> for StreamKeyView {
    fn from(key: StreamKeyRecord) -> Self {
        Self {
            id: key.id,
            name: key.name,
            hint: key.hint,
            created_at: time(key.created_at),
            last_used_at: key.last_used_at.map(time),
        }
    }
}

fn refused(error: KeyError) -> ApiError {
    match error {
        KeyError::TooMany { limit } => limit_reached("stream keys of this channel", limit).into(),
        KeyError::NotFound => no_such_key().into(),
        KeyError::Store(error) => error.into(),
    }
}

fn no_such_key() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no-such-key",
        "No such key",
        "This channel has no such stream key. Reload the page and look.",
    )
}

fn new_key(state: &ApiState, name: String) -> (Secret, NewKey) {
    let secret = Secret::random(PREFIX);
    let hint = secret.reveal()[secret.reveal().len() - HINT_CHARS..].to_owned();
    let hash = secret.hash();
    (secret, NewKey { id: StreamKeyId(state.new_id()), name, hash, hint })
}

fn told(status: StatusCode, secret: &Secret, record: StreamKeyRecord) -> Response {
    let view = NewStreamKeyView { key: record.into(), secret: secret.reveal().to_owned() };
    (status, [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(view)).into_response()
}

problems! {
    /// Names a stream key.
    NoSuchKey => [no_such_key()];
}

/// Lists the keys of a channel that publish, oldest first. For its owner.
#[utoipa::path(get, path = "/api/v1/channels/{name}/keys", operation_id = "listStreamKeys", tag = "Stream keys",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel),
    responses(
        (status = 200, description = "All of them, on one page", body = Page<StreamKeyView>),
        SignedIn, NoSuchChannel,
    ))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    let keys = state.studio().keys.of(channel.id).await?;
    let page = Page { items: keys.into_iter().map(StreamKeyView::from).collect(), next_cursor: None };
    Ok(([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(page)).into_response())
}

/// Makes a stream key and tells its secret this once.
#[utoipa::path(post, path = "/api/v1/channels/{name}/keys", operation_id = "createStreamKey", tag = "Stream keys",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel),
    request_body = NewStreamKey,
    responses(
        (status = 201, description = "The key with its secret", body = NewStreamKeyView),
        SignedIn, JsonBody, NoSuchChannel, InvalidFields, LimitReached,
    ))]
pub(crate) async fn create(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    Input { value: new, .. }: Input<NewStreamKey>,
) -> Result<Response, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    let called =
        line("/name", &new.name, 1, KEY_NAME_MAX).map_err(|problem| invalid_fields(vec![problem]))?;
    let (secret, new) = new_key(&state, called);
    let studio = state.studio();
    let made = studio.keys.create(channel.id, &new, state.now_ms(), studio.config.max_stream_keys).await;
    let record = made.map_err(|error| match error {
        KeyError::NotFound => no_such_channel().into(),
        error => refused(error),
    })?;
    Ok(told(StatusCode::CREATED, &secret, record))
}

/// Ends a key. What it publishes ends within two seconds; it never publishes again.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/keys/{id}", operation_id = "revokeStreamKey", tag = "Stream keys",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel, ById),
    responses((status = 204, description = "It publishes no more"), SignedIn, NoSuchChannel, NoSuchKey))]
pub(crate) async fn revoke(
    State(state): State<ApiState>,
    person: Person,
    Path((name, id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    let id: StreamKeyId = id.parse().map_err(|_| no_such_key())?;
    state.studio().keys.revoke(channel.id, id, state.now_ms()).await.map_err(refused)?;
    state.studio().revoked(&channel.name, id).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Puts a new key in the place of one, under its name, and tells its secret this once. The old one ends as if it was
/// revoked.
#[utoipa::path(post, path = "/api/v1/channels/{name}/keys/{id}/rotate", operation_id = "rotateStreamKey", tag = "Stream keys",
    security(("session" = []), ("token" = ["channels"])),
    params(OfChannel, ById),
    responses(
        (status = 201, description = "The new key with its secret", body = NewStreamKeyView),
        SignedIn, NoSuchChannel, NoSuchKey,
    ))]
pub(crate) async fn rotate(
    State(state): State<ApiState>,
    person: Person,
    Path((name, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let channel = owned(&state, &person, &name).await?;
    let id: StreamKeyId = id.parse().map_err(|_| no_such_key())?;
    let (secret, new) = new_key(&state, String::new());
    let record = state.studio().keys.rotate(channel.id, id, new, state.now_ms()).await.map_err(refused)?;
    state.studio().revoked(&channel.name, id).await;
    Ok(told(StatusCode::CREATED, &secret, record))
}
