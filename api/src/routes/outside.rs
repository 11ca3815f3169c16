//! Described here because they belong to the product; served by other crates, which know nothing of OpenAPI.
#![expect(dead_code, reason = "these only describe")]

use serde::Serialize;
use utoipa::ToSchema;

use super::problems::NoSuchThing;
use super::streams::NotLive;

/// Whether the process lives.
#[derive(Serialize, ToSchema)]
pub(crate) struct HealthReport {
    #[schema(example = "ok")]
    status: String,
}

/// Whether the process can serve, and if not, why.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReadyReport {
    /// Whether all of its parts are.
    ready: bool,
    checks: Vec<ReadyCheck>,
}

/// One part of the process.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReadyCheck {
    #[schema(example = "store")]
    name: String,
    ready: bool,
    /// Why not; absent if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What runs.
#[derive(Serialize, ToSchema)]
pub(crate) struct BuildInfo {
    #[schema(example = "0.1.0")]
    version: String,
    #[schema(example = "9f436ce0a1b2")]
    commit: String,
}

/// Plays a live channel: its HLS multivariant playlist (RFC 8216bis). What is not public needs the address that
/// `playback_url` of the stream gives.
#[utoipa::path(get, path = "/live/{channel}/index.m3u8", operation_id = "getPlaylist", tag = "Live",
    security(()),
    params(("channel" = String, Path, description = "The channel's name", example = "studio", pattern = "^[a-z0-9_]{3,25}$")),
    responses(
        (status = 200, description = "The playlist; good for a second", body = String, content_type = "application/vnd.apple.mpegurl"),
        NotLive,
    ))]
fn multivariant() {}

/// A media playlist, init segment, part or segment. Take the names from the playlists: they are made anew for every
/// broadcast.
#[utoipa::path(get, path = "/live/{channel}/{rendition}/{file}", operation_id = "getMedia", tag = "Live",
    security(()),
    params(("channel" = String, Path, description = "The channel's name", example = "studio", pattern = "^[a-z0-9_]{3,25}$"),
           ("rendition" = String, Path, description = "From the multivariant playlist"),
           ("file" = String, Path, description = "From a playlist")),
    responses(
        (status = 200, description = "A playlist or media", content(
            (String = "application/vnd.apple.mpegurl"), (Vec<u8> = "video/mp4"))),
        NoSuchThing,
    ))]
fn media() {}

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", operation_id = "getHealth", tag = "Server", security(()),
    responses((status = 200, description = "It lives", body = HealthReport)))]
fn health() {}

/// Whether the process can serve, part by part. A store that does not answer is listed, and does not make it unready.
#[utoipa::path(get, path = "/readyz", operation_id = "getReadiness", tag = "Server", security(()),
    responses(
        (status = 200, description = "It can", body = ReadyReport),
        (status = 503, description = "It cannot, and why", body = ReadyReport),
    ))]
fn ready() {}

/// What runs.
#[utoipa::path(get, path = "/version", operation_id = "getVersion", tag = "Server", security(()),
    responses((status = 200, description = "The build", body = BuildInfo)))]
fn version() {}
