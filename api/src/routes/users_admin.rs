//! `/api/v1/admin/…`: what only admins of the site do, all of it in the audit log.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use millrace_core::event::{EventBody, UserBanned, UserRoleChanged, UserUnbanned};
use millrace_core::ids::UserId;
use millrace_http::problem::Problem;
use millrace_store::{After, Changes, Kept, Order, Query};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::lists::{Asked, Page, cursor};
use super::params::{OfPerson, Paging};
use super::path::Path;
use super::problems::{Changed, JsonBody, NoSuchThing, Paged, SignedIn, problems};
use crate::ApiState;
use crate::accounts::{Role, User};
use crate::auth::audit::Audit;
use crate::auth::links::{INVITATION_LIFETIME_MS, Purpose, RESET_LIFETIME_MS};
use crate::auth::people::time;
use crate::auth::{Input, Person};
use crate::error::ApiError;

/// What of an account is to change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountEdit {
    role: Option<Role>,
    /// Whether the person may not sign in.
    banned: Option<bool>,
}

/// An account as an admin sees it.
#[derive(Serialize, ToSchema)]
pub struct Account {
    #[schema(value_type = String, format = "uuid")]
    id: UserId,
    name: String,
    role: Role,
    banned: bool,
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
}

/// A link to give to somebody.
#[derive(Serialize, ToSchema)]
pub struct OneTimeLink {
    /// The token is in the fragment, so that no server log has it.
    #[schema(example = "https://live.example.org/reset#…")]
    url: String,
}

/// One thing that was done.
#[derive(Serialize, ToSchema)]
pub struct AuditEntry {
    #[schema(value_type = String, format = "date-time")]
    at: Timestamp,
    /// Absent: on the server's command line.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    by: Option<UserId>,
    /// Who that is, if the account is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ada")]
    by_name: Option<String>,
    #[schema(example = "user.role")]
    action: String,
    target: String,
    detail: String,
}

problems! {
    /// For others only.
    OwnAccount => [own_account()];
}

/// Shows an account.
#[utoipa::path(get, path = "/api/v1/admin/users/{name}", operation_id = "getAccount", tag = "Administration",
    security(("session" = []), ("token" = ["admin"])),
    params(OfPerson),
    responses((status = 200, description = "The account", body = Account), SignedIn, NoSuchThing))]
pub(crate) async fn show(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Json<Account>, ApiError> {
    person.require_admin()?;
    Ok(Json(account(named(&state, &name).await?.value)))
}

/// Changes an account's role, or bans it. Its sessions end, so that it holds at once.
#[utoipa::path(patch, path = "/api/v1/admin/users/{name}", operation_id = "editAccount", tag = "Administration",
    security(("session" = []), ("token" = ["admin"])),
    params(OfPerson),
    request_body = AccountEdit,
    responses(
        (status = 200, description = "The account", body = Account),
        SignedIn, JsonBody, NoSuchThing, OwnAccount, Changed,
    ))]
pub(crate) async fn edit(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
    input: Input<AccountEdit>,
) -> Result<Json<Account>, ApiError> {
    person.require_admin()?;
    let read = named(&state, &name).await?;
    if read.id == person.user {
        return Err(own_account().into());
    }
    let AccountEdit { role, banned } = input.value;
    let mut user = read.value.clone();
    let mut changes = Changes::new();
    if let Some(role) = role.filter(|role| *role != user.role) {
        changes = changes.insert(&entry(
            &state,
            &person,
            "user.role",
            &user,
            &format!("{:?} to {role:?}", user.role),
        ));
        user.role = role;
    }
    if let Some(banned) = banned.filter(|banned| *banned != user.banned_at.is_some()) {
        changes = changes.insert(&entry(
            &state,
            &person,
            if banned { "user.ban" } else { "user.unban" },
            &user,
            "",
        ));
        user.banned_at = banned.then(|| state.now_ms());
    }
    if user != read.value {
        state.store().commit(changes.replace(&read, &user)).await?;
        state.end_sessions(user.id, None).await?;
        for body in said_of(&read.value, &user) {
            state.studio().tell_account(user.id, body).await;
        }
        if user.banned_at.is_some() || user.role < Role::Streamer {
            state.stop_broadcasts(user.id).await?;
        }
    }
    Ok(Json(account(user)))
}

