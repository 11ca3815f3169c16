//! `/api/v1/channels/{name}/chat/emotes`, `/api/v1/admin/emotes` and the pictures themselves.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use millrace_core::chat::Emote;
use millrace_core::event::EventBody;
use millrace_core::ids::ChannelId;
use millrace_http::problem::Problem;
use millrace_objects::Objects;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{Told, note, read_by, rooms, tell};
use crate::ApiState;
use crate::auth::audit::Audit;
use crate::auth::secret::sha256;
use crate::auth::{Person, Scope};
use crate::chat::emotes::{Put, SITE};
use crate::error::ApiError;
use crate::picture::{self, Made};
use crate::routes::channels::{Standing, with_standing};
use crate::routes::lists::limit_reached;
use crate::routes::params::{ById, OfChannel};
use crate::routes::path::Path;
use crate::routes::problems::{
    Anyone, LimitReached, MayBeRefused, NoSuchChannel, NoSuchThing, SignedIn, problems,
};
use crate::routes::profile::{
    FOR_EVER, NOTHING_ELSE, NoPictures, Pictured, SHOWN_MAX_BYTES, bad_picture, decoded, is_picture,
    no_pictures, picture_too_large,
};

/// May be kept, and is asked about each time: the answer is short when it is still so.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("private, no-cache");

/// An emote.
#[derive(Debug, Serialize, ToSchema)]
pub struct EmoteView {
    /// Said as `:name:`.
    #[schema(example = "Boat", pattern = "^[a-zA-Z0-9_]{2,32}$")]
    name: String,
    /// The picture, at most 336 by 112 pixels. Another picture has another address.
    #[schema(example = "/emotes/0198c6d2-0000-7000-8000-000000000000")]
    url: String,
    /// Whether it moves.
    animated: bool,
}

/// The emotes of a room.
#[derive(Debug, Serialize, ToSchema)]
pub struct Emotes {
    /// The channel's own. They hold before those of the site.
    channel: Vec<EmoteView>,
    /// Those that every room has.
    site: Vec<EmoteView>,
}

/// Which emote.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct AndEmote {
    /// Its name.
    #[param(example = "Boat", pattern = "^[a-zA-Z0-9_]{2,32}$")]
    #[expect(dead_code, reason = "only described")]
    emote: String,
}

problems! {
    /// Names an emote.
    NoEmote => [no_emote()];
    /// Takes a picture for an emote.
    BadEmote => [picture_too_large("5 MiB"), bad_picture("This is no picture that can be read. Send PNG, WebP or GIF.")];
}

fn no_emote() -> Problem {
    let detail = "An emote is called by 2 to 32 of a-z, A-Z, 0-9 and _. Call it so.";
    Problem::new(StatusCode::NOT_FOUND, "no-such-emote", "No such emote", detail)
}

fn views(emotes: &[Emote]) -> Vec<EmoteView> {
    let view = |Emote { name, picture, animated }: &Emote| EmoteView {
        name: name.clone(),
        url: format!("/emotes/{picture}"),
        animated: *animated,
    };
    emotes.iter().map(view).collect()
}

/// Lists the emotes of a room: the channel's own and those of the site.
#[utoipa::path(get, path = "/api/v1/channels/{name}/chat/emotes", operation_id = "listEmotes", tag = "Chat",
    security((), ("session" = []), ("token" = [])),
    params(OfChannel),
    responses(
        (status = 200, description = "All of them", body = Emotes),
        (status = 304, description = "Those of the `ETag` that was sent as `If-None-Match`"),
        Anyone, NoSuchChannel, MayBeRefused,
    ))]
pub(crate) async fn list(
    State(state): State<ApiState>,
    person: Option<Person>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (channel, _) = read_by(&state, person.as_ref(), &name).await?;
    let rooms = rooms(&state);
    let (own, site) = (rooms.state(channel.id).await?.emotes, rooms.site_emotes().await?);
    let tag = etag(&own, &site);
    let kept = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, ASK_AGAIN)];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|sent| *sent == tag) {
        return Ok((StatusCode::NOT_MODIFIED, kept).into_response());
    }
    Ok((kept, Json(Emotes { channel: views(&own), site: views(&site) })).into_response())
}

