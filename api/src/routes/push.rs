//! `/api/v1/me/push…`: the browsers that notices are pushed to.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use millrace_core::ids::SessionId;
use millrace_http::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::lists::time;
use super::path::Path;
use super::problems::{Changed, Invalid, JsonBody, Limited, SignedIn, Stored, problems};
use crate::ApiState;
use crate::auth::limits::ClientAddress;
use crate::auth::sessions::device;
use crate::auth::{Input, Person, invalid};
use crate::error::ApiError;
use crate::notices::NoticesConfig;
use crate::outgoing::address;
use crate::push::encrypt::{Recipient, RecipientError};
use crate::push::{Device, Subscription};

/// Where notices are pushed.
#[derive(Debug, Serialize, ToSchema)]
pub struct PushView {
    /// What browsers subscribe with (`applicationServerKey`); absent where this site does not push.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(
        example = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
    )]
    public_key: Option<String>,
    /// The browsers, newest first. A new one makes the oldest go when there are too many.
    devices: Vec<PushDevice>,
}

/// A browser that notices are pushed to.
#[derive(Debug, Serialize, ToSchema)]
pub struct PushDevice {
    /// Names it.
    #[schema(example = "3a7bd3e2360a3d29eea436fcfb7e44c735d117c42d1c1835420b6b9942dd4f1b")]
    id: String,
    /// The browser, in a few words.
    #[schema(example = "Firefox on Linux")]
    name: String,
    /// Since when.
    #[schema(value_type = String, format = "date-time")]
    created_at: Timestamp,
    /// Whether it is the one that asks.
    current: bool,
}

/// What a browser's `PushSubscription` says.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPushDevice {
    /// Where its push service takes messages: an https address on the public internet.
    #[schema(example = "https://updates.push.services.mozilla.com/wpush/v2/gAAA", max_length = 1024)]
    endpoint: String,
    /// Its keys.
    keys: PushKeys,
}

/// The keys of a subscription, base64url.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushKeys {
    /// A point of P-256.
    #[schema(
        example = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        max_length = 100
    )]
    p256dh: String,
    /// 16 bytes.
    #[schema(example = "BTBZMqHH6r4Tts7J_aSIgg", max_length = 30)]
    auth: String,
}

/// The subscription that a browser made in the place of one that it ended.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushRenewal {
    /// The endpoint of the one that it had.
    #[schema(example = "https://updates.push.services.mozilla.com/wpush/v2/gAAA", max_length = 1024)]
    replaces: String,
    /// Where its push service takes messages now: an https address on the public internet.
    #[schema(example = "https://updates.push.services.mozilla.com/wpush/v2/gBBB", max_length = 1024)]
    endpoint: String,
    /// What messages are encrypted with.
    keys: PushKeys,
}

impl PushDevice {
    fn of(device: &Device, current: SessionId) -> Self {
        Self {
            id: device.id.clone(),
            name: device.name.clone(),
            created_at: time(device.created_at),
            current: device.session == current,
        }
    }
}

fn private(answer: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], answer).into_response()
}

problems! {
    /// Where this site pushes.
    NoPush => [no_push()];
    /// Names a browser of one's own.
    NoSuchDevice => [no_such_device()];
}

fn no_push() -> Problem {
    let detail = "This site does not push notices. Look behind the bell instead.";
    Problem::new(StatusCode::CONFLICT, "no-push", "No push", detail)
}

fn no_such_device() -> Problem {
    let detail = "There is no such browser of yours, or it was removed already.";
    Problem::new(StatusCode::NOT_FOUND, "no-such-device", "No such device", detail)
}

/// Shows the browsers that notices are pushed to, and the key to subscribe with.
#[utoipa::path(get, path = "/api/v1/me/push", operation_id = "listPushDevices", tag = "Notices",
    security(("session" = [])),
    responses((status = 200, description = "They", body = PushView), SignedIn))]
pub(crate) async fn show(State(state): State<ApiState>, person: Person) -> Result<Response, ApiError> {
    let session = person.require_session()?;
    let devices = state.push().devices().of(person.user).await?;
    let public_key = state.notices().config().push.then(|| state.push().vapid().public().to_owned());
    let devices = devices.iter().map(|kept| PushDevice::of(kept, session)).collect();
    Ok(private(Json(PushView { public_key, devices })))
}

