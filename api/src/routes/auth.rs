//! `/api/v1/setup` and `/api/v1/auth/…`: getting in and out.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use millrace_core::event::{EventBody, UserRegistered};
use millrace_core::ids::{ChannelName, SessionId, UserId};
use millrace_http::problem::Problem;
use serde::Deserialize;
use utoipa::ToSchema;

use super::problems::{Anyone, Changed, FormTaken, Hashing, Invalid, JsonBody, Limited, Stored, problems};
use crate::ApiState;
use crate::accounts::{Email, Role, User};
use crate::auth::cookie::Cookie;
use crate::auth::csrf::CSRF_LIFETIME_S;
use crate::auth::limits::ClientAddress;
use crate::auth::links::{Purpose, dead as dead_link};
use crate::auth::password::{self, PASSWORD_MAX_BYTES, Verdict};
use crate::auth::people::Me;
use crate::auth::person::{ACCESS_AUDIENCE, ACCESS_LIFETIME_S, AccessClaims};
use crate::auth::sessions::{Refused, device};
use crate::auth::turns::Turn;
use crate::auth::{Input, Person, Secret, by_mail, forbidden, invalid};
use crate::config::Registration;
use crate::error::ApiError;
use crate::mail::News;

/// Longest name or address that somebody signs in with.
const LOGIN_MAX_BYTES: usize = 254;

/// A new account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPerson {
    /// `[a-z0-9_]{3,25}`.
    #[schema(example = "ada")]
    name: String,
    /// To get a new password by; may be left out.
    #[schema(example = "ada@example.org")]
    email: Option<String>,
    /// 8 to 256 bytes, and hard to guess.
    password: String,
    /// The token of an invitation, where only the invited may register.
    invitation: Option<String>,
}

/// The owner's account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// Of the link that the first start printed.
    token: String,
    /// `[a-z0-9_]{3,25}`.
    name: String,
    /// To get a new password by; may be left out.
    email: Option<String>,
    /// 8 to 256 bytes, and hard to guess.
    password: String,
}

/// Somebody signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Name or e-mail address.
    #[schema(example = "ada")]
    login: String,
    password: String,
    /// The second factor: six digits, or a recovery code.
    code: Option<String>,
}

/// A new password by a link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// Of the link.
    token: String,
    password: String,
}

problems! {
    /// By a link that works once.
    DeadLink => [dead_link("Ask for a new one.")];
    /// Not everybody may register.
    RegistrationClosed => [registration_closed()];
    /// Name, password and code must be right.
    WrongLogin => [wrong_login(), second_factor_required(), second_factor_wrong()];
    /// Banned people stay out.
    Banned => [banned()];
    /// By the cookie of a session.
    SessionOver => [session_ended()];
    /// Names and addresses are taken once.
    Taken => [crate::auth::people::name_taken(), crate::auth::people::email_taken()];
    /// Addresses are taken once.
    EmailTaken => [crate::auth::people::email_taken()];
}

/// Makes the owner's account with the link that the first start printed, and signs in.
#[utoipa::path(post, path = "/api/v1/setup", operation_id = "setUp", tag = "Signing in",
    security(()),
    request_body = Owner,
    responses(
        (status = 201, description = "The account", body = Me),
        FormTaken, JsonBody, Limited, DeadLink, Invalid, Taken, Hashing, Stored,
    ))]
pub(crate) async fn setup(
    State(state): State<ApiState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    input: Input<Owner>,
) -> Result<Response, ApiError> {
    let now = state.now_ms();
    state.limits().link(address, now)?;
    let Owner { token, name, email, password } = input.value;
    let Some(link) = state.links().find(Purpose::Setup, &token, now).await? else {
        return Err(
            dead_link("Start the server again; it prints a new link as long as there is no admin.").into()
        );
    };
    let (user, _turn) = new_user(&state, &name, email, password, Role::Admin).await?;
    state.people().create(&user, Some(&link)).await?;
    registered(&state, &user).await;
    ask_for_proof(&state, &user).await;
    tracing::info!(user.id = %user.id, "the owner's account was made");
    sign_in(&state, user, &headers, false, input.form, StatusCode::CREATED).await
}

/// Lets every process know of a new account.
pub(crate) async fn registered(state: &ApiState, user: &User) {
    let body = EventBody::UserRegistered(UserRegistered { name: user.name.clone() });
    state.studio().tell_account(user.id, body).await;
}

/// Makes an account, and signs in.
#[utoipa::path(post, path = "/api/v1/auth/register", operation_id = "register", tag = "Signing in",
    security(()),
    request_body = NewPerson,
    responses(
        (status = 201, description = "The account", body = Me),
        FormTaken, JsonBody, Limited, RegistrationClosed, DeadLink, Invalid, Taken, Hashing, Stored,
    ))]