/// The same for the same emotes, and no other.
fn etag(own: &[Emote], site: &[Emote]) -> HeaderValue {
    let mut told = Vec::new();
    for (place, emotes) in [(b'c', own), (b's', site)] {
        for emote in emotes {
            told.push(place);
            told.extend(emote.picture.as_bytes());
            told.extend(emote.name.as_bytes());
        }
    }
    let hash = sha256(&told);
    let hex = &hash[..24];
    HeaderValue::try_from(format!("\"{hex}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Adds an emote to a channel, or gives it another picture: PNG, WebP or GIF, made at most 336 by 112 pixels. For the owner
/// of the channel.
#[utoipa::path(put, path = "/api/v1/channels/{name}/chat/emotes/{emote}", operation_id = "putEmote", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, AndEmote),
    request_body(content((Vec<u8> = "image/png"), (Vec<u8> = "image/webp"), (Vec<u8> = "image/gif")),
        description = "The picture"),
    responses(
        (status = 200, description = "The channel's emotes", body = [EmoteView]),
        SignedIn, NoSuchChannel, NoEmote, NoPictures, BadEmote, LimitReached, Pictured, Told,
    ))]
pub(crate) async fn put(
    State(state): State<ApiState>,
    person: Person,
    Path((name, emote)): Path<(String, String)>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let channel = with_standing(&state, &person, &name, Standing::Owner, Scope::Chat).await?;
    let max = state.studio().config.max_emotes;
    let room = match add(&state, channel.id, &emote, body, max).await? {
        Some(room) => room,
        None => return Err(limit_reached("emotes of this channel", max).into()),
    };
    note(&state, &person, &channel, ("chat.emote", emote, "")).await?;
    let views = views(&room.emotes);
    tell(&state, &channel, EventBody::RoomUpdated(room)).await?;
    Ok(Json(views).into_response())
}

/// Takes an emote of a channel away; harmless if there is none. For the owner of the channel.
#[utoipa::path(delete, path = "/api/v1/channels/{name}/chat/emotes/{emote}", operation_id = "deleteEmote", tag = "Chat",
    security(("session" = []), ("token" = ["chat"])),
    params(OfChannel, AndEmote),
    responses((status = 204, description = "There is none"), SignedIn, NoSuchChannel, NoEmote, Told))]
pub(crate) async fn delete(
    State(state): State<ApiState>,
    person: Person,
    Path((name, emote)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let channel = with_standing(&state, &person, &name, Standing::Owner, Scope::Chat).await?;
    if let Some((room, gone)) = rooms(&state).remove_emote(channel.id, named(&emote)?).await? {
        note(&state, &person, &channel, ("chat.unemote", emote, "")).await?;
        tell(&state, &channel, EventBody::RoomUpdated(Box::new(room))).await?;
        remove_pictures(&state, &[gone]).await;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Lists the emotes that every room of the site has.
#[utoipa::path(get, path = "/api/v1/admin/emotes", operation_id = "listSiteEmotes", tag = "Administration",
    security(("session" = []), ("token" = ["admin"])),
    responses((status = 200, description = "All of them", body = [EmoteView]), SignedIn))]
pub(crate) async fn list_site(State(state): State<ApiState>, person: Person) -> Result<Response, ApiError> {
    person.require_admin()?;
    let kept = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((kept, Json(views(&rooms(&state).site_emotes().await?))).into_response())
}

/// Adds an emote to every room of the site, or gives it another picture: PNG, WebP or GIF.
#[utoipa::path(put, path = "/api/v1/admin/emotes/{emote}", operation_id = "putSiteEmote", tag = "Administration",
    security(("session" = []), ("token" = ["admin"])),
    params(AndEmote),
    request_body(content((Vec<u8> = "image/png"), (Vec<u8> = "image/webp"), (Vec<u8> = "image/gif")),
        description = "The picture"),
    responses(
        (status = 200, description = "The emotes of the site", body = [EmoteView]),
        SignedIn, NoEmote, NoPictures, BadEmote, LimitReached, Pictured,
    ))]
pub(crate) async fn put_site(
    State(state): State<ApiState>,
    person: Person,
    Path(emote): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    person.require_admin()?;
    let max = state.site_config().max_emotes;
    let room = match add(&state, SITE, &emote, body, max).await? {
        Some(room) => room,
        None => return Err(limit_reached("emotes of this site", max).into()),
    };
    note_site(&state, &person, "site.emote", emote).await?;
    Ok(Json(views(&room.emotes)).into_response())
}

