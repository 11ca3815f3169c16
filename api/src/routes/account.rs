//! `/api/v1/me…`: the own account, its password, its second factor, its data.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use millrace_core::event::{EventBody, StoppedBy, UserDeleted};
use millrace_core::ids::UserId;
use millrace_core::text::cleaned;
use millrace_http::problem::Problem;
use millrace_store::{Changes, Document, Kept, Query};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::auth::{EmailTaken, check_password};
use super::by_mail::TooManyMails;
use super::channels::take_down;
use super::problems::{Changed, FormTaken, Hashing, Invalid, JsonBody, Limited, SignedIn, problems};
use super::profile::remove_picture;
use crate::ApiState;
use crate::accounts::{Block, Broadcast, Channel, Email, Follow, Identity, StreamKeyRecord, User};
use crate::auth::limits::ClientAddress;
use crate::auth::password::{PASSWORD_MAX_BYTES, Verdict};
use crate::auth::people::{BIO_MAX_CHARS, DISPLAY_NAME_MAX_CHARS, Me, time};
use crate::auth::tokens::ApiToken;
use crate::auth::totp::SecondFactor;
use crate::auth::{Input, Person, Scope, by_mail, invalid, not_signed_in};
use crate::channels::ChannelError;
use crate::chat::Rooms;
use crate::chat::forget::forget_person;
use crate::error::ApiError;
use crate::mail::News;
use crate::notices::{Notice, Reader};
use crate::push::Device;
use crate::reports::Report;
use crate::schedule::Plan;
use crate::webhooks::Webhook;

/// Most documents of one kind in an export.
const EXPORT_MAX: usize = 10_000;
/// Channels that are deleted with an account at once.
const CHANNELS_AT_ONCE: usize = 100;

/// What of an account is to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileEdit {
    /// 1 to 50 characters.
    display_name: Option<String>,
    /// At most 500 characters.
    bio: Option<String>,
    /// null removes it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    email: Option<Option<String>>,
    /// For another e-mail address where this site sends mail: whoever reads it can set a new password. Left out if a
    /// provider has said within the last minutes who asks.
    password: Option<String>,
}

/// What proves that it is the person: the password, or nothing, if a provider has said so within the last minutes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    password: Option<String>,
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordChange {
    /// The password of now; left out if there is none, or if a provider has said within the last minutes who asks.
    current: Option<String>,
    password: String,
}

/// A code of an authenticator app.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Code {
    #[schema(example = "123456")]
    code: String,
}

/// What an authenticator app needs.
#[derive(Serialize, ToSchema)]
pub struct Enrolment {
    /// Base32.
    secret: String,
    otpauth_url: String,
}

/// Codes to get in without the app; each is good once.
#[derive(Serialize, ToSchema)]
pub struct RecoveryCodes {
    recovery_codes: Vec<String>,
}

/// Tells null from absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

problems! {
    /// Proven by the password.
    WrongPassword => [wrong_password("/password"), confirm_first()];
    /// One second factor at a time.
    HasSecondFactor => [has_factor()];
}

/// Shows who is signed in.
#[utoipa::path(get, path = "/api/v1/me", operation_id = "getMe", tag = "Account",
    security(("session" = []), ("token" = ["read"])),
    responses((status = 200, description = "The account", body = Me), SignedIn))]
pub(crate) async fn show(State(state): State<ApiState>, person: Person) -> Result<Response, ApiError> {
    person.require(Scope::Read)?;
    let user = own(&state, &person).await?;
    me(&state, user.value).await
}

/// Changes the own profile.
#[utoipa::path(patch, path = "/api/v1/me", operation_id = "editMe", tag = "Account",
    security(("session" = [])),
    request_body = ProfileEdit,
    responses(
        (status = 200, description = "The account", body = Me),
        SignedIn, JsonBody, WrongPassword, Invalid, EmailTaken, Limited, Hashing, TooManyMails, Changed,
    ))]
