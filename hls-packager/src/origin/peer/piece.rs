//! An answer of another node: read whole, within bounds, then handed out like one of our own.

use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt;

use super::super::Made;
use super::super::answer::{self, Refusal, Wish};
use super::super::view::Rendered;
use super::ask::{Shape, Want, kept};

/// Most bytes of a problem document.
const PROBLEM_MAX_BYTES: u64 = 64 * 1024;

/// What a node answered.
#[derive(Debug)]
pub(super) struct Piece {
    what: What,
    arrived: Instant,
    /// How long it may be given to others; zero for not at all.
    pub(super) kept: Duration,
}

#[derive(Debug)]
enum What {
    Text { rendered: Rendered, gzip: bool, cache: HeaderValue },
    Media(Bytes),
    Thumb { file: Rendered, cache: HeaderValue },
    Refused { status: StatusCode, headers: HeaderMap, body: Bytes },
}

/// Why a node's answer is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// No connection, or it broke.
    #[error("{0}")]
    Unreachable(String),
    /// It took longer than anything may.
    #[error("it took longer than {0:?}")]
    TimedOut(Duration),
    /// It is not among the nodes that have the broadcast any more.
    #[error("its lease has ended")]
    Lost,
    /// No answer of an origin: something else is at that address.
    #[error("it answered {0}, which no origin does")]
    Strange(String),
    /// More than is ever read.
    #[error("its answer has more than {limit} bytes")]
    TooLarge {
        /// Bytes there may be.
        limit: u64,
    },
}

/// Headers of a refusal that are handed on.
const OF_REFUSALS: [header::HeaderName; 3] =
    [header::CONTENT_TYPE, header::CACHE_CONTROL, header::RETRY_AFTER];

impl Piece {
    /// Reads an answer of this shape, of at most `limit` bytes.
    pub(super) async fn read<B: Body<Data = Bytes, Error: std::error::Error> + Unpin>(
        response: http::Response<B>,
        shape: Shape,
        limit: u64,
        now: impl FnOnce() -> Instant,
    ) -> Result<Self, Failure> {
        let (head, body) = response.into_parts();
        let cache = head.headers.get(header::CACHE_CONTROL).cloned();
        let kept = kept(shape, head.status, cache.as_ref());
        let what = match head.status {
            StatusCode::OK if shape == Shape::Media => What::Media(whole(body, limit).await?),
            StatusCode::OK => {
                let etag = head.headers.get(header::ETAG).cloned();
                let (Some(etag), Some(cache)) = (etag, cache) else {
                    return Err(Failure::Strange("a playlist or picture without its validator".to_owned()));
                };
                let gzip = head.headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
                let rendered = Rendered { body: whole(body, limit).await?, etag };
                match shape {
                    Shape::Thumb => What::Thumb { file: rendered, cache },
                    _ => What::Text { rendered, gzip, cache },
                }
            }
            status if status.is_client_error() || status.is_server_error() => {
                let mut headers = HeaderMap::new();
                for name in OF_REFUSALS {
                    if let Some(value) = head.headers.get(&name) {
                        headers.insert(name, value.clone());
                    }
                }
                if status == StatusCode::NOT_FOUND {
                    // To a node it says that nobody keeps that; to viewers we say what we say of ours.
                    headers.insert(header::CACHE_CONTROL, answer::ONE_SECOND);
                }
                What::Refused { status, headers, body: whole(body, limit.min(PROBLEM_MAX_BYTES)).await? }
            }
            status => return Err(Failure::Strange(status.to_string())),
        };
        Ok(Self { what, arrived: now(), kept })
    }

    /// Bytes of its body.
    pub(super) fn bytes(&self) -> u64 {
        let (What::Text { rendered: Rendered { body, .. }, .. }
        | What::Thumb { file: Rendered { body, .. }, .. }
        | What::Media(body)
        | What::Refused { body, .. }) = &self.what;
        body.len() as u64
    }

    /// Whether the node has no answer now, but may have one in a moment, or another node.
    pub(super) fn is_unavailable(&self) -> bool {
        matches!(&self.what, What::Refused { status, .. } if status.is_server_error())
    }

    /// Whether it is what was asked for.
    pub(super) fn is_good(&self) -> bool {
        !matches!(&self.what, What::Refused { .. })
    }

    /// The answer to one viewer, as if the broadcast were here.
    pub(super) fn answer(
        &self,
        wish: &Wish<'_>,
        want: Want<'_>,
        file: &str,
        bytes: metrics::Counter,
        now: Instant,
    ) -> Result<Made, Refusal> {
        let mut response = match &self.what {
            What::Text { rendered, gzip, cache } => {
                answer::text(wish, rendered, *gzip, cache.clone(), want.content_type(), bytes)
            }
            What::Media(body) => answer::media(wish, file, vec![body.clone()], want.content_type(), bytes)?,
            What::Thumb { file, cache } => {
                answer::still(wish, file, cache.clone(), want.content_type(), bytes)
            }
            What::Refused { status, headers, body } => {
                answer::refused(*status, headers.clone(), body.clone())
            }
        };
        // Whoever caches it, too, counts from when it was made (RFC 9111 §5.1).
        let age = now.saturating_duration_since(self.arrived).as_secs();
        if age > 0 {
            response.headers_mut().insert(header::AGE, age.into());
        }
        Ok(response)
    }
}

/// The body in one piece, if it has no more than `limit` bytes.
async fn whole<B>(mut body: B, limit: u64) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes, Error: std::error::Error> + Unpin,
{
    let announced = body.size_hint().lower();
    if announced > limit {
        return Err(Failure::TooLarge { limit });
    }
    // `limit` bounds it, and what is announced is only believed up to a usual segment.
    let mut read = BytesMut::with_capacity(usize::try_from(announced.min(USUAL_BYTES)).unwrap_or_default());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Unreachable(chain(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        if (read.len() + data.len()) as u64 > limit {
            return Err(Failure::TooLarge { limit });
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

/// What is allocated on an announcement alone.
const USUAL_BYTES: u64 = 4 << 20;

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
