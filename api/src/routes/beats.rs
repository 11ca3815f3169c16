//! `/api/v1/streams/{channel}/beats`: viewers say that they watch.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use millrace_core::ids::ChannelName;
use millrace_http::problem::Problem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::path::Path;
use super::problems::{Limited, problems};
use super::streams::NotLive;
use super::streams::not_live;
use crate::ApiState;
use crate::auth::limits::ClientAddress;
use crate::viewers::BEAT_MIN_SECONDS;

/// Somebody watches.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Beat {
    /// A number that the player made up when it was opened: 64 random bits as 16 hexadecimal digits. It is not kept.
    #[schema(example = "9f86d081884c7d65", pattern = "^[0-9a-f]{16}$")]
    viewer: String,
    /// The browser plays by itself, so that its requests do not say that they are a player's of this page.
    #[serde(default)]
    native: bool,
}

/// What to do next.
#[derive(Debug, Serialize, ToSchema)]
pub struct Heard {
    /// Seconds until the next beat is due.
    next_beat: u64,
}

problems! {
    /// Has a body of its own form.
    BadBeat => [bad_beat()];
}

/// Counts a viewer. Needs no account; nothing of the request is kept.
#[utoipa::path(post, path = "/api/v1/streams/{channel}/beats", operation_id = "sendBeat", tag = "Live",
    security(()),
    params(("channel" = String, Path, description = "The channel's name", example = "studio", pattern = "^[a-z0-9_]{3,25}$")),
    request_body = Beat,
    responses(
        (status = 200, description = "The viewer is counted until a little after the next beat is due", body = Heard),
        NotLive, BadBeat, Limited,
    ))]
pub(crate) async fn beat(
    State(state): State<ApiState>,
    ClientAddress(address): ClientAddress,
    Path(channel): Path<String>,
    body: Result<Json<Beat>, JsonRejection>,
) -> Result<Json<Heard>, Problem> {
    state.limits().beat(address, state.now_ms())?;
    let live = |channel: &ChannelName| state.with_directory(|directory| directory.get(channel).is_some());
    let channel = channel.parse().ok().filter(live).ok_or_else(not_live)?;
    let viewer = body.ok().and_then(|Json(beat)| {
        let fits = beat.viewer.len() == 16 && beat.viewer.bytes().all(|digit| digit.is_ascii_hexdigit());
        let number = u64::from_str_radix(&beat.viewer, 16).ok().filter(|_| fits)?;
        Some((number, beat.native))
    });
    let (viewer, native) = viewer.ok_or_else(bad_beat)?;
    // The requests of a player that cannot mark them are counted already.
    let next_beat = if native && state.counts_requests {
        BEAT_MIN_SECONDS
    } else {
        state.audience.beat(state.second(), &channel, viewer)
    };
    Ok(Json(Heard { next_beat }))
}

fn bad_beat() -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "bad-beat",
        "Bad beat",
        "Send {\"viewer\": …} with 16 hexadecimal digits that the player made up.",
    )
    .with_error("/viewer", "is 16 hexadecimal digits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::tests::started;
    use axum::body::Body;
    use axum::http::{Request, header};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn send(state: &ApiState, channel: &str, body: &str) -> (StatusCode, serde_json::Value) {
        let request = Request::post(format!("/api/v1/streams/{channel}/beats"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let response = crate::router(state.clone()).oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    fn viewers(state: &ApiState) -> u64 {
        state.count_viewers();
        state.with_directory(|directory| directory.get(&"studio".parse().unwrap()).unwrap().viewers)
    }

    #[tokio::test]
    async fn a_beat_counts_its_viewer_once() {
        let state = ApiState::for_tests().await;
        state.directory.write().unwrap().apply(&started("studio", 1));
        for viewer in ["00000000000000a1", "00000000000000a1", "FFFFFFFFFFFFFFFF"] {
            let (status, answer) = send(&state, "studio", &format!(r#"{{"viewer":"{viewer}"}}"#)).await;
            assert_eq!((status, &answer["next_beat"]), (StatusCode::OK, &BEAT_MIN_SECONDS.into()));
        }
        assert_eq!(viewers(&state), 2);
        // Its requests are counted by the origin.
        send(&state, "studio", r#"{"viewer":"00000000000000b2","native":true}"#).await;
        assert_eq!(viewers(&state), 2);
        let behind_a_cache = state.counting_requests(false);
        send(&behind_a_cache, "studio", r#"{"viewer":"00000000000000b2","native":true}"#).await;
        assert_eq!(viewers(&behind_a_cache), 3);
    }

    #[tokio::test]
    async fn what_is_no_beat_is_refused() {
        let state = ApiState::for_tests().await;
        state.directory.write().unwrap().apply(&started("studio", 1));
        let long = format!(r#"{{"viewer":"{}"}}"#, "a".repeat(17));
        for bad in ["", "{}", "[]", r#"{"viewer":1}"#, r#"{"viewer":"+0000000000000a1"}"#, &long] {
            let (status, answer) = send(&state, "studio", bad).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{bad}");
            assert_eq!(answer["errors"][0]["pointer"], "/viewer", "{bad}");
        }
        for channel in ["other", "..", "Studio"] {
            let (status, _) = send(&state, channel, r#"{"viewer":"00000000000000a1"}"#).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{channel}");
        }
        assert_eq!(viewers(&state), 0);
    }
}