pub(crate) async fn edit(
    State(state): State<ApiState>,
    ClientAddress(address): ClientAddress,
    person: Person,
    input: Input<ProfileEdit>,
) -> Result<Response, ApiError> {
    person.require_session()?;
    let read = own(&state, &person).await?;
    let mut user = read.value.clone();
    let ProfileEdit { display_name, bio, email, password } = input.value;
    if let Some(name) = display_name {
        let name = cleaned(&name, 1);
        if !(1..=DISPLAY_NAME_MAX_CHARS).contains(&name.chars().count()) {
            return Err(invalid("/display_name", "Write 1 to 50 characters that can be seen.").into());
        }
        user.display_name = name;
    }
    if let Some(bio) = bio {
        let control = |c: char| c.is_control() && c != '\n';
        if bio.chars().count() > BIO_MAX_CHARS || bio.chars().any(control) {
            return Err(invalid("/bio", "Write at most 500 characters.").into());
        }
        user.bio = bio;
    }
    if let Some(email) = email {
        let email = by_mail::address(email)?;
        if state.mail().is_some() && user.email.is_some() && email != user.email {
            prove(&state, &person, address, password, "/password").await?;
        }
        move_to(&state, &mut user, email).await?;
    }
    // First, so that nothing has changed if too many mails were asked for.
    if let Some(address) = user.new_email.clone().filter(|_| user.new_email != read.new_email) {
        by_mail::ask_for_proof(&state, &user, address).await?;
    }
    state.people().replace(&read, &user).await?;
    if user.email.is_none() && read.email.is_some() {
        by_mail::notify(&state, &read, News::AddressChanged).await;
    }
    me(&state, user).await
}

/// Gives an account another address, or none. Where mail is sent, a new one counts once its mail was answered; until then
/// the old one stays.
async fn move_to(state: &ApiState, user: &mut User, email: Option<Email>) -> Result<(), ApiError> {
    match email {
        Some(email) if user.email.as_ref() == Some(&email) => user.new_email = None,
        Some(email) => {
            by_mail::require_free(state, &email, Some(user.id)).await?;
            if state.mail().is_some() {
                user.new_email = Some(email);
            } else {
                user.email = Some(email);
                user.email_verified = false;
            }
        }
        None => (user.email, user.email_verified, user.new_email) = (None, false, None),
    }
    Ok(())
}

/// Deletes the own account and everything of it.
#[utoipa::path(delete, path = "/api/v1/me", operation_id = "deleteMe", tag = "Account",
    security(("session" = [])),
    request_body = Proof,
    responses(
        (status = 204, description = "The account is gone"),
        SignedIn, JsonBody, WrongPassword, Limited, Hashing, Changed,
    ))]
pub(crate) async fn delete(
    State(state): State<ApiState>,
    ClientAddress(address): ClientAddress,
    person: Person,
    input: Input<Proof>,
) -> Result<StatusCode, ApiError> {
    person.require_session()?;
    let user = prove(&state, &person, address, input.value.password, "/password").await?;
    let store = state.store();
    loop {
        let some = state.studio().channels.of(user.id, CHANNELS_AT_ONCE).await?;
        if some.is_empty() {
            break;
        }
        for channel in some {
            match take_down(&state, &channel, StoppedBy::Owner).await {
                Ok(()) | Err(ChannelError::NotFound) => {}
                Err(ChannelError::Store(error)) => return Err(error.into()),
                Err(_) => return Err(Problem::internal().into()),
            }
        }
    }
    let follows = crate::channels::Follows::new(store.clone());
    loop {
        let some = store.find::<Follow>(&Query::with("user", user.id.to_string(), CHANNELS_AT_ONCE)).await?;
        if some.is_empty() {
            break;
        }
        for follow in some {
            follows.unfollow(user.id, follow.channel).await?;
        }
    }
    loop {
        let some = store.find::<Block>(&Query::with("user", user.id.to_string(), CHANNELS_AT_ONCE)).await?;
        if some.is_empty() {
            break;
        }
        let changes = some.iter().fold(Changes::new(), |changes, block| changes.delete(block));
        store.commit(changes).await?;
    }
    forget_person(&state, user.id).await?;
    let identities = store.find::<Identity>(&Query::with("user", user.id.to_string(), EXPORT_MAX)).await?;
    let tokens = state.tokens().of(user.id).await?;
    let changes = identities.iter().fold(Changes::new(), |changes, identity| changes.delete(identity));
    store.commit(changes).await?;
    let changes = tokens.iter().fold(Changes::new(), |changes, token| changes.delete(token));
    let changes =
        changes.delete_id::<SecondFactor>(user.id.to_string()).delete_id::<Reader>(user.id.to_string());
    let changes = changes.delete_id::<User>(user.id.to_string());
    store.commit(changes).await?;
    state.reports().forget_words(user.id).await?;
    state.end_sessions(user.id, None).await?;
    state.studio().tell_account(user.id, EventBody::UserDeleted(UserDeleted {})).await;
    remove_picture(&state, user.value.avatar.clone()).await;
    // What was said while all of this was done.
    forget_person(&state, user.id).await?;
    state.push().devices().remove_of(user.id).await?;
    tracing::info!(user.id = %user.id, "an account was deleted by its person");
    Ok(StatusCode::NO_CONTENT)
}