pub(crate) async fn register(
    State(state): State<ApiState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    input: Input<NewPerson>,
) -> Result<Response, ApiError> {
    let now = state.now_ms();
    state.limits().register(address, now)?;
    let NewPerson { name, email, password, invitation } = input.value;
    let link = match state.site().registration() {
        Registration::Open => None,
        Registration::Closed => {
            return Err(registration_closed().into());
        }
        Registration::Invite => {
            let token = invitation.unwrap_or_default();
            let link = state.links().find(Purpose::Invite, &token, now).await?;
            Some(link.ok_or_else(|| dead_link("Ask an admin of this site for an invitation."))?)
        }
    };
    let role = state.site().streaming().new_account();
    let (user, _turn) = new_user(&state, &name, email, password, role).await?;
    state.people().create(&user, link.as_ref()).await?;
    registered(&state, &user).await;
    ask_for_proof(&state, &user).await;
    metrics::counter!("millrace_registrations_total").increment(1);
    sign_in(&state, user, &headers, false, input.form, StatusCode::CREATED).await
}

/// Signs in by name or address and password, and the second factor where there is one.
#[utoipa::path(post, path = "/api/v1/auth/login", operation_id = "signIn", tag = "Signing in",
    security(()),
    request_body = Login,
    responses(
        (status = 200, description = "Signed in; cookies are set", body = Me),
        FormTaken, JsonBody, Limited, WrongLogin, Banned, Hashing, Changed, Stored,
    ))]
pub(crate) async fn login(
    State(state): State<ApiState>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    input: Input<Login>,
) -> Result<Response, ApiError> {
    let Login { login, password, code } = input.value;
    if login.len() > LOGIN_MAX_BYTES || password.len() > PASSWORD_MAX_BYTES {
        return Err(wrong_login().into());
    }
    let now = state.now_ms();
    state.limits().login(address, &login, now)?;
    let user = state.people().by_login(&login).await?;
    let hash = user.as_ref().and_then(|user| user.password.clone());
    let verdict = state.passwords().verify(password, hash).await?;
    let user = user.filter(|_| verdict != Verdict::Wrong).ok_or_else(wrong_login)?;
    if user.banned_at.is_some() {
        return Err(banned().into());
    }
    let two_factor = second_factor(&state, user.id, code.as_deref()).await?;
    state.limits().login_was_good(&login);
    if let Verdict::RightRehashed(hash) = verdict {
        let better = User { password: Some(hash), ..user.value.clone() };
        // Somebody else's change counts more; the next sign-in tries again.
        let _ = state.people().replace(&user, &better).await;
    }
    sign_in(&state, user.value, &headers, two_factor, input.form, StatusCode::OK).await
}

/// Renews the access token with the refresh token of the cookie, which is exchanged too.
#[utoipa::path(post, path = "/api/v1/auth/refresh", operation_id = "renewSession", tag = "Signing in",
    security(()),
    responses((status = 204, description = "Renewed; cookies are set"), SessionOver, Stored))]
pub(crate) async fn refresh(State(state): State<ApiState>, headers: HeaderMap) -> Result<Response, ApiError> {
    let now = state.now_ms();
    let Some(token) = Cookie::Refresh.read(&headers, state.secure()).map(Secret::sent) else {
        return Ok(session_over(&state));
    };
    match state.sessions().rotate(&token, now, lifetime_ms(&state)).await? {
        Ok((session, successor)) => {
            let user = state.people().get(session.user).await?.filter(|user| user.banned_at.is_none());
            let Some(user) = user else {
                state.end_session(session.user, session.id).await?;
                return Ok(session_over(&state));
            };
            let mut response = StatusCode::NO_CONTENT.into_response();
            set_cookies(&state, &user, session.id, &successor, response.headers_mut());
            Ok(response)
        }
        Err(Refused::Unknown) => Ok(session_over(&state)),
        Err(Refused::Reused(session, user)) => {
            state.session_ended(user, session).await;
            tracing::warn!(
                session.id = %session, user.id = %user,
                "an old refresh token was used again; somebody may have stolen it, so the session is over"
            );
            Ok(session_over(&state))
        }
    }
}

/// Signs out.
#[utoipa::path(post, path = "/api/v1/auth/logout", operation_id = "signOut", tag = "Signing in",
    security((), ("session" = []), ("token" = [])),
    responses((status = 204, description = "Nobody is signed in"), FormTaken, Anyone))]
