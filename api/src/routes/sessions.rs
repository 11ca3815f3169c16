//! `/api/v1/me/sessions` and `/api/v1/me/tokens`: what is signed in, and what may ask without.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use millrace_core::ids::SessionId;
use millrace_http::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::params::ById;
use super::path::Path;
use super::problems::{Invalid, JsonBody, NoSuchThing, SignedIn, problems};
use crate::ApiState;
use crate::auth::people::time;
use crate::auth::tokens::{ApiToken, TOKENS_MAX, issue};
use crate::auth::{Input, Person, Scope, Scopes, invalid};
use crate::error::ApiError;

/// Most characters of a token's name.
const NAME_MAX_CHARS: usize = 60;

/// A browser that is signed in.
#[derive(Serialize, ToSchema)]
pub struct SessionInfo {
    #[schema(value_type = String, format = "uuid")]
    id: SessionId,
    #[schema(example = "Firefox on Linux")]
    device: String,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    /// At most a quarter of an hour late.
    #[schema(value_type = String, format = "date-time")]
    last_used_at: Timestamp,
    /// Whether it is the one that asks.
    current: bool,
}

/// All of them.
#[derive(Serialize, ToSchema)]
pub struct SessionPage {
    items: Vec<SessionInfo>,
    /// Always null: there are at most 50.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A token without its secret.
#[derive(Serialize, ToSchema)]
pub struct TokenInfo {
    #[schema(value_type = String, format = "uuid")]
    id: uuid::Uuid,
    name: String,
    /// The last characters of the secret.
    hint: String,
    scopes: Vec<Scope>,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    /// At most a minute late; absent if never used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    last_used_at: Option<Timestamp>,
}

/// All of them.
#[derive(Serialize, ToSchema)]
pub struct TokenPage {
    items: Vec<TokenInfo>,
    /// Always null: there are at most 50.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A new token.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// 1 to 60 characters.
    #[schema(example = "backup script")]
    name: String,
    /// What it may do; at least one.
    scopes: Vec<Scope>,
}

/// A token with its secret, which is never shown again.
#[derive(Serialize, ToSchema)]
pub struct MadeToken {
    #[serde(flatten)]
    token: TokenInfo,
    /// Send it as `Authorization: Bearer …`.
    #[schema(example = "mr_…")]
    secret: String,
}

problems! {
    /// There is a limit for how many there are.
    TooManyTokens => [too_many_tokens()];
}

/// Lists the browsers that are signed in.
#[utoipa::path(get, path = "/api/v1/me/sessions", operation_id = "listSessions", tag = "Account",
    security(("session" = [])),
    responses(
        (status = 200, description = "The sessions, newest use first", body = SessionPage),
        SignedIn,
    ))]
pub(crate) async fn list(State(state): State<ApiState>, person: Person) -> Result<Response, ApiError> {
    let current = person.require_session()?;
    let sessions = state.sessions().of(person.user, state.now_ms()).await?;
    let items = sessions
        .into_iter()
        .map(|kept| SessionInfo {
            id: kept.id,
            created_at: time(kept.created_at),
            last_used_at: time(kept.rotated_at),
            current: kept.id == current,
            device: kept.value.device,
        })
        .collect();
    Ok(private(SessionPage { items, next_cursor: None }))
}

/// Signs one browser out.
#[utoipa::path(delete, path = "/api/v1/me/sessions/{id}", operation_id = "endSession", tag = "Account",
    security(("session" = [])),
    params(ById),
    responses((status = 204, description = "It is signed out"), SignedIn, NoSuchThing))]
pub(crate) async fn end(
    State(state): State<ApiState>,
    person: Person,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    person.require_session()?;
    let sessions = state.sessions().of(person.user, state.now_ms()).await?;
    let id = id.parse::<SessionId>().ok().filter(|id| sessions.iter().any(|one| one.id == *id));
    state.end_session(person.user, id.ok_or_else(Problem::not_found)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Signs out everywhere, here too.
#[utoipa::path(delete, path = "/api/v1/me/sessions", operation_id = "endAllSessions", tag = "Account",
    security(("session" = [])),
    responses((status = 204, description = "Nobody is signed in to the account any more"), SignedIn))]
pub(crate) async fn end_all(State(state): State<ApiState>, person: Person) -> Result<StatusCode, ApiError> {
    person.require_session()?;
    state.end_sessions(person.user, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the API tokens of the person.
#[utoipa::path(get, path = "/api/v1/me/tokens", operation_id = "listTokens", tag = "Account",
    security(("session" = [])),
    responses((status = 200, description = "The tokens, newest first", body = TokenPage), SignedIn))]
pub(crate) async fn tokens(State(state): State<ApiState>, person: Person) -> Result<Response, ApiError> {
    person.require_session()?;
    let tokens = state.tokens().of(person.user).await?;
    let items = tokens.into_iter().map(|kept| info(kept.value)).collect();
    Ok(private(TokenPage { items, next_cursor: None }))
}

/// Makes an API token for scripts. Its secret is in the answer and nowhere else.
#[utoipa::path(post, path = "/api/v1/me/tokens", operation_id = "makeToken", tag = "Account",
    security(("session" = [])),
    request_body = NewToken,
    responses(
        (status = 201, description = "The token", body = MadeToken),
        SignedIn, JsonBody, Invalid, TooManyTokens,
    ))]
pub(crate) async fn make_token(
    State(state): State<ApiState>,
    person: Person,
    input: Input<NewToken>,
) -> Result<Response, ApiError> {
    person.require_session()?;
    let NewToken { name, scopes } = input.value;
    let name = name.trim().to_owned();
    if !(1..=NAME_MAX_CHARS).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return Err(invalid("/name", "Write 1 to 60 characters in one line.").into());
    }
    if scopes.is_empty() {
        return Err(invalid("/scopes", "Choose at least one.").into());
    }
    let scopes: Scopes = scopes.into_iter().collect();
    if state.tokens().of(person.user).await?.len() >= TOKENS_MAX {
        return Err(too_many_tokens().into());
    }
    let (token, secret) = issue(state.new_id(), person.user, name, scopes, state.now_ms(), None);
    state.tokens().add(&token).await?;
    let made = MadeToken { token: info(token), secret: secret.reveal().to_owned() };
    Ok((StatusCode::CREATED, private(made)).into_response())
}

/// Revokes an API token.
#[utoipa::path(delete, path = "/api/v1/me/tokens/{id}", operation_id = "revokeToken", tag = "Account",
    security(("session" = [])),
    params(ById),
    responses((status = 204, description = "It is good no more"), SignedIn, NoSuchThing))]
pub(crate) async fn revoke_token(
    State(state): State<ApiState>,
    person: Person,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    person.require_session()?;
    let id: uuid::Uuid = id.parse().map_err(|_| Problem::not_found())?;
    if state.tokens().revoke(person.user, &id.to_string()).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found().into())
    }
}

fn too_many_tokens() -> Problem {
    let detail = "You have 50 API tokens. Revoke one that you do not use.";
    Problem::new(StatusCode::CONFLICT, "too-many-tokens", "Too many tokens", detail)
}

fn info(token: ApiToken) -> TokenInfo {
    TokenInfo {
        id: token.id,
        name: token.name,
        hint: token.hint,
        scopes: token.scopes.iter().collect(),
        created_at: time(token.created_at),
        last_used_at: token.last_used_at.map(time),
    }
}

fn private(body: impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