/// Everything that is kept about the person, as one JSON document. Secrets are left out: only their hashes are kept.
#[utoipa::path(get, path = "/api/v1/me/export", operation_id = "exportMe", tag = "Account",
    security(("session" = [])),
    responses((status = 200, description = "The data", body = serde_json::Value), SignedIn))]
pub(crate) async fn export(State(state): State<ApiState>, person: Person) -> Result<Response, ApiError> {
    person.require_session()?;
    let user = own(&state, &person).await?.value;
    let store = state.store();
    let by_user = || Query::with("user", person.user.to_string(), EXPORT_MAX);
    let mut channels = Vec::new();
    for channel in store.find::<Channel>(&Query::with("owner", person.user.to_string(), EXPORT_MAX)).await? {
        let of = || Query::with("channel", channel.id.to_string(), EXPORT_MAX);
        channels.push(json!({
            "channel": channel.value,
            "stream_keys": without(store.find::<StreamKeyRecord>(&of()).await?, "hash"),
            "broadcasts": without(store.find::<Broadcast>(&of()).await?, ""),
            "schedule": without(store.find::<Plan>(&of()).await?, ""),
            "notices": without(store.find::<Notice>(&of()).await?, ""),
            "webhooks": exported_webhooks(&state.webhooks().of(channel.id).await?),
        }));
    }
    let sessions = state.sessions().of(person.user, state.now_ms()).await?;
    let sessions: Vec<_> = sessions
        .iter()
        .map(|one| json!({ "device": one.device, "created_at": time(one.created_at), "last_used_at": time(one.rotated_at) }))
        .collect();
    let follows = without(store.find::<Follow>(&by_user()).await?, "");
    let tokens = without(store.find::<ApiToken>(&by_user()).await?, "hash");
    let identities = without(store.find::<Identity>(&by_user()).await?, "");
    let devices: Vec<_> = state.push().devices().of(person.user).await?;
    let devices: Vec<_> = devices.iter().map(|one| exported_device(one)).collect();
    let reports: Vec<_> =
        state.reports().by(person.user, None, EXPORT_MAX).await?.iter().map(exported_report).collect();
    let body = json!({
        "account": User { password: None, ..user },
        "channels": channels,
        "follows": follows,
        "identities": identities,
        "sessions": sessions,
        "api_tokens": tokens,
        "push_devices": devices,
        "reports": reports,
        "chat": exported_chat(&state, person.user).await?,
        "notices": exported_notices(&state, person.user).await?,
    });
    let name = HeaderValue::from_static("attachment; filename=\"millrace-export.json\"");
    let private = HeaderValue::from_static("no-store");
    Ok(([(header::CONTENT_DISPOSITION, name), (header::CACHE_CONTROL, private)], Json(body)).into_response())
}

/// A browser that is pushed to. The address of its subscription is left out but for the service: who knows it can write to
/// the browser.
fn exported_device(device: &Device) -> serde_json::Value {
    let service = device.endpoint.parse::<Uri>().ok();
    let service = service.and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default();
    json!({ "name": device.name, "service": service, "created_at": time(device.created_at) })
}

