//! `/api/v1/users/{name}`, `/api/v1/me/avatar` and the pictures themselves.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use millrace_core::ids::ChannelName;
use millrace_http::problem::Problem;
use millrace_objects::Objects;
use millrace_store::Change;
use serde::Serialize;
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use super::params::{ById, OfPerson};
use super::path::Path;
use super::problems::{NoSuchThing, SignedIn, Stored, problems};
use crate::ApiState;
use crate::accounts::User;
use crate::auth::{Person, not_signed_in};
use crate::error::{ApiError, objects_unavailable};
use crate::picture::{self, PictureError};

/// Pictures that are decoded at once: each takes a core and up to 64 MiB for a moment.
static DECODING: Semaphore = Semaphore::const_new(2);
/// Most bytes of a picture that is shown: 256 by 256 pixels without loss have a quarter of it.
pub(super) const SHOWN_MAX_BYTES: u64 = 1 << 20;
/// A picture has its own address, which never shows another.
pub(super) const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Pictures are pictures, whatever somebody made of them.
pub(super) const NOTHING_ELSE: HeaderValue = HeaderValue::from_static("default-src 'none'");

/// A person as everybody sees them.
#[derive(Debug, Serialize, ToSchema)]
pub struct Profile {
    /// The name.
    #[schema(value_type = String, example = "ada")]
    name: ChannelName,
    /// As it is shown.
    #[schema(example = "Ada L.")]
    display_name: String,
    /// A few words.
    bio: String,
    /// Where the picture is; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/avatars/0198c6d2-0000-7000-8000-000000000000")]
    avatar_url: Option<String>,
}

impl Profile {
    pub(super) fn of(user: &User) -> Self {
        Self {
            name: user.name.clone(),
            display_name: user.display_name.clone(),
            bio: user.bio.clone(),
            avatar_url: avatar_url(user.avatar.as_deref()),
        }
    }
}

/// Where a picture is.
pub(crate) fn avatar_url(avatar: Option<&str>) -> Option<String> {
    avatar.map(|id| format!("/avatars/{id}"))
}

fn no_such_person() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no-such-person",
        "No such person",
        "There is nobody of this name. Check it for typing errors.",
    )
}

/// The account of this name.
pub(super) async fn person_named(state: &ApiState, name: &str) -> Result<User, ApiError> {
    let name: ChannelName = name.parse().map_err(|_| no_such_person())?;
    let found = state.store().find_one::<User>("name", name.as_str()).await?;
    Ok(found.map(|kept| kept.value).ok_or_else(no_such_person)?)
}

problems! {
    /// Names a person.
    NoSuchPerson => [no_such_person()];
    /// The server keeps pictures.
    NoPictures => [no_pictures()];
    /// What keeps them can be away.
    Pictured => [objects_unavailable()];
    /// Takes a picture.
    BadPicture => [picture_too_large("5 MiB"), bad_picture("is no JPEG, PNG or WebP picture")];
}

/// Shows a person.
#[utoipa::path(get, path = "/api/v1/users/{name}", operation_id = "getPerson", tag = "People",
    security(()),
    params(OfPerson),
    responses((status = 200, description = "The person", body = Profile), Stored, NoSuchPerson))]
pub(crate) async fn show(
    State(state): State<ApiState>,
    Path(name): Path<String>,
) -> Result<Json<Profile>, ApiError> {
    Ok(Json(Profile::of(&person_named(&state, &name).await?)))
}

pub(super) fn picture_too_large(most: &str) -> Problem {
    let detail = format!("The picture is larger than {most}. Send a smaller one.");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Too large", detail)
}

pub(super) fn bad_picture(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad-picture", "Bad picture", detail)
}

pub(super) fn no_pictures() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "no-pictures",
        "No pictures",
        "This server keeps no pictures. Its operator has to give it a data folder.",
    )
}

/// Replaces one's picture: JPEG, PNG or WebP, at most 5 MiB and 4096 by 4096 pixels. It is cut to a square of 256.
#[utoipa::path(put, path = "/api/v1/me/avatar", operation_id = "putAvatar", tag = "Account",
    security(("session" = [])),
    request_body(content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "image/webp")),
        description = "The picture"),
    responses(
        (status = 200, description = "The person with the new picture", body = Profile),
        SignedIn, NoPictures, BadPicture, Pictured,
    ))]