/// Pushes notices to this browser from now on, until it is signed out; harmless if that is so.
#[utoipa::path(put, path = "/api/v1/me/push/devices", operation_id = "addPushDevice", tag = "Notices",
    security(("session" = [])),
    request_body = NewPushDevice,
    responses((status = 200, description = "The browser", body = PushDevice), SignedIn, JsonBody, Invalid, NoPush))]
pub(crate) async fn subscribe(
    State(state): State<ApiState>,
    person: Person,
    headers: HeaderMap,
    Input { value: new, .. }: Input<NewPushDevice>,
) -> Result<Response, ApiError> {
    let session = person.require_session()?;
    let config = state.notices().config();
    if !config.push {
        return Err(no_push().into());
    }
    check(&new.endpoint, &new.keys, config)?;
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let device = Device {
        id: Device::id_of(&new.endpoint),
        user: person.user,
        session,
        endpoint: new.endpoint,
        p256dh: new.keys.p256dh,
        auth: new.keys.auth,
        name: device(agent),
        created_at: state.now_ms(),
        failures: 0,
    };
    let kept = state.push().devices().put(&device, config.max_devices).await?;
    Ok(private(Json(PushDevice::of(&kept, session))))
}

/// Refuses what no push service gave.
fn check(endpoint: &str, keys: &PushKeys, config: &NoticesConfig) -> Result<(), Problem> {
    if let Err(reason) = address::endpoint(endpoint, config.push_private_services) {
        return Err(invalid("/endpoint", format!("This {reason}. Take what the browser gave.")));
    }
    Recipient::parse(&keys.p256dh, &keys.auth).map(drop).map_err(|wrong| match wrong {
        RecipientError::Point => {
            invalid("/keys/p256dh", "This is no uncompressed point of P-256 in base64url.")
        }
        RecipientError::Auth => invalid("/keys/auth", "This is not 16 bytes in base64url."),
    })
}

/// Takes the subscription that a browser made in the place of one that it ended. Browsers do so while no page is open, where
/// nobody is signed in: who knows the endpoint of the old one is that browser.
#[utoipa::path(post, path = "/api/v1/push/renewals", operation_id = "renewPushDevice", tag = "Notices",
    security(()),
    request_body = PushRenewal,
    responses(
        (status = 204, description = "Notices go there now"),
        JsonBody, Invalid, Limited, NoPush, NoSuchDevice, Changed, Stored,
    ))]
pub(crate) async fn renew(
    State(state): State<ApiState>,
    ClientAddress(address): ClientAddress,
    Input { value: renewal, .. }: Input<PushRenewal>,
) -> Result<StatusCode, ApiError> {
    state.limits().link(address, state.now_ms())?;
    let config = state.notices().config();
    if !config.push {
        return Err(no_push().into());
    }
    check(&renewal.endpoint, &renewal.keys, config)?;
    let PushRenewal { replaces, endpoint, keys: PushKeys { p256dh, auth } } = renewal;
    let new = Subscription { endpoint, p256dh, auth };
    state.push().devices().renew(&replaces, &new).await?.ok_or_else(no_such_device)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Pushes no more notices to a browser.
#[utoipa::path(delete, path = "/api/v1/me/push/devices/{id}", operation_id = "removePushDevice", tag = "Notices",
    security(("session" = [])),
    params(("id" = String, Path, description = "Of the browser", pattern = "^[0-9a-f]{64}$")),
    responses((status = 204, description = "It gets no more"), SignedIn, NoSuchDevice))]
pub(crate) async fn unsubscribe(
    State(state): State<ApiState>,
    person: Person,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    person.require_session()?;
    let devices = state.push().devices();
    // Ids are 64 characters long: nothing longer is asked for.
    let found = if id.len() <= 64 { devices.get(&id).await? } else { None };
    let device = found.filter(|device| device.user == person.user).ok_or_else(no_such_device)?;
    devices.remove(&device.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
#[path = "push_tests.rs"]
mod tests;
