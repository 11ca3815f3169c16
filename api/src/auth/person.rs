//! Who asks: the extractor every handler uses.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use millrace_core::ids::{ChannelName, SessionId, UserId};
use millrace_http::problem::Problem;
use serde::{Deserialize, Serialize};

use super::cookie::Cookie;
use super::tokens::{self, Scope, Scopes};
use crate::accounts::{Role, User};
use crate::error::ApiError;
use crate::state::ApiState;

/// The audience of access tokens.
pub const ACCESS_AUDIENCE: &str = "millrace:api";
/// How long an access token lives.
pub const ACCESS_LIFETIME_S: i64 = 15 * 60;

/// Somebody who is signed in, in a browser or by an API token. As an extractor it answers 401 to everybody else;
/// `Option<Person>` takes both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The account.
    pub user: UserId,
    /// Its name when it signed in.
    pub name: ChannelName,
    /// The browser's session; none for an API token.
    pub session: Option<SessionId>,
    /// What the person may do on this site.
    pub role: Role,
    /// What this way of asking may do: everything in a browser, what was chosen for an API token.
    pub scopes: Scopes,
}

/// What an access token says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AccessClaims {
    pub(crate) sub: UserId,
    pub(crate) name: ChannelName,
    pub(crate) sid: SessionId,
    pub(crate) role: Role,
}

impl Person {
    /// Somebody in their own browser, as their account is now.
    pub(crate) fn of(user: &User) -> Self {
        Self { user: user.id, name: user.name.clone(), session: None, role: user.role, scopes: Scopes::all() }
    }

    /// Admins only.
    ///
    /// # Errors
    /// 403.
    pub fn require_admin(&self) -> Result<(), Problem> {
        self.require(Scope::Admin)?;
        if self.role == Role::Admin {
            Ok(())
        } else {
            Err(forbidden("Only an admin of this site may do this."))
        }
    }

    /// Who may have channels.
    ///
    /// # Errors
    /// 403.
    pub fn require_streamer(&self) -> Result<(), Problem> {
        self.require(Scope::Channels)?;
        if self.role >= Role::Streamer {
            return Ok(());
        }
        Err(forbidden(
            "Your account may watch but not stream. Ask an admin of this site to make you a streamer.",
        ))
    }

    /// Whether this way of asking may do that.
    ///
    /// # Errors
    /// 403 for an API token without the scope.
    pub fn require(&self, scope: Scope) -> Result<(), Problem> {
        if self.scopes.contains(scope) {
            return Ok(());
        }
        Err(forbidden(format!(
            "This API token lacks the scope {scope}. Make one that has it in your settings."
        )))
    }

    /// For what no API token may do: the account itself, its password, its sessions, its tokens.
    ///
    /// # Errors
    /// 403 for an API token.
    pub fn require_session(&self) -> Result<SessionId, Problem> {
        self.session.ok_or_else(|| forbidden("An API token cannot do this. Sign in with a browser."))
    }
}

/// 401 for who is not signed in.
#[must_use]
pub fn not_signed_in() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "not-signed-in", "Not signed in", "Sign in, then try again.")
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"millrace\""))
}

/// 403.
#[must_use]
pub fn forbidden(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden", detail)
}

/// The token of `Authorization: Bearer`. Browsers never send one by themselves.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Who sent these headers. `None` if nobody is signed in there; a bearer token that is not good is an error, because
/// who sends one wants to be somebody.
///
/// # Errors
/// 401 as above, 503 when the store is away.
pub async fn who(state: &ApiState, headers: &HeaderMap) -> Result<Option<Person>, ApiError> {
    if headers.contains_key(header::AUTHORIZATION) {
        let token = bearer(headers).ok_or_else(not_signed_in)?;
        let person = if token.starts_with(tokens::PREFIX) {
            by_api_token(state, token).await?
        } else {
            by_access_token(state, token).await
        };
        return Ok(Some(person.ok_or_else(not_signed_in)?));
    }
    match Cookie::Access.read(headers, state.secure()) {
        Some(token) => Ok(by_access_token(state, token).await),
        None => Ok(None),
    }
}

/// Who holds this access token, without asking the store.
pub async fn by_access_token(state: &ApiState, token: &str) -> Option<Person> {
    let now = state.now_ms();
    let claims: AccessClaims = state.keys().verify(ACCESS_AUDIENCE, token, now).await.ok()?;
    if state.revoked().contains(claims.sid) {
        return None;
    }
    let AccessClaims { sub, name, sid, role } = claims;
    Some(Person { user: sub, name, session: Some(sid), role, scopes: Scopes::all() })
}

async fn by_api_token(state: &ApiState, token: &str) -> Result<Option<Person>, ApiError> {
    let Some(token) = state.tokens().by_secret(token, state.now_ms()).await? else { return Ok(None) };
    let Some(user) = state.store().get::<User>(&token.user.to_string()).await? else { return Ok(None) };
    if user.banned_at.is_some() {
        return Ok(None);
    }
    let User { id, name, role, .. } = user.value;
    Ok(Some(Person { user: id, name, session: None, role, scopes: token.value.scopes }))
}

impl FromRequestParts<ApiState> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        Ok(who(state, &parts.headers).await?.ok_or_else(not_signed_in)?)
    }
}

impl OptionalFromRequestParts<ApiState> for Person {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Option<Self>, ApiError> {
        who(state, &parts.headers).await
    }
}
