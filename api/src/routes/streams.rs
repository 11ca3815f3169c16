//! `/api/v1/streams`: the live broadcasts.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use millrace_core::ids::{BroadcastId, ChannelName};
use millrace_http::problem::Problem;
use serde::Serialize;
use utoipa::ToSchema;

use super::channels::may_watch;
use super::lists::{Asked, bad_parameter};
use super::params::Paging;
use super::path::Path;
use super::problems::{Anyone, Paged, problems};
use super::profile::avatar_url;
use crate::ApiState;
use crate::accounts::Playback;
use crate::auth::Person;
use crate::browse::{self, Filter, Place, Sort};
use crate::directory::LiveStream;
use crate::error::ApiError;
use crate::studio::Card;

/// How long a directory answer may be kept: one second, like the multivariant playlist.
const CACHE_ONE_SECOND: HeaderValue = HeaderValue::from_static("public, max-age=1");

/// A live broadcast.
#[derive(Debug, Serialize, ToSchema)]
pub struct Stream {
    /// The channel's name, `[a-z0-9_]{3,25}`.
    #[schema(value_type = String, example = "studio")]
    channel: ChannelName,
    /// Id of the broadcast (UUIDv7).
    #[schema(value_type = String, format = "uuid")]
    broadcast: BroadcastId,
    /// What it is about; empty if not said.
    title: String,
    /// Empty for none.
    category: String,
    /// In lower case.
    tags: Vec<String>,
    /// BCP 47; empty if not said.
    language: String,
    /// Whose channel it is; absent where channels have no records.
    #[serde(skip_serializing_if = "Option::is_none")]
    streamer: Option<Streamer>,
    /// Whether media arrives right now.
    state: StreamState,
    /// When the first media arrived.
    #[schema(value_type = String, format = "date-time")]
    started_at: Timestamp,
    /// While `interrupted`: when the broadcast ends unless its publisher comes back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    interrupted_until: Option<Timestamp>,
    /// Viewers, approximately.
    viewers: u64,
    /// Name and version of the encoder, if it told.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoder: Option<String>,
    /// Where to play it: an HLS multivariant playlist.
    #[schema(example = "/live/studio/index.m3u8")]
    playback_url: String,
    /// When that address stops working; absent where everybody may watch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    playback_expires_at: Option<Timestamp>,
    /// Where the newest thumbnail is, a JPEG of at most 640 x 640 pixels; another picture has another address. `thumb.webp`,
    /// and `thumb-320`, `thumb-640` and `thumb-1280` of both formats, are beside it. Stops working as `playback_url` does.
    /// Absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/live/studio/thumb.jpg?v=1795233660")]
    thumbnail_url: Option<String>,
    /// Where its storyboard is, a WebVTT file whose cues name parts of pictures by `#xywh=`, with times from the beginning of the
    /// broadcast; with `?format=webp` they are WebP. Stops working as `playback_url` does. Absent until there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/live/studio/storyboard.vtt")]
    storyboard_url: Option<String>,
    /// What is measured of it.
    health: Health,
}

/// Whose channel it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Streamer {
    /// The person's name.
    #[schema(value_type = String, example = "ada")]
    name: ChannelName,
    /// As it is shown.
    display_name: String,
    /// Where the picture is; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar_url: Option<String>,
}

/// Whether media arrives.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StreamState {
    /// Media arrives.
    Live,
    /// The publisher is away; the broadcast waits for it.
    Interrupted,
}

/// What is measured of a broadcast. What is not known yet is absent.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// The video.
    #[serde(skip_serializing_if = "Option::is_none")]
    video: Option<Video>,
    /// The audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    audio: Option<Audio>,
    /// Bits per second of audio and video over the last ten seconds.
    bitrate: u64,
    /// What the streamer should change.
    warnings: Vec<Warning>,
}