/// What other processes hear of a change.
fn said_of(before: &User, after: &User) -> Vec<EventBody> {
    let mut said = Vec::new();
    if before.role != after.role {
        let role = format!("{:?}", after.role).to_lowercase();
        said.push(EventBody::UserRoleChanged(UserRoleChanged { role }));
    }
    match (before.banned_at.is_some(), after.banned_at.is_some()) {
        (false, true) => said.push(EventBody::UserBanned(UserBanned::default())),
        (true, false) => said.push(EventBody::UserUnbanned(UserUnbanned::default())),
        _ => {}
    }
    said
}

/// Makes a link with which the person sets a new password.
#[utoipa::path(post, path = "/api/v1/admin/users/{name}/reset-link", operation_id = "makeResetLink", tag = "Administration",
    security(("session" = [])),
    params(OfPerson),
    responses(
        (status = 201, description = "The link; it works once, for an hour", body = OneTimeLink),
        SignedIn, NoSuchThing,
    ))]
pub(crate) async fn reset_link(
    State(state): State<ApiState>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    person.require_admin()?;
    person.require_session()?;
    let user = named(&state, &name).await?;
    let expires_at = state.now_ms().saturating_add(RESET_LIFETIME_MS);
    let token = state.links().make(Purpose::Reset, Some(user.id), expires_at).await?;
    state.store().insert(&entry(&state, &person, "user.reset_link", &user, "")).await?;
    Ok(link(&state, "reset", token.reveal()))
}

/// Makes an invitation.
#[utoipa::path(post, path = "/api/v1/admin/invitations", operation_id = "makeInvitation", tag = "Administration",
    security(("session" = [])),
    responses(
        (status = 201, description = "The link; it works once, for a week", body = OneTimeLink),
        SignedIn,
    ))]
pub(crate) async fn invite(State(state): State<ApiState>, person: Person) -> Result<Response, ApiError> {
    person.require_admin()?;
    person.require_session()?;
    let expires_at = state.now_ms().saturating_add(INVITATION_LIFETIME_MS);
    let token = state.links().make(Purpose::Invite, None, expires_at).await?;
    Ok(link(&state, "register", token.reveal()))
}

/// Lists what admins and moderators did, newest first.
#[utoipa::path(get, path = "/api/v1/admin/audit", operation_id = "listAudit", tag = "Administration",
    security(("session" = []), ("token" = ["admin"])),
    params(Paging),
    responses((status = 200, description = "A page of them", body = Page<AuditEntry>), SignedIn, Paged))]
pub(crate) async fn audit(
    State(state): State<ApiState>,
    person: Person,
    uri: Uri,
) -> Result<Response, ApiError> {
    person.require_admin()?;
    let Asked { after, limit, .. } = Asked::parse(&uri)?;
    let query = Query::with("scope", "site", limit + 1).ordered("at", Order::Descending).after(after);
    let mut found = state.store().find::<Audit>(&query).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next_cursor =
        last.map(|last| cursor(&After { value: last.at.into(), id: last.value.id.to_string() }));
    let mut names = BTreeMap::new();
    let mut items = Vec::with_capacity(found.len());
    for kept in found {
        let Audit { at, by, action, target, detail, .. } = kept.value;
        let by_name = match by {
            None => None,
            Some(id) => match names.get(&id) {
                Some(known) => Option::clone(known),
                None => {
                    let name = state.people().get(id).await?.map(|user| user.value.name.to_string());
                    names.insert(id, name.clone());
                    name
                }
            },
        };
        items.push(AuditEntry { at: time(at), by, by_name, action, target, detail });
    }
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(Page { items, next_cursor })).into_response())
}

async fn named(state: &ApiState, name: &str) -> Result<Kept<User>, ApiError> {
    let found = match name.contains('@') {
        true => None,
        false => state.people().by_login(name).await?,
    };
    Ok(found.ok_or_else(Problem::not_found)?)
}

fn own_account() -> Problem {
    let detail = "You cannot change your own role or ban yourself. Ask another admin.";
    Problem::new(StatusCode::CONFLICT, "own-account", "Own account", detail)
}

fn entry(state: &ApiState, person: &Person, action: &str, user: &User, detail: &str) -> Audit {
    Audit {
        id: state.new_id(),
        at: state.now_ms(),
        by: Some(person.user),
        action: action.into(),
        target: user.name.to_string(),
        detail: detail.to_lowercase(),
        scope: "site".into(),
    }
}

fn account(user: User) -> Account {
    let User { id, name, role, banned_at, created_at, .. } = user;
    Account { id, name: name.to_string(), role, banned: banned_at.is_some(), created_at: time(created_at) }
}

fn link(state: &ApiState, page: &str, token: &str) -> Response {
    let url = format!("{}/{page}#{token}", state.public_url().unwrap_or_default());
    (StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(OneTimeLink { url })).into_response()
}