pub(crate) async fn put_avatar(
    State(state): State<ApiState>,
    person: Person,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Profile>, ApiError> {
    person.require_session()?;
    let body = body.map_err(|_| picture_too_large("5 MiB"))?;
    let objects = state.studio().objects.as_ref().ok_or_else(no_pictures)?;
    let made = decoded(move || picture::avatar(&body)).await?;
    let id = state.new_id().to_string();
    objects.put(&object(&id), made.into()).await?;
    set(&state, &person, Some(id), objects).await
}

/// Makes a picture anew, beside the requests and few at once.
pub(super) async fn decoded<T: Send + 'static>(
    make: impl FnOnce() -> Result<T, PictureError> + Send + 'static,
) -> Result<T, Problem> {
    let Ok(turn) = DECODING.acquire().await else { return Err(Problem::internal()) };
    let made = tokio::task::spawn_blocking(make).await;
    drop(turn);
    made.map_err(|_| Problem::internal())?.map_err(|error| bad_picture(error.to_string()))
}

/// Removes one's picture.
#[utoipa::path(delete, path = "/api/v1/me/avatar", operation_id = "deleteAvatar", tag = "Account",
    security(("session" = [])),
    responses(
        (status = 200, description = "The person without a picture", body = Profile),
        SignedIn, NoPictures,
    ))]
pub(crate) async fn delete_avatar(
    State(state): State<ApiState>,
    person: Person,
) -> Result<Json<Profile>, ApiError> {
    person.require_session()?;
    let objects = state.studio().objects.as_ref().ok_or_else(no_pictures)?;
    set(&state, &person, None, objects).await
}

/// Names the picture in the account, and removes the one before.
async fn set(
    state: &ApiState,
    person: &Person,
    avatar: Option<String>,
    objects: &Objects,
) -> Result<Json<Profile>, ApiError> {
    let before = std::sync::Mutex::new(None);
    let change = |mut user: User| {
        *before.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = user.avatar.take();
        user.avatar.clone_from(&avatar);
        Change::<_, std::convert::Infallible>::To(user)
    };
    let user = match state.store().update(&person.user.to_string(), change).await {
        Ok(Some(Ok(user))) => user,
        other => {
            remove(objects, avatar).await;
            return Err(other.map_or_else(ApiError::from, |_| not_signed_in().into()));
        }
    };
    remove(objects, before.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)).await;
    Ok(Json(Profile::of(&user)))
}

async fn remove(objects: &Objects, avatar: Option<String>) {
    let Some(avatar) = avatar.filter(|id| is_picture(id)) else { return };
    if let Err(error) = objects.delete(&object(&avatar)).await {
        tracing::warn!(err = %error, picture = %avatar, "cannot remove a picture that nobody needs any more");
    }
}

/// Removes the picture of an account that is gone.
pub(super) async fn remove_picture(state: &ApiState, avatar: Option<String>) {
    if let Some(objects) = &state.studio().objects {
        remove(objects, avatar).await;
    }
}

/// The object of a picture.
fn object(id: &str) -> String {
    format!("avatars/{id}")
}

/// Whether it names a picture: with an id and nothing else.
pub(super) fn is_picture(id: &str) -> bool {
    uuid::Uuid::parse_str(id).is_ok_and(|parsed| parsed.to_string() == id)
}

/// A picture. Its address never shows another one, so it may be kept for ever.
#[utoipa::path(get, path = "/avatars/{id}", operation_id = "getAvatar", tag = "People",
    security(()),
    params(ById),
    responses(
        (status = 200, description = "256 by 256 pixels", body = Vec<u8>, content_type = "image/webp"),
        NoSuchThing, Pictured,
    ))]
pub(crate) async fn avatar(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let objects = state.studio().objects.as_ref().filter(|_| is_picture(&id));
    let objects = objects.ok_or_else(Problem::not_found)?;
    let picture = objects.get(&object(&id), SHOWN_MAX_BYTES).await?.ok_or_else(Problem::not_found)?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/webp")),
        (header::CACHE_CONTROL, FOR_EVER),
        (header::CONTENT_SECURITY_POLICY, NOTHING_ELSE),
    ];
    Ok((headers, picture).into_response())
}