/// What is measured of the video.
#[derive(Debug, Serialize, ToSchema)]
pub struct Video {
    /// RFC 6381 codec string.
    #[schema(example = "avc1.64001f")]
    codec: String,
    /// Pixels.
    width: u32,
    /// Pixels.
    height: u32,
    /// Frames per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_rate: Option<f64>,
    /// Seconds between the last two keyframes.
    #[serde(skip_serializing_if = "Option::is_none")]
    keyframe_interval: Option<f64>,
    /// Bits per second over the last ten seconds.
    bitrate: u64,
    /// Whether the encoder uses B-frames.
    b_frames: bool,
}

/// What is measured of the audio.
#[derive(Debug, Serialize, ToSchema)]
pub struct Audio {
    /// RFC 6381 codec string.
    #[schema(example = "mp4a.40.2")]
    codec: String,
    /// Samples per second.
    sample_rate: u32,
    /// Channels.
    channels: u8,
    /// Bits per second over the last ten seconds.
    bitrate: u64,
}

/// Something the streamer should change.
#[derive(Debug, Serialize, ToSchema)]
pub struct Warning {
    /// Stable name.
    #[schema(example = "keyframe_interval_long")]
    code: String,
    /// For the person.
    sentence: String,
}

/// A page of broadcasts, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct StreamPage {
    /// The broadcasts.
    items: Vec<Stream>,
    /// Give this as `cursor` to get the next page; null on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// An error (RFC 9457), `application/problem+json`.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only describes what millrace_http::problem writes")]
pub struct ProblemDocument {
    /// Stable name of the kind of error: `/problems/…`.
    r#type: String,
    /// The same for every occurrence.
    title: String,
    /// The HTTP status.
    status: u16,
    /// For the person.
    detail: String,
    /// What is wrong with single fields.
    errors: Option<Vec<FieldProblemDocument>>,
}

/// What is wrong with one field.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only describes what millrace_http::problem writes")]
pub struct FieldProblemDocument {
    /// JSON pointer into the body, or the query parameter.
    pointer: String,
    /// For the person.
    detail: String,
}

problems! {
    /// While it is live.
    NotLive => [not_live()];
}

/// Which broadcasts, in which order.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes what the handler reads")]
pub(crate) struct StreamQuery {
    /// `newest` first, also if absent, or those with most `viewers`.
    #[param(inline)]
    sort: Option<StreamSort>,
    /// Only of this category.
    #[param(max_length = 100, example = "Crafts")]
    category: Option<String>,
    /// Only in this language; `pt` finds `pt-BR` too.
    #[param(max_length = 100, example = "en")]
    language: Option<String>,
    /// Only with this tag.
    #[param(max_length = 100, example = "wood")]
    tag: Option<String>,
}

/// The order of broadcasts.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
#[expect(dead_code, reason = "only describes what the handler reads")]
pub(crate) enum StreamSort {
    Newest,
    Viewers,
}

/// Lists the public live broadcasts.
#[utoipa::path(get, path = "/api/v1/streams", operation_id = "listStreams", tag = "Live",
    security(()),
    params(StreamQuery, Paging),
    responses((status = 200, description = "A page of live broadcasts", body = StreamPage), Paged))]
pub(crate) async fn list(State(state): State<ApiState>, uri: Uri) -> Result<Response, Problem> {
    let asked = Asked::parse(&uri)?;
    let sort = match asked.text("sort")? {
        None | Some("newest") => Sort::Newest,
        Some("viewers") => Sort::Viewers,
        Some(_) => return Err(bad_parameter("sort", "is newest or viewers")),
    };
    let wanted = |name| Ok::<_, Problem>(asked.text(name)?.map(str::to_owned));
    let filter = Filter { category: wanted("category")?, language: wanted("language")?, tag: wanted("tag")? };
    let after = match &asked.after {
        None => None,
        Some(after) => {
            let place = after.value.as_u64().zip(after.id.parse().ok());
            let (viewers, id) =
                place.ok_or_else(|| bad_parameter("cursor", "is next_cursor of the page before"))?;
            Some(Place { viewers, broadcast: BroadcastId(id) })
        }
    };
    let studio = state.studio();
    let (listed, next) = state.with_directory(|directory| {
        browse::page(directory, |channel| studio.card(channel), &filter, sort, after, asked.limit)
    });
    let next_cursor = next.map(|place| format!("{}.{}", place.viewers, place.broadcast));
    let items = listed.into_iter().map(|(stream, card)| Stream::new(&state, stream, &card)).collect();
    let page = StreamPage { items, next_cursor };
    Ok(([(header::CACHE_CONTROL, CACHE_ONE_SECOND)], Json(page)).into_response())
}