/// Where a channel tells what; the secrets are left out.
fn exported_webhooks(hooks: &[Webhook]) -> Vec<serde_json::Value> {
    hooks
        .iter()
        .map(|hook| {
            json!({ "name": hook.name, "url": hook.url, "events": hook.events, "created_at": time(hook.created_at) })
        })
        .collect()
}

/// What a person has told the admins; what they made of it is theirs.
fn exported_report(report: &Report) -> serde_json::Value {
    json!({
        "about": report.about,
        "target": report.target,
        "reason": report.reason,
        "text": report.text,
        "at": time(report.at),
        "state": report.state,
    })
}

/// What a person said in chat, newest first, what waits or waited lately for moderators, how they vote in polls
/// that run, to what they subscribe, and where they may say nothing.
async fn exported_chat(state: &ApiState, user: UserId) -> Result<serde_json::Value, ApiError> {
    let rooms = Rooms::new(state.store().clone());
    let (said, silenced) =
        (rooms.said_by(user, EXPORT_MAX).await?, rooms.sanctions_of(user, EXPORT_MAX).await?);
    let held = rooms.held_by(user, EXPORT_MAX).await?;
    let of = said.iter().map(|one| one.channel).chain(silenced.iter().map(|one| one.channel));
    let votes = rooms.votes_of(user, EXPORT_MAX).await?;
    let of = of.chain(held.iter().map(|one| one.channel)).chain(votes.iter().map(|one| one.channel));
    let subscriptions = rooms.subscriptions_of(user, EXPORT_MAX).await?;
    let of = of.chain(subscriptions.iter().map(|one| one.channel));
    let mut names = BTreeMap::new();
    for id in of.collect::<BTreeSet<_>>() {
        names.insert(id, state.studio().channels.get(id).await?.map(|channel| channel.name));
    }
    let said: Vec<_> = said
        .iter()
        .map(|one| {
            json!({
                "channel": names[&one.channel],
                "at": time(one.at),
                "kind": one.message.kind,
                "text": one.message.text,
                "reply_to": one.message.reply_to,
                "removed": one.removed_by.is_some(),
            })
        })
        .collect();
    let silenced: Vec<_> = silenced
        .iter()
        .map(|one| {
            let until = one.until.map(time);
            json!({ "channel": names[&one.channel], "at": time(one.at), "until": until, "reason": one.reason })
        })
        .collect();
    let (mut banned, mut bans) = (Vec::new(), Vec::new());
    for bar in rooms.bars_on(user, EXPORT_MAX).await? {
        banned.push(
            json!({ "where": name_of(state, &bar.list).await?, "at": time(bar.at), "reason": bar.reason }),
        );
    }
    for bar in rooms.bars(Some(user), None, EXPORT_MAX).await? {
        let person = name_of(state, &bar.user.to_string()).await?;
        bans.push(json!({ "person": person, "at": time(bar.at), "reason": bar.reason }));
    }
    let held: Vec<_> = held
        .iter()
        .map(|one| {
            json!({
                "channel": names[&one.channel],
                "at": time(one.at),
                "text": one.message.text,
                "decision": one.decision,
            })
        })
        .collect();
    let votes: Vec<_> = votes
        .iter()
        .map(|one| {
            json!({ "channel": names[&one.channel], "at": time(one.at), "poll": one.poll, "answer": one.answer })
        })
        .collect();
    let subscriptions: Vec<_> = subscriptions
        .iter()
        .map(
            |one| json!({ "channel": names[&one.channel], "at": time(one.at), "until": one.until.map(time) }),
        )
        .collect();
    Ok(json!({
        "messages": said,
        "sanctions": silenced,
        "held": held,
        "votes": votes,
        "subscriptions": subscriptions,
        "banned_from_all": banned,
        "bans_from_all": bans,
    }))
}

/// What an account is called, if that is one.
async fn name_of(state: &ApiState, id: &str) -> Result<String, ApiError> {
    let user = state.store().get::<User>(id).await?;
    Ok(user.map_or_else(|| id.to_owned(), |user| user.name.to_string()))
}

