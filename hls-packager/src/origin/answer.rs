//! Answers: bodies with their validators, ranges and cache rules, and the problems of this origin.

use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use millrace_core::ids::ChannelName;
use millrace_http::problem::Problem;

use super::body::{Chain, length, slice};
use super::view::Rendered;
use crate::playlist::DirectiveError;
use crate::window::BadDirective;

/// `Content-Type` of playlists (RFC 8216bis §4).
pub(super) const PLAYLIST: HeaderValue = HeaderValue::from_static("application/vnd.apple.mpegurl");
/// `Content-Type` of init segments.
pub(super) const MP4: HeaderValue = HeaderValue::from_static("video/mp4");
/// `Content-Type` of parts and segments (ISO/IEC 23000-19).
pub(super) const SEGMENT: HeaderValue = HeaderValue::from_static("video/iso.segment");
/// `Cache-Control` of what never changes: names are never used again.
pub(super) const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=86400, immutable");
/// `Cache-Control` of the multivariant playlist, and of "there is nothing": caches ask once a second.
pub(super) const ONE_SECOND: HeaderValue = HeaderValue::from_static("public, max-age=1");
/// `Cache-Control` of a media playlist that is the newest there is. Joining players begin at its end: a cached second
/// would be a second of latency for all of their stay. Validators make asking again cheap.
pub(super) const NEWEST: HeaderValue = HeaderValue::from_static("public, max-age=0, must-revalidate");

/// `Content-Type` of storyboards.
pub(super) const VTT: HeaderValue = HeaderValue::from_static("text/vtt; charset=utf-8");
/// When to ask again for a picture that is not there yet, in seconds.
const STILL_RETRY: HeaderValue = HeaderValue::from_static("5");

/// Headers of an answer, with those that the server adds to each; fewer cost nothing, more a growing map.
const HEADERS: usize = 20;

/// What a request says about the answer it wants.
pub(super) struct Wish<'a> {
    headers: &'a HeaderMap,
}

impl<'a> Wish<'a> {
    /// Reads headers as they are needed.
    #[must_use]
    pub(super) fn new(headers: &'a HeaderMap) -> Self {
        Self { headers }
    }

    /// Whether the request has this header, with any value.
    #[must_use]
    pub(super) fn has_header(&self, name: &header::HeaderName) -> bool {
        self.headers.contains_key(name)
    }

    fn text(&self, name: header::HeaderName) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether gzip is acceptable (RFC 9110 §12.5.3).
    #[must_use]
    pub(super) fn gzip(&self) -> bool {
        let Some(accept) = self.text(header::ACCEPT_ENCODING) else { return false };
        let weight = |wanted: &str| {
            accept.split(',').find_map(|coding| {
                let (name, parameters) = coding.split_once(';').unwrap_or((coding, ""));
                if !name.trim().eq_ignore_ascii_case(wanted) {
                    return None;
                }
                let weight =
                    parameters.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.trim().parse::<f32>().ok());
                Some(weight.is_some_and(|weight| weight > 0.0))
            })
        };
        weight("gzip").or_else(|| weight("*")).unwrap_or(false)
    }

    /// Whether the peer has exactly this already (RFC 9110 §13.1.2).
    fn has(&self, etag: &HeaderValue) -> bool {
        let Some(tags) = self.text(header::IF_NONE_MATCH) else { return false };
        tags.split(',')
            .map(str::trim)
            .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag)
    }

    /// The single range that is asked for, if any and if it is of this version (RFC 9110 §14.2). Several ranges and
    /// other units are ignored, as the RFC allows.
    fn range(&self, etag: &HeaderValue, length: u64) -> Range {
        let Some(range) = self.text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")) else {
            return Range::All;
        };
        if self.headers.get(header::IF_RANGE).is_some_and(|tag| tag != etag) {
            return Range::All;
        }
        let Some((first, last)) = range.trim().split_once('-') else { return Range::All };
        let number = |text: &str| -> Option<u64> {
            if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
        };
        match (first.is_empty(), number(first), last.is_empty(), number(last)) {
            (true, _, _, Some(suffix)) if suffix > 0 && length > 0 => {
                Range::Of(length.saturating_sub(suffix), length - 1)
            }
            (true, _, _, Some(_)) => Range::Outside,
            (_, Some(first), true, _) if first < length => Range::Of(first, length - 1),
            (_, Some(first), _, Some(last)) if first <= last && first < length => {
                Range::Of(first, last.min(length - 1))
            }
            (_, Some(first), _, Some(last)) if first > last => Range::All,
            (_, Some(_), true, _) | (_, Some(_), _, Some(_)) => Range::Outside,
            _ => Range::All,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Range {
    All,
    Of(u64, u64),
    Outside,
}

/// An answer without a body, with room for the headers that any answer of ours has.
fn empty() -> Response<Chain> {
    let mut response = Response::new(Chain::default());
    *response.headers_mut() = HeaderMap::with_capacity(HEADERS);
    response
}

/// A playlist.
pub(super) fn playlist(
    wish: &Wish<'_>,
    rendered: &Rendered,
    gzip: bool,
    cache: HeaderValue,
    bytes: metrics::Counter,
) -> Response<Chain> {
    text(wish, rendered, gzip, cache, PLAYLIST, bytes)
}

/// A text that is replaced by newer ones.
pub(super) fn text(
    wish: &Wish<'_>,
    rendered: &Rendered,
    gzip: bool,
    cache: HeaderValue,
    content_type: HeaderValue,
    bytes: metrics::Counter,
) -> Response<Chain> {
    let mut response = empty();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, cache);
    headers.insert(header::ETAG, rendered.etag.clone());
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if wish.has(&rendered.etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(header::CONTENT_TYPE, content_type);
    if gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    *response.body_mut() = Chain::new([rendered.body.clone()], bytes);
    response
}

/// A file that is replaced by newer ones: a thumbnail.
pub(super) fn still(
    wish: &Wish<'_>,
    file: &Rendered,
    cache: HeaderValue,
    content_type: HeaderValue,
    bytes: metrics::Counter,
) -> Response<Chain> {
    let mut response = empty();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, cache);
    headers.insert(header::ETAG, file.etag.clone());
    if wish.has(&file.etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return response;
    }
    headers.insert(header::CONTENT_TYPE, content_type);
    *response.body_mut() = Chain::new([file.body.clone()], bytes);
    response
}