/// Shows the live broadcast of a channel to those who may watch it.
#[utoipa::path(get, path = "/api/v1/streams/{channel}", operation_id = "getStream", tag = "Live",
    security((), ("session" = []), ("token" = [])),
    params(("channel" = String, Path, description = "The channel's name", example = "studio", pattern = "^[a-z0-9_]{3,25}$")),
    responses((status = 200, description = "The channel is live", body = Stream), Anyone, NotLive))]
pub(crate) async fn show(
    State(state): State<ApiState>,
    person: Option<Person>,
    Path(channel): Path<String>,
) -> Result<Response, ApiError> {
    let stream = channel
        .parse()
        .ok()
        .and_then(|channel: ChannelName| state.with_directory(|directory| directory.get(&channel).cloned()))
        .ok_or_else(not_live)?;
    let studio = state.studio();
    let card = studio.card(&stream.channel).ok_or_else(not_live)?;
    if matches!(card.playback, Playback::Public | Playback::Unlisted) {
        let stream = Stream::new(&state, stream, &card);
        return Ok(([(header::CACHE_CONTROL, CACHE_ONE_SECOND)], Json(stream)).into_response());
    }
    let channel = studio.channels.named(&stream.channel).await?.ok_or_else(not_live)?;
    if !may_watch(&state, person.as_ref(), &channel).await? {
        return Err(not_live().into());
    }
    let nobody_else = HeaderValue::from_static("no-store");
    Ok(([(header::CACHE_CONTROL, nobody_else)], Json(Stream::new(&state, stream, &card))).into_response())
}