/// What a person wants of notices, and those that the bell lists.
async fn exported_notices(state: &ApiState, user: UserId) -> Result<serde_json::Value, ApiError> {
    let reader = state.notices().reader(user).await?;
    let listed = state.notices().of(user, None, EXPORT_MAX).await?.items;
    let listed: Vec<_> = listed
        .iter()
        .map(|(notice, channel)| {
            json!({
                "kind": notice.kind,
                "channel": channel.name,
                "title": notice.title,
                "category": notice.category,
                "at": time(notice.at),
                "read": notice.at <= reader.read_at,
            })
        })
        .collect();
    Ok(json!({ "off": reader.off, "read_at": time(reader.read_at), "listed": listed }))
}

/// Sets another password, and ends all other sessions.
#[utoipa::path(post, path = "/api/v1/me/password", operation_id = "changePassword", tag = "Account",
    security(("session" = [])),
    request_body = PasswordChange,
    responses(
        (status = 204, description = "The password is set"),
        FormTaken, SignedIn, JsonBody, WrongPassword, Invalid, Limited, Hashing, Changed,
    ))]
pub(crate) async fn password(
    State(state): State<ApiState>,
    ClientAddress(address): ClientAddress,
    person: Person,
    input: Input<PasswordChange>,
) -> Result<Response, ApiError> {
    let session = person.require_session()?;
    let PasswordChange { current, password } = input.value;
    let user = prove(&state, &person, address, current, "/current").await?;
    check_password(&password, user.name.as_str(), user.email.as_ref())?;
    let hash = state.passwords().hash(password).await?;
    let changes = Changes::new().replace(&user, &User { password: Some(hash), ..user.value.clone() });
    state.store().commit(by_mail::without_resets(&state, user.id, changes).await?).await?;
    state.end_sessions(user.id, Some(session)).await?;
    by_mail::notify(&state, &user, News::PasswordChanged).await;
    Ok(Input::<()>::answer(input.form, "/settings", StatusCode::NO_CONTENT))
}

/// Begins to set up a second factor; it counts once it is confirmed.
#[utoipa::path(post, path = "/api/v1/me/totp", operation_id = "beginSecondFactor", tag = "Account",
    security(("session" = [])),
    responses(
        (status = 201, description = "What the app needs", body = Enrolment),
        SignedIn, HasSecondFactor, Changed,
    ))]
pub(crate) async fn enrol(State(state): State<ApiState>, person: Person) -> Result<Response, ApiError> {
    person.require_session()?;
    let old = state.people().second_factor(person.user).await?;
    let new = SecondFactor::new(person.user);
    let changes = match &old {
        Some(factor) if factor.confirmed => return Err(has_factor().into()),
        Some(factor) => Changes::new().replace(factor, &new),
        None => Changes::new().insert(&new),
    };
    state.store().commit(changes).await?;
    let body =
        Enrolment { secret: new.secret().to_owned(), otpauth_url: new.otpauth_url(person.name.as_str()) };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

/// Confirms the second factor with a code of the app, and gives recovery codes.
#[utoipa::path(post, path = "/api/v1/me/totp/confirm", operation_id = "confirmSecondFactor", tag = "Account",
    security(("session" = [])),
    request_body = Code,
    responses(
        (status = 200, description = "From now on a code is asked for", body = RecoveryCodes),
        SignedIn, JsonBody, Invalid, HasSecondFactor, Limited, Changed,
    ))]
pub(crate) async fn confirm(
    State(state): State<ApiState>,
    ClientAddress(address): ClientAddress,
    person: Person,
    input: Input<Code>,
) -> Result<Response, ApiError> {
    person.require_session()?;
    let now = state.now_ms();
    state.limits().attempt(address, now)?;
    state.limits().code(person.user, now)?;
    let wrong =
        || invalid("/code", "This code is wrong. Check the clock of your phone, and type the newest code.");
    let factor = state.people().second_factor(person.user).await?.ok_or_else(wrong)?;
    if factor.confirmed {
        return Err(has_factor().into());
    }
    let (confirmed, recovery_codes) =
        factor.value.clone().confirm(&input.value.code, now).ok_or_else(wrong)?;
    state.store().commit(Changes::new().replace(&factor, &confirmed)).await?;
    state.limits().code_was_good(person.user);
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(RecoveryCodes { recovery_codes })).into_response())
}