/// An init segment, a part, a segment, or a sprite.
pub(super) fn media(
    wish: &Wish<'_>,
    name: &str,
    chunks: Vec<Bytes>,
    content_type: HeaderValue,
    bytes: metrics::Counter,
) -> Result<Response<Chain>, Refusal> {
    let etag = HeaderValue::try_from(format!("\"{name}\"")).map_err(|_| Refusal::NotFound)?;
    let whole = length(&chunks);
    let mut response = empty();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, IMMUTABLE);
    headers.insert(header::ETAG, etag.clone());
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if wish.has(&etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    headers.insert(header::CONTENT_TYPE, content_type);
    let chunks = match wish.range(&etag, whole) {
        Range::All => chunks,
        Range::Of(first, last) => {
            if let Ok(range) = HeaderValue::try_from(format!("bytes {first}-{last}/{whole}")) {
                headers.insert(header::CONTENT_RANGE, range);
            }
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            slice(chunks, first, last)
        }
        Range::Outside => return Err(Refusal::Range { length: whole }),
    };
    *response.body_mut() = Chain::new(chunks, bytes);
    Ok(response)
}

/// What another node refused, as it did.
pub(super) fn refused(status: StatusCode, headers: HeaderMap, body: Bytes) -> Response<Chain> {
    let mut response = Response::new(Chain::uncounted(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Shortens `max-age` to `seconds`.
pub(super) fn keep_at_most<B>(response: &mut Response<B>, seconds: u64) {
    let Some(cache) = response.headers().get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok())
    else {
        return;
    };
    let age = |directive: &str| directive.trim().strip_prefix("max-age=")?.parse::<u64>().ok();
    if cache.split(',').filter_map(age).any(|age| age > seconds)
        && let Ok(shorter) = HeaderValue::try_from(format!("public, max-age={seconds}"))
    {
        response.headers_mut().insert(header::CACHE_CONTROL, shorter);
    }
}

/// Why there is no answer of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No such channel can exist, nor rendition, nor name.
    NotFound,
    /// The channel is not live, or not for who asks.
    NotLive(ChannelName),
    /// The channel is live and has no thumbnail, or no storyboard, yet or at all.
    NoStill(ChannelName),
    /// The playback token was good once.
    TokenExpired,
    /// The media is a gap, has left the window, or never was.
    Gone,
    /// A directive that cannot be understood.
    Malformed(DirectiveError),
    /// A directive that breaks the rules.
    Directive(BadDirective),
    /// The range begins after the end.
    Range {
        /// Bytes there are.
        length: u64,
    },
    /// As many requests wait as may.
    TooManyWait,
    /// Nothing came for three target durations (RFC 8216bis §6.2.5.2).
    WaitedTooLong,
    /// The server stops.
    Stopping,
    /// The node that has the broadcast does not answer.
    NodeAway,
    /// The node that has the broadcast answers with more than may pass.
    TooLarge {
        /// Bytes that may.
        limit: u64,
    },
}

impl Refusal {
    /// What whoever asked is told.
    pub(super) fn problem(&self) -> Problem {
        let brief = |problem: Problem| problem.with_header(header::CACHE_CONTROL, ONE_SECOND);
        match self {
            Self::NotFound => brief(Problem::not_found()),
            Self::NotLive(channel) => retry(brief(Problem::new(
                StatusCode::NOT_FOUND,
                "channel-not-live",
                "Channel is not live",
                format!(
                    "{channel} is not live at the moment, or not for everybody. Its playlist appears here as soon as \
                     it is; if only some may watch it, open the page of the channel."
                ),
            ))),
            Self::NoStill(channel) => brief(
                Problem::new(
                    StatusCode::NOT_FOUND,
                    "no-picture",
                    "No picture",
                    format!(
                        "There is no still picture of {channel} yet. The first one comes some seconds after a broadcast \
                         has begun, if this server makes them."
                    ),
                )
                .with_header(header::RETRY_AFTER, STILL_RETRY),
            ),
            Self::TokenExpired => Problem::new(
                StatusCode::FORBIDDEN,
                "playback-token-expired",
                "Playback token expired",
                "This address was good for a while and is no more. Open the page of the channel for a new one.",
            )
            .with_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            Self::Gone => brief(Problem::new(
                StatusCode::NOT_FOUND,
                "media-gone",
                "Media is gone",
                "This piece of the broadcast is not available, or not any more. Reload the playlist.",
            )),
            Self::Malformed(error) => directive(error.parameter(), error),
            Self::Directive(error) => directive(error.parameter(), error),
            Self::Range { length } => {
                let problem = Problem::new(
                    StatusCode::RANGE_NOT_SATISFIABLE,
                    "range-not-satisfiable",
                    "Range not satisfiable",
                    format!("The range begins after the end: there are {length} bytes."),
                );
                match HeaderValue::try_from(format!("bytes */{length}")) {
                    Ok(range) => problem.with_header(header::CONTENT_RANGE, range),
                    Err(_) => problem,
                }
            }
            Self::TooManyWait => retry(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too-many-waiting-requests",
                "Too many requests wait",
                "The server has as many waiting requests as it takes. Try again in a second.",
            )),
            Self::WaitedTooLong => retry(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "media-did-not-come",
                "Media did not come",
                "The broadcast has not gone on for three target durations. Try again in a second.",
            )),
            Self::Stopping => retry(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "server-stopping",
                "Server is stopping",
                "The server is about to restart. Try again in a second.",
            )),
            Self::NodeAway => retry(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "broadcast-node-away",
                "The broadcast's node does not answer",
                "The node that has this broadcast does not answer at the moment. Try again in a second.",
            )),
            Self::TooLarge { limit } => Problem::new(
                StatusCode::BAD_GATEWAY,
                "media-too-large",
                "Media is too large",
                format!(
                    "This piece of the broadcast lies on another node and has more than the {limit} bytes that this \
                     node passes on. The operator can raise hls.max_stream_bytes."
                ),
            ),
        }
    }
}