pub(crate) async fn logout(
    State(state): State<ApiState>,
    person: Option<Person>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let session = match person.and_then(|person| person.session.map(|session| (person.user, session))) {
        Some(session) => Some(session),
        // The access token may have run out.
        None => match Cookie::Refresh.read(&headers, state.secure()).map(Secret::sent) {
            Some(token) => {
                let rotated = state.sessions().rotate(&token, state.now_ms(), lifetime_ms(&state)).await?;
                rotated.ok().map(|(session, _)| (session.user, session.id))
            }
            None => None,
        },
    };
    if let Some((user, session)) = session {
        state.end_session(user, session).await?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    if crate::auth::input::is_form(&headers) {
        response =
            (StatusCode::SEE_OTHER, [(header::LOCATION, HeaderValue::from_static("/"))]).into_response();
    }
    clear_cookies(&state, response.headers_mut());
    Ok(response)
}

/// Sets a new password by a link, and ends all sessions of the account.
#[utoipa::path(post, path = "/api/v1/auth/password/reset", operation_id = "resetPassword", tag = "Signing in",
    security(()),
    request_body = NewPassword,
    responses(
        (status = 204, description = "The password is set; sign in with it"),
        FormTaken, JsonBody, Limited, DeadLink, Invalid, Hashing, Changed, Stored,
    ))]
pub(crate) async fn reset(
    State(state): State<ApiState>,
    ClientAddress(address): ClientAddress,
    input: Input<NewPassword>,
) -> Result<Response, ApiError> {
    let now = state.now_ms();
    state.limits().link(address, now)?;
    let NewPassword { token, password } = input.value;
    let dead = || dead_link("Ask for a new one.");
    let link = state.links().find(Purpose::Reset, &token, now).await?.ok_or_else(dead)?;
    let id = link.user.ok_or_else(dead)?;
    let user = state.people().get(id).await?.ok_or_else(dead)?;
    // Who got it by mail reads the mail of that address; the account may have another one by now.
    let mailed = link.email.is_some();
    if mailed && link.email != user.email {
        return Err(dead().into());
    }
    check_password(&password, user.name.as_str(), user.email.as_ref())?;
    let hash = state.passwords().hash(password).await?;
    let email_verified = user.email_verified || mailed;
    let changed = User { password: Some(hash), email_verified, ..user.value.clone() };
    let changes = millrace_store::Changes::new().replace(&user, &changed);
    state.store().commit(by_mail::without_resets(&state, id, changes.delete(&link)).await?).await?;
    state.end_sessions(id, None).await?;
    state.limits().login_was_good(user.name.as_str());
    by_mail::notify(&state, &changed, News::PasswordChanged).await;
    Ok(Input::<()>::answer(input.form, "/login", StatusCode::NO_CONTENT))
}

/// Sends the link that proves a new account's address. The account is there whether or not that works: its person can ask
/// for another one.
async fn ask_for_proof(state: &ApiState, user: &User) {
    if let Some(address) = &user.new_email
        && let Err(error) = by_mail::ask_for_proof(state, user, address.clone()).await
    {
        tracing::warn!(user.id = %user.id, status = %error.0.status(), "sent no mail to a new account");
    }
}

/// A new account that is checked but not kept yet, and the turn at its name: hold it until it is kept.
pub(crate) async fn new_user(
    state: &ApiState,
    name: &str,
    email: Option<String>,
    password: String,
    role: Role,
) -> Result<(User, Turn), ApiError> {
    let name: ChannelName = name.parse().map_err(|error| {
        let error: millrace_core::ids::ChannelNameError = error;
        invalid("/name", format!("{error}."))
    })?;
    let email = by_mail::address(email)?;
    if let Some(email) = &email {
        by_mail::require_free(state, email, None).await?;
    }
    let turn = state.names().take(name.as_str()).await;
    state.people().require_free_name(&name).await?;
    // Costs more than all before: who cannot have the name does not pay for it.
    check_password(&password, name.as_str(), email.as_ref())?;
    let hash = state.passwords().hash(password).await?;
    // Where mail is sent, an address counts once its mail was answered.
    let (email, new_email) = if state.mail().is_some() { (None, email) } else { (email, None) };
    let user = User {
        id: UserId(state.new_id()),
        display_name: name.to_string(),
        name,
        email,
        email_verified: false,
        new_email,
        password: Some(hash),
        role,
        bio: String::new(),
        avatar: None,
        created_at: state.now_ms(),
        banned_at: None,
    };
    Ok((user, turn))
}

/// Refuses a weak password.
pub(crate) fn check_password(password: &str, name: &str, email: Option<&Email>) -> Result<(), Problem> {
    password::check(password, &[name, email.map_or("", Email::as_str), "millrace"], "/password")
}

