//! `POST /chat/v1/{channel}/messages`: for programs that say something and read nothing.
#![expect(clippy::disallowed_methods, reason = "shell: the clock, ids")]

use std::net::{Ipv4Addr, SocketAddr};

use axum::body::Bytes;
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use axum::{Extension, Json};
use jiff::Timestamp;
use millrace_core::ids::{ChannelName, MessageId};
use millrace_http::problem::Problem;
use serde::{Deserialize, Serialize};

use crate::node::{NoEntry, Node, Said};
use crate::protocol::{Code, Draft, HELD, MAX_FRAME_BYTES, Refusal};
use crate::socket::stopping;

/// What a program says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Post {
    text: String,
    /// The same again is the same message; made up if it is absent.
    #[serde(default)]
    nonce: Option<String>,
    #[serde(default)]
    reply_to: Option<MessageId>,
}

#[derive(Debug, Serialize)]
struct Posted {
    id: MessageId,
    nonce: String,
    /// For the person: it waits for somebody who moderates.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<&'static str>,
}

/// The method of the path.
pub(crate) fn method() -> MethodRouter<Node> {
    post(say).layer(DefaultBodyLimit::max(MAX_FRAME_BYTES))
}

async fn say(
    State(node): State<Node>,
    Path(channel): Path<String>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    if node.stopping().is_cancelled() {
        return Err(stopping());
    }
    // Only tests have no peer.
    let peer = peer.map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), |Extension(ConnectInfo(peer))| peer);
    let visit = node.records().visit(&headers, peer).await?;
    // A cookie would let any page speak for whoever looks at it.
    let chatter = visit.chatter.filter(|chatter| chatter.session.is_none()).ok_or_else(no_token)?;
    let now_ms = Timestamp::now().as_millisecond();
    node.may_post(chatter.user, now_ms).map_err(|wait_ms| {
        let detail = "Too many messages were posted with this account's tokens. Wait a moment.";
        refused(&Refusal::after(Code::RateLimited, wait_ms, detail))
    })?;
    let Post { text, nonce, reply_to } = serde_json::from_slice(&body).map_err(|err| malformed(&err))?;
    let channel: ChannelName = channel.parse().map_err(|_| Problem::not_found())?;
    let nonce = nonce.unwrap_or_else(|| uuid::Uuid::now_v7().simple().to_string());
    let draft = Draft { nonce, text, reply_to };
    let seat = node.enter(&channel, Some(chatter), visit.address).await.map_err(no_entry)?;
    let mut speaker = seat.speaker().ok_or_else(no_token)?;
    let said = node.say(&mut speaker, &draft).await.map_err(|refusal| refused(&refusal))?;
    let (status, id, held) = match said {
        Said::Now(id) => (StatusCode::CREATED, id, None),
        Said::Held(id) => (StatusCode::ACCEPTED, id, Some(HELD)),
    };
    Ok((status, Json(Posted { id, nonce: draft.nonce, held })).into_response())
}

fn no_token() -> Problem {
    let detail = "Send an API token with the scope chat: Authorization: Bearer mr_… It is made in the settings of an account.";
    Problem::new(StatusCode::UNAUTHORIZED, "not-signed-in", "Not signed in", detail)
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"millrace\""))
}

fn malformed(err: &serde_json::Error) -> Problem {
    let detail = format!(
        "The body must be JSON: {{\"text\": \"…\"}}, with nonce and reply_to if need be. It is not: {err}."
    );
    Problem::new(StatusCode::BAD_REQUEST, "malformed-body", "Malformed body", detail)
}

fn no_entry(refused: NoEntry) -> Problem {
    match refused {
        NoEntry::NoSuchChannel => Problem::not_found(),
        NoEntry::Forbidden => {
            let detail = "This account may not read the chat of this channel.";
            Problem::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden", detail)
        }
        NoEntry::TooMany => {
            let detail = "This account or address is in chat too often at once. End some of the connections.";
            retry(
                Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", detail),
                1,
            )
        }
        NoEntry::Away => {
            let detail =
                "The server cannot reach its data right now. Send the same nonce again in a few seconds.";
            let title = "Store unavailable";
            retry(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", title, detail), 2)
        }
    }
}

/// A refusal of the room: the type is `/problems/chat-refused`, and the code is that of the WebSocket.
fn refused(refusal: &Refusal) -> Problem {
    let status = match refusal.code {
        Code::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::SlowMode | Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::NotSignedIn => return no_token(),
        Code::Malformed | Code::Empty | Code::TooLong | Code::ReplyUnknown => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        _ => StatusCode::FORBIDDEN,
    };
    let problem = Problem::new(status, "chat-refused", "Not said", refusal.detail.clone())
        .with_error(refusal.code.name(), refusal.detail.clone());
    match refusal.retry_after_ms {
        Some(after_ms) => retry(problem, after_ms.unsigned_abs().div_ceil(1000).max(1)),
        None => problem,
    }
}

fn retry(problem: Problem, seconds: u64) -> Problem {
    problem.with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_room_refuses_has_its_code_and_says_when_to_try_again() {
        let slow = refused(&Refusal::after(Code::SlowMode, 1_001, "Wait."));
        assert_eq!(slow.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(slow.headers(), [(header::RETRY_AFTER, HeaderValue::from_static("2"))]);
        assert_eq!(slow.to_json()["errors"][0]["pointer"], "slow_mode");
        let banned = refused(&Refusal::new(Code::Banned, "You are banned."));
        assert_eq!((banned.status(), banned.headers().len()), (StatusCode::FORBIDDEN, 0));
        assert_eq!(refused(&Refusal::temporarily_unavailable()).status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