/// Removes the second factor.
#[utoipa::path(delete, path = "/api/v1/me/totp", operation_id = "removeSecondFactor", tag = "Account",
    security(("session" = [])),
    request_body = Proof,
    responses(
        (status = 204, description = "No code is asked for any more"),
        SignedIn, JsonBody, WrongPassword, Limited, Hashing,
    ))]
pub(crate) async fn disable(
    State(state): State<ApiState>,
    ClientAddress(address): ClientAddress,
    person: Person,
    input: Input<Proof>,
) -> Result<StatusCode, ApiError> {
    person.require_session()?;
    let user = prove(&state, &person, address, input.value.password, "/password").await?;
    state.store().commit(Changes::new().delete_id::<SecondFactor>(person.user.to_string())).await?;
    by_mail::notify(&state, &user, News::SecondFactorOff).await;
    Ok(StatusCode::NO_CONTENT)
}

fn has_factor() -> Problem {
    Problem::new(
        StatusCode::CONFLICT,
        "second-factor-exists",
        "Second factor exists",
        "There is a second factor already. Remove it first.",
    )
}

fn wrong_password(pointer: &str) -> Problem {
    let detail = "This is not your password.";
    Problem::new(StatusCode::FORBIDDEN, "wrong-password", "Wrong password", detail)
        .with_error(pointer, detail)
}

async fn me(state: &ApiState, user: User) -> Result<Response, ApiError> {
    let factor = state.people().second_factor(user.id).await?;
    let me = Me::new(user, factor.is_some_and(|factor| factor.confirmed));
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(me)).into_response())
}

/// The account of who asks; it may be gone.
pub(crate) async fn own(state: &ApiState, person: &Person) -> Result<Kept<User>, ApiError> {
    let user = state.people().get(person.user).await?;
    Ok(user.filter(|user| user.banned_at.is_none()).ok_or_else(not_signed_in)?)
}

/// The account of who asks, if this is its password; without one, if a provider has said a moment ago that it is.
async fn prove(
    state: &ApiState,
    person: &Person,
    address: std::net::IpAddr,
    password: Option<String>,
    pointer: &str,
) -> Result<Kept<User>, ApiError> {
    let user = own(state, person).await?;
    let Some(password) = password else {
        return match confirmed_until(state, person).await? {
            Some(_) => Ok(user),
            None => Err(confirm_first().into()),
        };
    };
    state.limits().login(address, user.name.as_str(), state.now_ms())?;
    let long = password.len() > PASSWORD_MAX_BYTES;
    if long || state.passwords().verify(password, user.password.clone()).await? == Verdict::Wrong {
        return Err(wrong_password(pointer).into());
    }
    state.limits().login_was_good(user.name.as_str());
    Ok(user)
}

/// Until when who asks needs no password, because a provider has said who it is; `None` if it does.
pub(super) async fn confirmed_until(state: &ApiState, person: &Person) -> Result<Option<i64>, ApiError> {
    let session = person.require_session()?;
    let lasts = i64::try_from(state.accounts().confirmed_for.as_millis()).unwrap_or(i64::MAX);
    let until = state.sessions().confirmed_at(session).await?.map(|at| at.saturating_add(lasts));
    Ok(until.filter(|until| *until > state.now_ms()))
}

fn confirm_first() -> Problem {
    Problem::new(
        StatusCode::FORBIDDEN,
        "confirm-first",
        "Confirm first",
        "Show that it is you: type your password, or sign in once more with a provider that you have linked.",
    )
}

/// Documents without one of their fields.
fn without<T: Document>(kept: Vec<Kept<T>>, field: &str) -> Vec<serde_json::Value> {
    kept.into_iter()
        .filter_map(|one| serde_json::to_value(one.value).ok())
        .map(|mut value| {
            if let Some(object) = value.as_object_mut() {
                object.remove(field);
            }
            value
        })
        .collect()
}