/// Takes the second factor if there is one; whether there is.
pub(crate) async fn second_factor(
    state: &ApiState,
    id: UserId,
    code: Option<&str>,
) -> Result<bool, ApiError> {
    let Some(factor) = state.people().second_factor(id).await?.filter(|factor| factor.confirmed) else {
        return Ok(false);
    };
    let Some(code) = code.filter(|code| !code.is_empty()) else {
        return Err(second_factor_required().into());
    };
    state.limits().code(id, state.now_ms())?;
    let used = factor.value.clone().take(code, state.now_ms()).ok_or_else(second_factor_wrong)?;
    state.store().commit(millrace_store::Changes::new().replace(&factor, &used)).await?;
    state.limits().code_was_good(id);
    Ok(true)
}

/// Begins a session and answers with the account.
pub(crate) async fn sign_in(
    state: &ApiState,
    user: User,
    headers: &HeaderMap,
    two_factor: bool,
    form: bool,
    status: StatusCode,
) -> Result<Response, ApiError> {
    let session = SessionId(state.new_id());
    let mut response_headers = HeaderMap::new();
    begin_session(state, &user, session, headers, &mut response_headers).await?;
    let answer = (status, response_headers, Json(Me::new(user, two_factor)));
    Ok(Input::<()>::answer(form, "/", answer))
}

/// Begins a session in the browser that sent `headers`, by cookies in `response`. For every way of getting in.
///
/// # Errors
/// Those of the store.
pub(crate) async fn begin_session(
    state: &ApiState,
    user: &User,
    session: SessionId,
    headers: &HeaderMap,
    response: &mut HeaderMap,
) -> Result<(), ApiError> {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let now = state.now_ms();
    // Another account's session in this browser ends: its cookies are replaced.
    if let Ok(Some(other)) = crate::auth::person::who(state, headers).await
        && let Some(old) = other.session
    {
        state.end_session(other.user, old).await?;
    }
    let (token, ended) =
        state.sessions().begin(session, user.id, device(agent), now, lifetime_ms(state)).await?;
    for session in ended {
        state.session_ended(user.id, session).await;
    }
    set_cookies(state, user, session, &token, response);
    let csrf = Cookie::Csrf.set(Secret::random("").reveal(), CSRF_LIFETIME_S, state.secure());
    response.append(header::SET_COOKIE, csrf);
    metrics::counter!("millrace_sign_ins_total").increment(1);
    Ok(())
}

fn set_cookies(state: &ApiState, user: &User, sid: SessionId, refresh: &Secret, headers: &mut HeaderMap) {
    let claims = AccessClaims { sub: user.id, name: user.name.clone(), sid, role: user.role };
    let access = state.keys().sign(ACCESS_AUDIENCE, claims, state.now_ms(), ACCESS_LIFETIME_S);
    let secure = state.secure();
    headers.append(header::SET_COOKIE, Cookie::Access.set(&access, ACCESS_LIFETIME_S, secure));
    let lifetime = lifetime_ms(state) / 1000;
    headers.append(header::SET_COOKIE, Cookie::Refresh.set(refresh.reveal(), lifetime, secure));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

fn clear_cookies(state: &ApiState, headers: &mut HeaderMap) {
    for cookie in [Cookie::Access, Cookie::Refresh, Cookie::Csrf] {
        headers.append(header::SET_COOKIE, cookie.set("", 0, state.secure()));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

fn lifetime_ms(state: &ApiState) -> i64 {
    i64::try_from(state.accounts().session_lifetime.as_millis()).unwrap_or(i64::MAX)
}

fn session_over(state: &ApiState) -> Response {
    let mut response = session_ended().into_response();
    clear_cookies(state, response.headers_mut());
    response
}

pub(crate) fn session_ended() -> Problem {
    let detail = "Your session is over. Sign in again.";
    Problem::new(StatusCode::UNAUTHORIZED, "session-ended", "Session ended", detail)
}

fn registration_closed() -> Problem {
    forbidden("Registration is closed. Ask an admin of this site.")
}

pub(crate) fn banned() -> Problem {
    forbidden("This account is banned. Ask an admin of this site why.")
}

fn second_factor_required() -> Problem {
    let detail = "Type the six digits that your authenticator app shows, or a recovery code.";
    Problem::new(StatusCode::UNAUTHORIZED, "second-factor-required", "Second factor required", detail)
}

fn second_factor_wrong() -> Problem {
    let detail = "This code is wrong or was used. Wait for the next one.";
    Problem::new(StatusCode::UNAUTHORIZED, "second-factor-wrong", "Wrong code", detail)
        .with_error("/code", detail)
}

fn wrong_login() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "wrong-login",
        "Wrong name or password",
        "Name or password are wrong. Check both, or set a new password.",
    )
}