/// Takes an emote away from every room of the site; harmless if there is none.
#[utoipa::path(delete, path = "/api/v1/admin/emotes/{emote}", operation_id = "deleteSiteEmote", tag = "Administration",
    security(("session" = []), ("token" = ["admin"])),
    params(AndEmote),
    responses((status = 204, description = "There is none"), SignedIn, NoEmote))]
pub(crate) async fn delete_site(
    State(state): State<ApiState>,
    person: Person,
    Path(emote): Path<String>,
) -> Result<StatusCode, ApiError> {
    person.require_admin()?;
    if let Some((_, gone)) = rooms(&state).remove_emote(SITE, named(&emote)?).await? {
        note_site(&state, &person, "site.unemote", emote).await?;
        remove_pictures(&state, &[gone]).await;
    }
    Ok(StatusCode::NO_CONTENT)
}

fn named(name: &str) -> Result<&str, Problem> {
    if Emote::is_name(name) { Ok(name) } else { Err(no_emote()) }
}

async fn note_site(state: &ApiState, person: &Person, action: &str, target: String) -> Result<(), ApiError> {
    let entry = Audit {
        id: state.new_id(),
        at: state.now_ms(),
        by: Some(person.user),
        action: action.to_owned(),
        target,
        detail: String::new(),
        scope: "site".to_owned(),
    };
    Ok(state.store().insert(&entry).await?)
}

/// Keeps the picture, then the emote; `None` if there are as many as may be.
async fn add(
    state: &ApiState,
    of: ChannelId,
    name: &str,
    body: Result<Bytes, BytesRejection>,
    max: usize,
) -> Result<Option<Box<millrace_core::chat::RoomUpdated>>, ApiError> {
    let name = named(name)?.to_owned();
    let body = body.map_err(|_| picture_too_large("5 MiB"))?;
    let most = state.studio().config.max_emote_kib * 1024;
    if body.len() > most {
        return Err(picture_too_large(&format!("{} KiB", most / 1024)).into());
    }
    let objects = state.studio().objects.as_ref().ok_or_else(no_pictures)?;
    let Made { bytes, animated } = decoded(move || picture::emote(&body)).await?;
    let emote = Emote { name, picture: state.new_id(), animated };
    objects.put(&object(&emote.picture.to_string()), bytes.into()).await?;
    match rooms(state).put_emote(of, &emote, max).await {
        Ok(Put::There(room, before)) => {
            remove_pictures(state, before.as_slice()).await;
            Ok(Some(room))
        }
        refused => {
            remove(objects, &emote).await;
            refused.map(|_| None).map_err(Into::into)
        }
    }
}

/// Removes pictures that nobody shows any more.
pub(crate) async fn remove_pictures(state: &ApiState, emotes: &[Emote]) {
    if let Some(objects) = &state.studio().objects {
        for emote in emotes {
            remove(objects, emote).await;
        }
    }
}

async fn remove(objects: &Objects, emote: &Emote) {
    if let Err(error) = objects.delete(&object(&emote.picture.to_string())).await {
        tracing::warn!(err = %error, picture = %emote.picture, "cannot remove the picture of an emote that is gone");
    }
}

fn object(id: &str) -> String {
    format!("emotes/{id}")
}

/// The picture of an emote. Its address never shows another one, so it may be kept for ever.
#[utoipa::path(get, path = "/emotes/{id}", operation_id = "getEmote", tag = "Chat",
    security(()),
    params(ById),
    responses(
        (status = 200, description = "At most 336 by 112 pixels; GIF if it moves", body = Vec<u8>, content_type = "image/webp"),
        NoSuchThing, Pictured,
    ))]
pub(crate) async fn picture(
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let objects = state.studio().objects.as_ref().filter(|_| is_picture(&id));
    let objects = objects.ok_or_else(Problem::not_found)?;
    let bytes = objects.get(&object(&id), SHOWN_MAX_BYTES).await?.ok_or_else(Problem::not_found)?;
    let kind = if bytes.starts_with(b"GIF8") { "image/gif" } else { "image/webp" };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, FOR_EVER),
        (header::CONTENT_SECURITY_POLICY, NOTHING_ELSE),
    ];
    Ok((headers, bytes).into_response())
}