fn directive(parameter: &'static str, error: &dyn std::error::Error) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "bad-delivery-directive",
        "Bad delivery directive",
        format!("{error}. Reload the playlist without directives."),
    )
    .with_error(parameter, error.to_string())
}

fn retry(problem: Problem) -> Problem {
    problem.with_header(header::RETRY_AFTER, HeaderValue::from_static("1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_says() {
        let etag = HeaderValue::from_static("\"a\"");
        let table = [
            ("bytes=0-3", Range::Of(0, 3)),
            ("bytes=2-", Range::Of(2, 9)),
            ("bytes=-4", Range::Of(6, 9)),
            ("bytes=-40", Range::Of(0, 9)),
            ("bytes=5-99999999999", Range::Of(5, 9)),
            ("bytes=9-9", Range::Of(9, 9)),
            ("bytes=10-", Range::Outside),
            ("bytes=10-11", Range::Outside),
            ("bytes=-0", Range::Outside),
            ("bytes=4-3", Range::All),
            ("bytes=0-1,3-4", Range::All),
            ("bytes=+1-2", Range::All),
            ("bytes=a-b", Range::All),
            ("bytes=-", Range::All),
            ("bytes=99999999999999999999-", Range::All),
            ("items=0-1", Range::All),
        ];
        for (range, wanted) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::RANGE, HeaderValue::from_static(range));
            assert_eq!(Wish::new(&headers).range(&etag, 10), wanted, "{range}");
            headers.insert(header::IF_RANGE, etag.clone());
            assert_eq!(Wish::new(&headers).range(&etag, 10), wanted, "{range}");
            headers.insert(header::IF_RANGE, HeaderValue::from_static("\"b\""));
            assert_eq!(Wish::new(&headers).range(&etag, 10), Range::All, "{range}");
        }
    }

    #[test]
    fn gzip_is_used_only_when_it_is_acceptable() {
        let table = [
            ("gzip", true),
            ("gzip, deflate, br", true),
            ("br;q=1.0, GZIP;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("gzip;q=0.0, *", false),
            ("*;q=0", false),
            ("gzip;q=often", false),
            ("br", false),
            ("identity", false),
            ("", false),
        ];
        for (accept, wanted) in table {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accept));
            assert_eq!(Wish::new(&headers).gzip(), wanted, "{accept}");
        }
        assert!(!Wish::new(&HeaderMap::new()).gzip());
    }
}