pub(super) fn not_live() -> Problem {
    Problem::new(
        StatusCode::NOT_FOUND,
        "channel-not-live",
        "Channel not live",
        "This channel is not broadcasting right now. Ask again in a moment.",
    )
    .with_header(header::CACHE_CONTROL, CACHE_ONE_SECOND)
    .with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

impl Stream {
    /// With what is known of its channel so far, for somebody who may watch it as `playback` says.
    pub(super) fn of(state: &ApiState, stream: LiveStream, playback: Playback) -> Self {
        let card = state.studio().card(&stream.channel);
        let card = card.map_or_else(Card::without_record, Arc::unwrap_or_clone);
        Self::new(state, stream, &Card { playback, ..card })
    }

    /// For somebody who may watch it.
    fn new(state: &ApiState, stream: LiveStream, card: &Card) -> Self {
        let health = stream.health;
        let link = state.playback().link(&stream.channel, card.playback.access(), state.now_ms());
        Self {
            title: card.title.clone(),
            category: card.category.clone(),
            tags: card.tags.clone(),
            language: card.language.clone(),
            streamer: card.owner.as_ref().map(|owner| Streamer {
                name: owner.name.clone(),
                display_name: owner.display_name.clone(),
                avatar_url: avatar_url(owner.avatar.as_deref()),
            }),
            state: if stream.interrupted_until.is_some() {
                StreamState::Interrupted
            } else {
                StreamState::Live
            },
            thumbnail_url: stream.thumbnail_at.and_then(|made_at| link.thumbnail(made_at)),
            storyboard_url: stream.has_storyboard.then(|| link.storyboard()).flatten(),
            playback_url: link.url,
            playback_expires_at: link.expires_at,
            channel: stream.channel,
            broadcast: stream.broadcast,
            started_at: stream.started_at,
            interrupted_until: stream.interrupted_until,
            viewers: stream.viewers,
            encoder: stream.encoder,
            health: Health {
                video: health.video.map(|video| Video {
                    codec: video.codec,
                    width: video.width,
                    height: video.height,
                    frame_rate: video.frame_rate,
                    keyframe_interval: video.keyframe_interval,
                    bitrate: video.bitrate,
                    b_frames: video.b_frames,
                }),
                audio: health.audio.map(|audio| Audio {
                    codec: audio.codec,
                    sample_rate: audio.sample_rate,
                    channels: audio.channels,
                    bitrate: audio.bitrate,
                }),
                bitrate: health.bitrate,
                warnings: health
                    .warnings
                    .into_iter()
                    .map(|warning| Warning { code: warning.code, sentence: warning.sentence })
                    .collect(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::{started, thumbnail};
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use millrace_core::bus::Bus;
    use millrace_core::bus::{Topic, memory::MemoryBus};
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    async fn ask(state: &ApiState, uri: &str) -> (StatusCode, serde_json::Value) {
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let response = crate::router(state.clone()).oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn with_streams(count: u128) -> ApiState {
        let state = ApiState::for_tests().await;
        let bus = MemoryBus::new();
        let follow = state.follow(bus.as_ref(), CancellationToken::new());
        let show = crate::studio::show(&state, bus.as_ref(), CancellationToken::new());
        for number in 1..=count {
            bus.publish(Topic::Streams, started(&format!("channel_{number}"), number)).await.unwrap();
        }
        bus.publish(Topic::Streams, thumbnail("channel_2", 2, true)).await.unwrap();
        bus.publish(Topic::Streams, thumbnail("channel_1", 1, false)).await.unwrap();
        drop(bus);
        futures_util::future::join(follow, show).await;
        state
    }

    #[tokio::test]
    async fn the_list_pages_through_what_the_bus_said_is_live() {
        let state = with_streams(3).await;
        let (status, page) = ask(&state, "/api/v1/streams?limit=2").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(page["items"][0]["channel"], "channel_3");
        assert_eq!(page["items"][0]["state"], "live");
        assert_eq!(page["items"][0]["playback_url"], "/live/channel_3/index.m3u8");
        assert_eq!(page["items"][0]["thumbnail_url"], serde_json::Value::Null);
        assert_eq!(page["items"][1]["thumbnail_url"], "/live/channel_2/thumb.jpg?v=1795230245");
        assert_eq!(page["items"][0]["storyboard_url"], serde_json::Value::Null);
        assert_eq!(page["items"][1]["storyboard_url"], "/live/channel_2/storyboard.vtt");
        let cursor = page["next_cursor"].as_str().unwrap();
        let (_, page) = ask(&state, &format!("/api/v1/streams?limit=2&cursor={cursor}")).await;
        assert_eq!(page["items"][0]["channel"], "channel_1");
        assert!(page["items"][0]["thumbnail_url"].is_string(), "{page}");
        assert_eq!(page["items"][0]["storyboard_url"], serde_json::Value::Null);
        assert_eq!(page["next_cursor"], serde_json::Value::Null);
    }

    #[tokio::test]
    async fn wrong_parameters_and_silent_channels_say_so() {
        let state = with_streams(1).await;
        for (uri, status, kind) in [
            ("/api/v1/streams?limit=0", 400, "/problems/bad-parameter"),
            ("/api/v1/streams?limit=many", 400, "/problems/bad-parameter"),
            ("/api/v1/streams?cursor=..", 400, "/problems/bad-parameter"),
            ("/api/v1/streams/channel_9", 404, "/problems/channel-not-live"),
            ("/api/v1/streams/..%2f..%2fetc", 404, "/problems/channel-not-live"),
        ] {
            let (found, problem) = ask(&state, uri).await;
            assert_eq!((found.as_u16(), &problem["type"]), (status, &kind.into()), "{uri}");
        }
        assert_eq!(ask(&state, "/api/v1/streams/channel_1").await.0, StatusCode::OK);
    }
}
